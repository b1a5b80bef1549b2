//! A core and a deterministic application over recorded octets, under any split of them.
//!
//! A session is a list of [`Step`]s. Within [`Step::Feed`] the octets arrive in the chunks of a [`Split`]; the
//! application acts at the end of each step, when everything that the step brought has arrived, and then the core's
//! output is taken in pieces of the given size. Under [`Pace::Settled`] the chunking must not show anywhere: the
//! entries and the octets of two runs are equal. Under [`Pace::Eager`] the application also acts, and output is
//! taken, after every chunk, so that replies to later frames may stand behind what it sent earlier: then the
//! [`summary`](Transcript::summary) of two runs is equal: for each call what was received and how it ended, and for
//! each stream what was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use halfclose::{
    CallId, Cardinality, Client, Config, Connection, Event, Message, Metadata, Misuse, Needed, Outcome, Recv,
    Request, Role, Seed, Server, Shape, Status, Time,
};

use crate::seen::{Reader, Seen};

/// How octets are cut into chunks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Split {
    /// In one piece.
    Whole,
    /// In pieces of so many octets.
    Every(usize),
    /// At these places; those outside the octets are ignored.
    At(Vec<usize>),
}

impl Split {
    /// The chunks, none empty.
    #[must_use]
    pub fn chunks<'a>(&self, octets: &'a [u8]) -> Vec<&'a [u8]> {
        match self {
            Self::Whole => vec![octets],
            Self::Every(size) => octets.chunks((*size).max(1)).collect(),
            Self::At(places) => {
                let mut places: Vec<usize> =
                    places.iter().copied().filter(|place| (1..octets.len()).contains(place)).collect();
                places.sort_unstable();
                places.dedup();
                places.push(octets.len());
                let mut start = 0;
                let pieces = places.into_iter().map(|end| {
                    let piece = &octets[start..end];
                    start = end;
                    piece
                });
                pieces.collect()
            }
        }
    }
}

/// When the application acts and output is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// At the end of each step.
    Settled,
    /// After each chunk.
    Eager,
}

/// How a run cuts what goes in and what comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The input.
    pub split: Split,
    /// How many octets of output are taken at once; used in turn, and again from the start.
    pub output: Vec<usize>,
    /// When the application acts.
    pub pace: Pace,
}

impl Cut {
    /// Everything in one piece.
    pub const WHOLE: Self = Self { split: Split::Whole, output: Vec::new(), pace: Pace::Settled };
}

/// One step of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Octets arrive.
    Feed(Vec<u8>),
    /// Time passes, and due timers act.
    Wait(Duration),
    /// The transport ends.
    Eof,
}

/// One thing that a run shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An event, in its `Debug` form.
    Event(String),
    /// A message was taken.
    Message {
        /// The call's place in the order of calls.
        call: usize,
        /// The message.
        payload: Vec<u8>,
    },
    /// The client half-closed.
    HalfClosed(usize),
    /// A client's call is over; the outcome in its `Debug` form.
    Outcome(usize, String),
    /// `receive` gave an error.
    Error(String),
}

/// What a run showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transcript {
    /// Events, messages and ends in the order in which they were met.
    pub entries: Vec<Entry>,
    /// Every octet that the core sent.
    pub output: Vec<u8>,
}

/// What of a transcript does not depend on when the application acts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// For each call: its messages, half-close and outcome, in order.
    pub calls: BTreeMap<usize, Vec<Entry>>,
    /// For each stream: header lists, the octets of its DATA, its resets.
    pub streams: BTreeMap<u32, Vec<Seen>>,
    /// Errors of `receive`.
    pub errors: Vec<Entry>,
}

impl Transcript {
    /// The frames that the core sent.
    #[must_use]
    pub fn frames(&self) -> Vec<Seen> {
        Reader::default().read(&self.output)
    }

