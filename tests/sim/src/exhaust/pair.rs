//! The product of a client, a server and what is on its way between them, for one call.
//!
//! States are merged by everything that can be seen of them: the halves' states on both sides, what the callers know,
//! and the octets on their way. From every state the run is also brought to a fair end: the network delivers
//! everything, both callers do what honest callers do, and the call must end on both sides.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use bytes::{Buf, BytesMut};
use halfclose::frame::{FrameHead, HEAD_LEN, PREFACE};
use halfclose::{
    CallId, Cardinality, Cause, Client, Config, Connection, Event, Metadata, Misuse, Outcome, Recv, Request,
    Role, Seed, Server, Shape, Status, Time,
};

use super::Count;
use crate::content;
use crate::program::Side;
use crate::wire::{Breach, Wire, breach, ensure};

/// One thing that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The client's caller sends its next message.
    ClientSend,
    /// The client's caller half-closes.
    HalfClose,
    /// The client's caller receives.
    ClientRecv,
    /// The client's caller cancels.
    ClientCancel,
    /// The server's caller receives.
    ServerRecv,
    /// The server's caller sends response headers.
    Headers,
    /// The server's caller sends its next message.
    ServerSend,
    /// The server's caller ends the call with OK.
    Finish,
    /// The server's caller cancels.
    ServerCancel,
    /// The next frame from the client arrives.
    Up,
    /// The next frame from the server arrives.
    Down,
}

const ACTIONS: [Action; 11] = [
    Action::ClientSend,
    Action::HalfClose,
    Action::ClientRecv,
    Action::ClientCancel,
    Action::ServerRecv,
    Action::Headers,
    Action::ServerSend,
    Action::Finish,
    Action::ServerCancel,
    Action::Up,
    Action::Down,
];

const NOW: Time = Time::ZERO;

/// Enumerates all orders for a call of `shape` with at most `messages` each way.
///
/// # Errors
/// The first property that does not hold, and the sequence that shows it.
pub fn enumerate(shape: Shape, messages: usize, depth: usize) -> Result<Count, (Breach, Vec<Action>)> {
    let mut seen = BTreeSet::new();
    let mut frontier = vec![Vec::new()];
    let mut count = Count::default();
    while !frontier.is_empty() && count.depth < depth {
        count.depth += 1;
        let mut next = Vec::new();
        for sequence in &frontier {
            for action in ACTIONS {
                let mut longer: Vec<Action> = sequence.clone();
                longer.push(action);
                count.sequences += 1;
                match play(shape, messages, &longer) {
                    Ok(Some(signature)) => {
                        if seen.insert(signature) {
                            count.states += 1;
                            next.push(longer);
                        }
                    }
                    // The last action changed nothing, or could not be done.
                    Ok(None) => {}
                    Err(breach) => return Err((breach, longer)),
                }
            }
        }
        frontier = next;
    }
    count.complete = frontier.is_empty();
    Ok(count)
}

fn play(shape: Shape, messages: usize, sequence: &[Action]) -> Result<Option<String>, Breach> {
    let mut pair = Pair::new(shape, messages)?;
    for action in sequence {
        if !pair.act(*action)? {
            return Ok(None);
        }
    }
    let signature = pair.signature();
    pair.finish()?;
    Ok(Some(signature))
}

/// What one caller has done and been told.
#[derive(Clone, Default, Debug)]
struct Caller {
    sent: usize,
    received: usize,
    half_closed: bool,
    headers: bool,
    finished: bool,
    cancelled: bool,
    /// `Pending` was told, and `Readable` has not come.
    waiting: bool,
    ended: bool,
}

struct Pair {
    shape: Shape,
    messages: usize,
    client: Connection<Client>,
    server: Connection<Server>,
    call: CallId,
    answer: Option<CallId>,
    client_caller: Caller,
    server_caller: Caller,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    wire: Wire,
    outcome: Option<Outcome>,
    cause: Option<Cause>,
}

/// Cuts what a core has to say into frames.
fn frames<R: Role>(
    core: &mut Connection<R>,
    side: Side,
    wire: &mut Wire,
    into: &mut VecDeque<Vec<u8>>,
) -> Result<(), Breach> {
    let mut octets = Vec::new();
    while let Some(mut transmit) = core.poll_transmit(NOW) {
        octets.extend_from_slice(&transmit.copy_to_bytes(transmit.remaining()));
    }
    wire.emitted(side, &octets)?;
    wire.polled(side);
    let mut rest = octets.as_slice();
    if rest.starts_with(PREFACE) {
        into.push_back(PREFACE.to_vec());
        rest = &rest[PREFACE.len()..];
    }
    while let Some(head) = rest.first_chunk::<HEAD_LEN>() {
        let (frame, after) = rest.split_at(HEAD_LEN + FrameHead::parse(head).length as usize);
        into.push_back(frame.to_vec());
        rest = after;
    }
    Ok(())
}

