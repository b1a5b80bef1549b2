//! The core alone: bytes go in and out by function calls.

use std::collections::VecDeque;

use halfclose::{
    CallId, CallType, Cause, Client, CloseReason, Code, Config, Connection, ConnectionError, Event, Metadata,
    Misuse, Recv, Request, Role, Server, Status, Violation,
};
use halfclose_wire::{Frame, kind::GOAWAY};

use crate::Peer;
use crate::transport::{Caller, DEADLINE, ECHO, End, HOLD, Line, Transport};

/// The core in memory.
#[derive(Debug)]
pub struct InMemory;

/// A core, its caller and what it has sent.
#[derive(Debug)]
pub struct Memory<R: Role> {
    peer: Peer<R>,
    unread: VecDeque<Frame>,
    last_goaway: Option<Frame>,
    /// The rules that the peer broke, as the core reports them.
    pub violations: Vec<Violation>,
    /// Why the connection failed.
    pub error: Option<ConnectionError>,
}

/// How a caller handles events.
pub trait App: Role {
    /// Handles one event.
    fn on_event(connection: &mut Connection<Self>, event: &Event)
    where
        Self: Sized;
}

impl App for Client {
    fn on_event(_: &mut Connection<Self>, _: &Event) {}
}

impl App for Server {
    fn on_event(connection: &mut Connection<Self>, event: &Event) {
        match event {
            Event::Request(call) => arrived(connection, *call),
            Event::Readable(call) => echo(connection, *call),
            _ => {}
        }
    }
}

/// Handles a request as a router does.
fn arrived(connection: &mut Connection<Server>, call: CallId) {
    // The call may have ended with its connection; its end is among the same events.
    let Ok(request) = connection.request(call) else { return };
    let path = request.path().to_owned();
    match path.as_str() {
        HOLD => connection.accept(call, CallType::BIDI).expect("an open call"),
        ECHO => {
            connection.accept(call, CallType::UNARY).expect("an open call");
            echo(connection, call);
        }
        _ => {
            let status = Status::unimplemented("no such method");
            connection.finish(call, status, Metadata::new()).expect("the first status");
        }
    }
}

/// A unary handler that returns its request.
fn echo(connection: &mut Connection<Server>, call: CallId) {
    loop {
        match connection.recv(call) {
            Ok(Recv::Message(message)) => {
                // A call that has ended accepts nothing, and reports so where it matters.
                let _ = connection.send_message(call, message.payload, false);
            }
            Ok(Recv::HalfClosed) => {
                let _ = connection.finish(call, Status::ok(), Metadata::new());
                return;
            }
            _ => return,
        }
    }
}

impl<R: App> Memory<R> {
    fn new(config: Config) -> Self {
        let peer = Peer::silent(config);
        Self { peer, unread: VecDeque::new(), last_goaway: None, violations: Vec::new(), error: None }
    }

    /// Records an event about the peer's mistakes.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Ended(_, Cause::Violation(violation)) => self.violations.push(violation.clone()),
            Event::Closed(CloseReason::Error(error)) => {
                if let ConnectionError::Violation(violation) = error {
                    self.violations.push(violation.clone());
                }
                self.error = Some(error.clone());
            }
            _ => {}
        }
    }

    /// Handles events and output until there are none.
    fn settle(&mut self) {
        loop {
            let events = self.peer.events();
            for event in &events {
                self.note(event);
                R::on_event(&mut self.peer.connection, event);
            }
            let sent = self.peer.sent();
            if events.is_empty() && sent.is_empty() {
                return;
            }
            self.last_goaway =
                sent.iter().rev().find(|frame| frame.kind == GOAWAY).cloned().or(self.last_goaway.take());
            self.unread.extend(sent);
        }
    }
}

/// Everything that a connection has reported since the last trace.
#[derive(Clone, PartialEq, Debug)]
pub struct Trace {
    /// The frames that it sent.
    pub sent: Vec<Frame>,
    /// The rules that its peer broke.
    pub violations: Vec<Violation>,
    /// Why it failed.
    pub error: Option<ConnectionError>,
    /// What the caller of its call received.
    pub received: Vec<String>,
}