    /// What does not depend on when the application acts.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for entry in &self.entries {
            match entry {
                Entry::Message { call, .. } | Entry::HalfClosed(call) | Entry::Outcome(call, _) => {
                    summary.calls.entry(*call).or_default().push(entry.clone());
                }
                Entry::Error(_) => summary.errors.push(entry.clone()),
                Entry::Event(_) => {}
            }
        }
        for seen in self.frames() {
            let (Seen::Headers { stream, .. } | Seen::Data { stream, .. } | Seen::Reset { stream, .. }) =
                seen
            else {
                continue;
            };
            let frames = summary.streams.entry(stream).or_default();
            match (frames.last_mut(), seen) {
                // Where DATA is cut depends on when credit came: its octets do not.
                (Some(Seen::Data { payload, end, .. }), Seen::Data { payload: more, end: more_end, .. }) => {
                    payload.extend(more);
                    *end |= more_end;
                }
                (_, seen) => frames.push(seen),
            }
        }
        summary
    }
}

/// What acts on a core's events. It must depend on nothing but them.
pub trait Application<R: Role> {
    /// Called once, before the first octet.
    fn begin(&mut self, core: &mut Connection<R>, now: Time, entries: &mut Vec<Entry>);
    /// Called for each event, in order.
    fn act(&mut self, core: &mut Connection<R>, now: Time, event: &Event, entries: &mut Vec<Entry>);
}

/// Runs one session.
pub fn run<R: Role>(config: Config, steps: &[Step], cut: &Cut, app: &mut impl Application<R>) -> Transcript {
    let core = Connection::<R>::new(config, Seed(7), Time::ZERO);
    let mut run = Run { core, now: Time::ZERO, transcript: Transcript::default(), cut, turn: 0 };
    app.begin(&mut run.core, run.now, &mut run.transcript.entries);
    run.settle(app);
    for step in steps {
        match step {
            Step::Feed(octets) => run.feed(octets, app),
            Step::Wait(span) => {
                run.now = run.now + *span;
                run.core.handle_timeout(run.now);
            }
            Step::Eof => run.core.receive_eof(run.now),
        }
        run.settle(app);
    }
    run.transcript
}

struct Run<'a, R: Role> {
    core: Connection<R>,
    now: Time,
    transcript: Transcript,
    cut: &'a Cut,
    turn: usize,
}

impl<R: Role> Run<'_, R> {
    fn feed(&mut self, octets: &[u8], app: &mut impl Application<R>) {
        let mut input = BytesMut::new();
        for chunk in self.cut.split.chunks(octets) {
            input.extend_from_slice(chunk);
            loop {
                match self.core.receive(self.now, &mut input) {
                    Ok(Needed::More | Needed::Closed) => break,
                    Ok(Needed::Again) => {}
                    Ok(Needed::Drain) => self.take_output(),
                    Err(error) => {
                        let error = Entry::Error(error.to_string());
                        // A closed core says the same for every further chunk.
                        if !self.transcript.entries.contains(&error) {
                            self.transcript.entries.push(error);
                        }
                        break;
                    }
                }
            }
            if self.cut.pace == Pace::Eager {
                self.settle(app);
            }
        }
    }

    /// The application acts and output is taken until neither has anything more to do.
    fn settle(&mut self, app: &mut impl Application<R>) {
        loop {
            let mut idle = true;
            while let Some(event) = self.core.poll_event() {
                idle = false;
                self.transcript.entries.push(Entry::Event(format!("{event:?}")));
                app.act(&mut self.core, self.now, &event, &mut self.transcript.entries);
            }
            let before = self.transcript.output.len();
            self.take_output();
            if idle && self.transcript.output.len() == before {
                return;
            }
        }
    }

    fn take_output(&mut self) {
        while let Some(mut out) = self.core.poll_transmit(self.now) {
            let sizes = &self.cut.output;
            let size = sizes.get(self.turn % sizes.len().max(1)).copied().unwrap_or(usize::MAX).max(1);
            self.turn += 1;
            let count = out.chunk().len().min(size);
            self.transcript.output.extend_from_slice(&out.chunk()[..count]);
            out.advance(count);
        }
    }
}