fn deliver<R: Role>(
    core: &mut Connection<R>,
    side: Side,
    frame: &[u8],
    wire: &mut Wire,
) -> Result<(), Breach> {
    let mut input = BytesMut::from(frame);
    match core.receive(NOW, &mut input) {
        Ok(_) => wire.consumed(side, frame),
        Err(error) => breach("an honest peer breaks no rule", format!("{side:?}: {error}")),
    }
}

impl Pair {
    fn new(shape: Shape, messages: usize) -> Result<Self, Breach> {
        let mut client = Connection::<Client>::new(Config::client(), Seed(1), NOW);
        let server = Connection::<Server>::new(Config::server(), Seed(2), NOW);
        let mut request = Request::new("/sim.Service/Method", shape);
        request.metadata = content::request_metadata(0, 0);
        let wire = Wire::of_one_call();
        let (up, down) = (VecDeque::new(), VecDeque::new());
        // The SETTINGS go first and leave nothing on its way.
        let mut call = client.start(NOW, request.clone());
        if let Ok(id) = call {
            client.release(id);
            call = client.start(NOW, request);
        }
        let Ok(call) = call else { return breach("a legal order is taken", format!("{call:?}")) };
        let mut pair = Self {
            shape,
            messages,
            client,
            server,
            call,
            answer: None,
            client_caller: Caller::default(),
            server_caller: Caller::default(),
            up,
            down,
            wire,
            outcome: None,
            cause: None,
        };
        pair.settle()?;
        Ok(pair)
    }