impl<R: App> Memory<R> {
    /// Writes bytes in pieces. Neither its caller nor its transport handles the connection before it has all of them,
    /// because an answer sent between two pieces differs from one sent after them (P-31).
    pub fn write_pieces(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            // The trace reports the result at the end.
            let _ = self.peer.feed(piece);
        }
        self.settle();
    }

    /// Collects everything that the connection has reported, and what there is to receive on a call.
    pub fn trace(&mut self, call: Option<CallId>) -> Trace {
        self.settle();
        let mut received = Vec::new();
        while let Some(Ok(taken)) = call.map(|call| self.peer.connection.recv(call)) {
            received.push(format!("{taken:?}"));
            if !matches!(taken, Recv::Message(_)) {
                break;
            }
        }
        self.settle();
        Trace {
            sent: self.unread.drain(..).collect(),
            violations: std::mem::take(&mut self.violations),
            error: self.error.clone(),
            received,
        }
    }
}

impl<R: App> Line for Memory<R> {
    fn write(&mut self, bytes: &[u8]) {
        let fed = self.peer.feed(bytes);
        self.settle();
        if let Err(error) = fed {
            let told = self.last_goaway.as_ref().and_then(Frame::code);
            assert_eq!(told, Some(error.code()), "GOAWAY says what the error says");
        }
    }

    fn read(&mut self) -> Option<Frame> {
        self.settle();
        let frame = self.unread.pop_front();
        let over = self.peer.connection.is_closed();
        assert!(frame.is_some() || over, "the connection neither sends nor ends");
        frame
    }

    fn close(&mut self) {
        self.peer.connection.receive_eof(self.peer.now);
        self.settle();
    }
}

impl Memory<Client> {
    fn start_with(&mut self, request: Request, ends: bool) -> Result<CallId, Misuse> {
        let connection = &mut self.peer.connection;
        let unary = request.call_type == CallType::UNARY;
        let call = connection.start(self.peer.now, request)?;
        if unary {
            connection.send_message(call, "request".into(), false)?;
        }
        if ends || unary {
            connection.half_close(call)?;
        }
        self.settle();
        Ok(call)
    }
}

impl Caller for Memory<Client> {
    type Call = Result<CallId, Misuse>;

    fn start(&mut self, call_type: CallType, ends: bool) -> Self::Call {
        self.start_with(Request::new(ECHO, call_type), ends)
    }

    fn start_timed(&mut self) -> Self::Call {
        let mut request = Request::new(ECHO, CallType::UNARY);
        request.deadline = Some(self.peer.now + DEADLINE);
        self.start_with(request, true)
    }

    fn end(&mut self, call: Self::Call) -> End {
        let mut messages = Vec::new();
        let Ok(call) = call else { return End { code: Code::Unavailable, messages } };
        loop {
            self.settle();
            match self.peer.connection.recv(call).expect("its end has not been told") {
                Recv::Message(message) => messages.push(message.payload.to_vec()),
                Recv::End(outcome) => {
                    if let Cause::Violation(violation) = outcome.cause {
                        self.violations.push(violation);
                    }
                    return End { code: outcome.status.code, messages };
                }
                // Nothing more happens except that time passes.
                Recv::Pending if self.peer.connection.deadline(call).is_some() => {
                    self.peer.now = self.peer.now + DEADLINE;
                    self.peer.connection.handle_timeout(self.peer.now);
                }
                other => panic!("the call does not end: {other:?}"),
            }
        }
    }
}

impl Transport for InMemory {
    const NAME: &'static str = "memory";

    type Server = Config;
    type Line = Memory<Server>;
    type Caller = Memory<Client>;

    fn serve(config: Config) -> Config {
        config
    }

    fn connect(server: &Config) -> Memory<Server> {
        Memory::new(server.clone())
    }

    fn client(config: Config) -> Memory<Client> {
        Memory::new(config)
    }
}