/// A message that found no room yet, or the end behind it.
enum Todo {
    Message(Message),
    Finish(Status),
}

/// A server that answers by the last segment of the path: `Unary` and `ClientStreaming` give one message (the
/// concatenation of what came), `ServerStreaming` gives its request three times, `Fail` ends with NOT_FOUND at once,
/// `Bidi` and all others echo each message as it comes. Trailers carry the number of messages received.
#[derive(Default)]
pub struct EchoServer {
    calls: BTreeMap<CallId, Echo>,
    opened: usize,
}

#[derive(Default)]
struct Echo {
    order: usize,
    path: String,
    received: Vec<Vec<u8>>,
    backlog: std::collections::VecDeque<Todo>,
}

impl Echo {
    fn shape(&self) -> Shape {
        match self.method() {
            "Unary" => Shape::UNARY,
            "ClientStreaming" => Shape::CLIENT_STREAMING,
            "ServerStreaming" => Shape::SERVER_STREAMING,
            _ => Shape::BIDI,
        }
    }

    fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn on_half_close(&mut self) {
        let whole = |payload: &[u8]| Message { payload: payload.to_vec().into(), compressed: false };
        match self.method() {
            "Unary" | "ClientStreaming" => {
                self.backlog.push_back(Todo::Message(whole(&self.received.concat())));
            }
            "ServerStreaming" => {
                let payload = self.received.concat();
                self.backlog.extend((0..3).map(|_| Todo::Message(whole(&payload))));
            }
            _ => {}
        }
        self.backlog.push_back(Todo::Finish(Status::ok()));
    }
}

impl EchoServer {
    /// A server that has seen no call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&mut self, core: &mut Connection<Server>, call: CallId, entries: &mut Vec<Entry>) {
        let Some(echo) = self.calls.get_mut(&call) else { return };
        loop {
            match core.recv(call) {
                Ok(Recv::Message(message)) => {
                    let payload = message.payload.to_vec();
                    entries.push(Entry::Message { call: echo.order, payload: payload.clone() });
                    echo.received.push(payload);
                    if echo.shape() == Shape::BIDI {
                        echo.backlog.push_back(Todo::Message(message));
                    }
                }
                Ok(Recv::HalfClosed) => {
                    entries.push(Entry::HalfClosed(echo.order));
                    echo.on_half_close();
                    break;
                }
                Ok(Recv::Pending | Recv::End(_)) | Err(_) => break,
            }
        }
        Self::write(echo, core, call);
    }

    fn write(echo: &mut Echo, core: &mut Connection<Server>, call: CallId) {
        while let Some(todo) = echo.backlog.pop_front() {
            match todo {
                Todo::Message(message) => match core.send_message(call, message.payload.clone(), false) {
                    Ok(_) => {}
                    Err(Misuse::NotWritable { .. }) => {
                        return echo.backlog.push_front(Todo::Message(message));
                    }
                    Err(_) => return echo.backlog.clear(),
                },
                Todo::Finish(status) => {
                    let mut trailers = Metadata::new();
                    let count = echo.received.len().to_string();
                    trailers.append("x-received", &count).expect("a legal field");
                    // A call that was cut on the way has nobody to be told.
                    let _ = core.finish(call, status, trailers);
                }
            }
        }
    }
}

impl Application<Server> for EchoServer {
    fn begin(&mut self, _: &mut Connection<Server>, _: Time, _: &mut Vec<Entry>) {}

