//! A server core and its caller.

use halfclose::{
    CallId, Cardinality, Config, Connection, Event, Metadata, Misuse, Recv, Seed, Server, Shape, Status,
};

use super::{Input, NOW, Rig};
use crate::content;
use crate::program::Side;
use crate::wire::{Breach, breach, ensure};

pub(super) struct ServerRig {
    core: Connection<Server>,
    shape: Shape,
    call: Option<CallId>,
    whole: usize,
    received: usize,
    sent: usize,
    half_closed: bool,
    waiting: bool,
    ended: bool,
    closed: bool,
}

impl ServerRig {
    pub(super) fn new(shape: Shape) -> Self {
        let core = Connection::new(Config::server(), Seed(0), NOW);
        Self {
            core,
            shape,
            call: None,
            whole: 0,
            received: 0,
            sent: 0,
            half_closed: false,
            waiting: false,
            ended: false,
            closed: false,
        }
    }

    fn recv(&mut self, call: CallId) -> Result<bool, Breach> {
        match self.core.recv(call) {
            Ok(Recv::Message(message)) => {
                let expected = content::payload(0, Side::Client, self.received, 3);
                let fits = self.received < self.whole && !self.half_closed && message.payload == expected;
                ensure(fits, "messages in order, complete, unmodified", || {
                    format!("request {}", self.received)
                })?;
                self.received += 1;
                Ok(true)
            }
            Ok(Recv::Pending) => Ok(!std::mem::replace(&mut self.waiting, true)),
            Ok(Recv::HalfClosed) => {
                ensure(self.received == self.whole, "half-close seen once, after every message", || {
                    format!("{} of {}", self.received, self.whole)
                })?;
                Ok(!std::mem::replace(&mut self.half_closed, true))
            }
            other => self.refused(other.map(drop)),
        }
    }

    fn refused(&self, result: Result<(), Misuse>) -> Result<bool, Breach> {
        let stale = result == Err(Misuse::UnknownCall);
        ensure(stale == self.ended, "a stale id is refused", || format!("{result:?}"))?;
        Ok(result.is_ok())
    }
}

impl Rig for ServerRig {
    type Role = Server;

    fn core(&mut self) -> &mut Connection<Server> {
        &mut self.core
    }

    fn order(&mut self, input: Input) -> Result<bool, Breach> {
        let Some(call) = self.call else { return Ok(false) };
        let before = self.core.states(call);
        let result = match input {
            Input::Recv => return self.recv(call),
            Input::Send => {
                let sent =
                    self.core.send_message(call, content::payload(0, Side::Server, self.sent, 3), false);
                self.sent += usize::from(sent.is_ok());
                let most = if self.shape.responses == Cardinality::One { 1 } else { usize::MAX };
                ensure(self.sent <= most, "a second message is refused", String::new)?;
                sent.map(drop)
            }
            Input::Headers => self.core.send_headers(call, Metadata::new()),
            Input::Close => self.core.finish(call, Status::ok(), Metadata::new()),
            _ => self.core.cancel(call),
        };
        if result.is_err() {
            ensure(before == self.core.states(call), "misuse never changes state", || format!("{result:?}"))?;
        }
        self.refused(result)
    }

    fn events(&mut self) -> Result<(), Breach> {
        while let Some(event) = self.core.poll_event() {
            ensure(!self.closed, "Closed comes last, once", || format!("{event:?}"))?;
            match event {
                Event::Request(id) => {
                    ensure(self.call.replace(id).is_none(), "a call is told once", String::new)?;
                    let accepted = self.core.accept(id, self.shape);
                    ensure(accepted.is_ok(), "a legal order is taken", || format!("{accepted:?}"))?;
                }
                Event::Readable(id) if Some(id) == self.call && self.waiting && !self.ended => {
                    self.waiting = false;
                }
                Event::Ended(id, _) if Some(id) == self.call && !self.ended => self.ended = true,
                Event::Closed(_) => self.closed = true,
                Event::PeerSettings => {}
                other => return breach("no event without a reason", format!("{other:?}")),
            }
        }
        Ok(())
    }

    fn arrived(&mut self, whole: usize) {
        self.whole = whole;
    }

    fn finish(&mut self) -> Result<(), Breach> {
        ensure(self.ended == self.call.is_some(), "exactly one terminal event", || {
            format!("{:?}", self.call)
        })?;
        ensure(
            self.closed && self.core.is_idle(),
            "Closed comes last, once, and nothing is kept",
            String::new,
        )
    }
}