    /// Takes all events and all output.
    fn settle(&mut self) -> Result<(), Breach> {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Readable(id) if id == self.call => {
                    ensure(self.client_caller.waiting, "Readable is told to who waits", || "client".into())?;
                    self.client_caller.waiting = false;
                }
                Event::Response(id) if id == self.call => {
                    let property = "response headers are told once";
                    ensure(!self.client_caller.headers && self.outcome.is_none(), property, String::new)?;
                    self.client_caller.headers = true;
                }
                Event::PeerSettings => {}
                other => return breach("no event without a reason", format!("client: {other:?}")),
            }
        }
        while let Some(event) = self.server.poll_event() {
            ensure(!self.server_caller.ended, "nothing after the end of a call", || format!("{event:?}"))?;
            match event {
                Event::Request(id) => {
                    ensure(self.answer.replace(id).is_none(), "a call is told once", String::new)?;
                    let accepted = self.server.accept(id, self.shape);
                    ensure(accepted.is_ok(), "a legal order is taken", || format!("{accepted:?}"))?;
                }
                Event::Readable(id) if Some(id) == self.answer => {
                    ensure(self.server_caller.waiting, "Readable is told to who waits", || "server".into())?;
                    self.server_caller.waiting = false;
                }
                Event::Ended(id, cause) if Some(id) == self.answer => {
                    self.server_caller.ended = true;
                    self.cause = Some(cause);
                }
                Event::PeerSettings => {}
                other => return breach("no event without a reason", format!("server: {other:?}")),
            }
        }
        frames(&mut self.client, Side::Client, &mut self.wire, &mut self.up)?;
        frames(&mut self.server, Side::Server, &mut self.wire, &mut self.down)?;
        // What was cut may have told of an end.
        if let Some(event) = self.server.poll_event() {
            match event {
                Event::Ended(id, cause) if Some(id) == self.answer && self.cause.is_none() => {
                    self.server_caller.ended = true;
                    self.cause = Some(cause);
                }
                other => return breach("no event without a reason", format!("server: {other:?}")),
            }
        }
        self.wire.check_debts(Side::Client, u64::MAX >> 1)?;
        self.wire.check_debts(Side::Server, u64::MAX >> 1)
    }

    /// Does one thing. Whether it could be done and changed anything.
    fn act(&mut self, action: Action) -> Result<bool, Breach> {
        let done = match action {
            Action::Up => {
                let Some(frame) = self.up.pop_front() else { return Ok(false) };
                deliver(&mut self.server, Side::Server, &frame, &mut self.wire)?;
                true
            }
            Action::Down => {
                let Some(frame) = self.down.pop_front() else { return Ok(false) };
                deliver(&mut self.client, Side::Client, &frame, &mut self.wire)?;
                true
            }
            Action::ClientSend | Action::HalfClose | Action::ClientRecv | Action::ClientCancel => {
                self.client_order(action)?
            }
            _ => self.server_order(action)?,
        };
        self.settle()?;
        Ok(done)
    }

    fn client_order(&mut self, action: Action) -> Result<bool, Breach> {
        let (call, caller) = (self.call, &mut self.client_caller);
        let before = self.client.states(call);
        let result = match action {
            Action::ClientSend => {
                let most = if self.shape.requests == Cardinality::One { 1 } else { self.messages };
                if caller.sent > most {
                    return Ok(false);
                }
                let payload = content::payload(0, Side::Client, caller.sent, 3);
                let sent = self.client.send_message(call, payload, false).map(drop);
                caller.sent += usize::from(sent.is_ok());
                // One over the plan is tried, to be refused or to stop there.
                if sent.is_ok() && caller.sent > most {
                    ensure(
                        self.shape.requests == Cardinality::Many,
                        "a second message is refused",
                        String::new,
                    )?;
                    return Ok(false);
                }
                sent
            }
            Action::HalfClose => {
                let closed = self.client.half_close(call);
                caller.half_closed |= closed.is_ok();
                closed
            }
            Action::ClientCancel => {
                let cancelled = self.client.cancel(call);
                if caller.cancelled && cancelled.is_ok() {
                    return Ok(false);
                }
                caller.cancelled |= cancelled.is_ok();
                cancelled
            }
            _ => return self.client_recv(),
        };
        refused(result, before == self.client.states(call), self.client_caller.ended)
    }

    fn client_recv(&mut self) -> Result<bool, Breach> {
        let again = self.client_caller.waiting;
        match self.client.recv(self.call) {
            Ok(Recv::Message(message)) => {
                let index = self.client_caller.received;
                let sent = index < self.server_caller.sent;
                let expected = content::payload(0, Side::Server, index, 3);
                ensure(
                    sent && message.payload == expected,
                    "messages in order, complete, unmodified",
                    || format!("response {index}"),
                )?;
                self.client_caller.received += 1;
                self.count_read(Side::Client);
                Ok(true)
            }
            Ok(Recv::Pending) => {
                self.client_caller.waiting = true;
                Ok(!again)
            }
            Ok(Recv::End(outcome)) => {
                ensure(self.outcome.is_none(), "exactly one terminal event", || format!("{outcome:?}"))?;
                self.client_caller.ended = true;
                self.outcome = Some(outcome);
                Ok(true)
            }
            Ok(Recv::HalfClosed) => breach("a client's call ends with an outcome", String::new()),
            Err(misuse) => refused(Err(misuse), true, self.client_caller.ended),
        }
    }

    fn server_order(&mut self, action: Action) -> Result<bool, Breach> {
        let Some(call) = self.answer else { return Ok(false) };
        let before = self.server.states(call);
        let caller = &mut self.server_caller;
        let result = match action {
            Action::Headers => {
                let sent = self.server.send_headers(call, Metadata::new());
                caller.headers |= sent.is_ok();
                sent
            }
            Action::ServerSend => {
                let most = if self.shape.responses == Cardinality::One { 1 } else { self.messages };
                if caller.sent >= most && self.shape.responses == Cardinality::Many {
                    return Ok(false);
                }
                let sent =
                    self.server.send_message(call, content::payload(0, Side::Server, caller.sent, 3), false);
                caller.sent += usize::from(sent.is_ok());
                ensure(caller.sent <= most, "a second message is refused", String::new)?;
                sent.map(drop)
            }
            Action::Finish => {
                let finished = self.server.finish(call, Status::ok(), Metadata::new());
                caller.finished |= finished.is_ok();
                finished
            }
            Action::ServerCancel => {
                let cancelled = self.server.cancel(call);
                caller.cancelled |= cancelled.is_ok();
                cancelled
            }
            _ => return self.server_recv(call),
        };
        refused(result, before == self.server.states(call), self.server_caller.ended)
    }

    fn server_recv(&mut self, call: CallId) -> Result<bool, Breach> {
        let caller = &mut self.server_caller;
        match self.server.recv(call) {
            Ok(Recv::Message(message)) => {
                let index = caller.received;
                let sent = index < self.client_caller.sent && !caller.half_closed;
                let expected = content::payload(0, Side::Client, index, 3);
                ensure(
                    sent && message.payload == expected,
                    "messages in order, complete, unmodified",
                    || format!("request {index}"),
                )?;
                caller.received += 1;
                self.count_read(Side::Server);
                Ok(true)
            }
            Ok(Recv::Pending) => {
                let again = std::mem::replace(&mut caller.waiting, true);
                Ok(!again)
            }
            Ok(Recv::HalfClosed) => {
                let whole = self.client_caller.half_closed && caller.received == self.client_caller.sent;
                ensure(whole, "half-close seen once, after every message", || format!("{caller:?}"))?;
                let again = std::mem::replace(&mut caller.half_closed, true);
                Ok(!again)
            }
            Ok(Recv::End(outcome)) => breach("an outcome is a client's", format!("{outcome:?}")),
            Err(misuse) => refused(Err(misuse), true, caller.ended),
        }
    }

    fn count_read(&mut self, side: Side) {
        if let Some(stream) = self.wire.stream_of(0) {
            self.wire.read(side, stream, content::wire_len(3, false));
        }
    }

    /// All that can be seen of the state.
    fn signature(&self) -> String {
        let mut text = String::new();
        let server = self.answer.map(|id| self.server.states(id));
        let outcome = self.outcome.as_ref().map(|outcome| (outcome.status.code, &outcome.cause));
        let _ = write!(
            text,
            "{:?} {server:?} {:?} {:?} {outcome:?} {:?} {:?} {:?}",
            self.client.states(self.call),
            self.client_caller,
            self.server_caller,
            self.cause,
            self.up,
            self.down
        );
        text
    }

    /// Brings the run to a fair end; the call must end on both sides.
    fn finish(&mut self) -> Result<(), Breach> {
        for _ in 0..100 {
            let mut moved = false;
            for action in [Action::Up, Action::Down, Action::ClientRecv, Action::ServerRecv] {
                let over = match action {
                    Action::ClientRecv => self.client_caller.ended || self.client_caller.waiting,
                    Action::ServerRecv => {
                        self.answer.is_none() || self.server_caller.ended || self.server_caller.half_closed
                    }
                    _ => false,
                };
                moved |= !over && self.act(action)?;
            }
            if !self.client_caller.ended && !self.client_caller.half_closed && !self.client_caller.cancelled {
                // An honest caller of a method with one request sends it.
                if self.shape.requests == Cardinality::One && self.client_caller.sent == 0 {
                    moved |= self.act(Action::ClientSend)?;
                }
                moved |= self.act(Action::HalfClose)?;
            }
            let answers = self.answer.is_some() && !self.server_caller.ended && !self.server_caller.finished;
            if answers && self.server_caller.half_closed {
                moved |= self.act(Action::Finish)?;
            }
            if !moved {
                break;
            }
        }
        let server_over = self.answer.is_none() || self.server_caller.ended;
        ensure(self.client_caller.ended && server_over, "with a fair network every call ends", || {
            self.signature()
        })?;
        ensure(self.client.is_idle() && self.server.is_idle(), "nothing is kept of a call", || {
            self.signature()
        })?;
        self.judge()
    }

    /// The outcome must be one that somebody ordered.
    fn judge(&self) -> Result<(), Breach> {
        let Some(Outcome { status, cause, .. }) = &self.outcome else { return Ok(()) };
        let (client, server) = (&self.client_caller, &self.server_caller);
        let fits = match cause {
            Cause::Trailers | Cause::TrailersOnly => {
                let complete = client.received == server.sent;
                let missing = self.shape.responses == Cardinality::One && server.sent == 0;
                let counted = self.shape.requests == Cardinality::One && client.sent != 1;
                (server.finished && (complete && status.is_ok() != missing)) || (counted && !status.is_ok())
            }
            Cause::Cancelled => client.cancelled,
            Cause::Reset { .. } => server.cancelled,
            _ => false,
        };
        ensure(fits, "the outcome is what was ordered", || {
            format!("{status:?} {cause:?} {client:?} {server:?}")
        })?;
        let fits = match &self.cause {
            None => true,
            Some(Cause::Trailers | Cause::TrailersOnly) => server.finished,
            Some(Cause::Reset { by: halfclose::Initiator::User, .. }) => server.cancelled,
            Some(Cause::Reset { by: halfclose::Initiator::Remote, .. }) => client.cancelled,
            // The count of requests was wrong.
            Some(Cause::Reset { by: halfclose::Initiator::Library, .. }) => {
                self.shape.requests == Cardinality::One && client.sent != 1
            }
            Some(_) => false,
        };
        ensure(fits, "the cause is what was ordered", || format!("{:?} {client:?} {server:?}", self.cause))
    }
}

/// A refused order changes nothing, and is refused for a reason.
fn refused(result: Result<(), Misuse>, same: bool, ended: bool) -> Result<bool, Breach> {
    match result {
        Ok(()) => {
            ensure(!ended, "a stale id is refused", String::new)?;
            Ok(true)
        }
        Err(misuse) => {
            ensure(same, "misuse never changes state", || format!("{misuse:?}"))?;
            ensure(ended == (misuse == Misuse::UnknownCall), "a stale id is refused", || {
                format!("{misuse:?}")
            })?;
            Ok(false)
        }
    }
}