    fn act(&mut self, core: &mut Connection<Server>, _: Time, event: &Event, entries: &mut Vec<Entry>) {
        match *event {
            Event::Request(call) => {
                let path = core.request(call).expect("the call is new").path().to_owned();
                let mut echo = Echo { order: self.opened, path, ..Echo::default() };
                self.opened += 1;
                core.accept(call, echo.shape()).expect("the call is new");
                if echo.method() == "Fail" {
                    echo.backlog.push_back(Todo::Finish(Status::not_found("nothing here")));
                }
                self.calls.insert(call, echo);
                self.read(core, call, entries);
            }
            Event::Readable(call) => self.read(core, call, entries),
            Event::Writable(call) => {
                if let Some(echo) = self.calls.get_mut(&call) {
                    Self::write(echo, core, call);
                }
            }
            Event::Ended(call, _) => {
                self.calls.remove(&call);
            }
            _ => {}
        }
    }
}

/// One call that a [`ScriptedClient`] makes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The request.
    pub request: Request,
    /// Its messages; the half-close follows them.
    pub messages: Vec<Vec<u8>>,
}

impl Plan {
    /// A call of that shape.
    #[must_use]
    pub fn new(path: &'static str, shape: Shape, messages: &[&[u8]]) -> Self {
        let messages = messages.iter().map(|message| message.to_vec()).collect();
        Self { request: Request::new(path, shape), messages }
    }
}

/// A client that makes its calls at the start, sends all it has as room comes, half-closes, and takes everything.
pub struct ScriptedClient {
    plans: Vec<Plan>,
    calls: BTreeMap<CallId, (usize, std::collections::VecDeque<Vec<u8>>)>,
}

impl ScriptedClient {
    /// A client with these calls to make.
    #[must_use]
    pub fn new(plans: Vec<Plan>) -> Self {
        Self { plans, calls: BTreeMap::new() }
    }

    fn write(&mut self, core: &mut Connection<Client>, call: CallId) {
        let Some((_, messages)) = self.calls.get_mut(&call) else { return };
        while let Some(message) = messages.pop_front() {
            match core.send_message(call, message.clone().into(), false) {
                Ok(_) => {}
                Err(Misuse::NotWritable { .. }) => return messages.push_front(message),
                Err(_) => return messages.clear(),
            }
        }
        // Every message is queued. A call that the server has ended needs no half-close.
        let _ = core.half_close(call);
    }

    fn read(&mut self, core: &mut Connection<Client>, call: CallId, entries: &mut Vec<Entry>) {
        let Some((order, _)) = self.calls.get(&call) else { return };
        let order = *order;
        loop {
            match core.recv(call) {
                Ok(Recv::Message(message)) => {
                    entries.push(Entry::Message { call: order, payload: message.payload.to_vec() });
                }
                Ok(Recv::End(outcome)) => {
                    entries.push(Entry::Outcome(order, describe(&outcome)));
                    self.calls.remove(&call);
                    return;
                }
                Ok(Recv::Pending | Recv::HalfClosed) | Err(_) => return,
            }
        }
    }
}

/// An outcome as text that two runs can compare.
#[must_use]
pub fn describe(outcome: &Outcome) -> String {
    let Outcome { status, trailers, cause } = outcome;
    format!("{status:?} {trailers:?} {cause:?}")
}

impl Application<Client> for ScriptedClient {
    fn begin(&mut self, core: &mut Connection<Client>, now: Time, entries: &mut Vec<Entry>) {
        for (order, plan) in self.plans.clone().into_iter().enumerate() {
            let one = plan.request.shape.requests == Cardinality::One;
            assert!(!one || plan.messages.len() <= 1, "a plan keeps to its shape");
            let call = core.start(now, plan.request).expect("the call can start");
            self.calls.insert(call, (order, plan.messages.into()));
            self.write(core, call);
            self.read(core, call, entries);
        }
    }

    fn act(&mut self, core: &mut Connection<Client>, _: Time, event: &Event, entries: &mut Vec<Entry>) {
        match *event {
            Event::Readable(call) => self.read(core, call, entries),
            Event::Writable(call) => self.write(core, call),
            _ => {}
        }
    }
}
