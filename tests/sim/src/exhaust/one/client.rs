//! A client core and its caller.

use halfclose::{CallId, Cardinality, Client, Config, Connection, Event, Misuse, Recv, Request, Seed, Shape};

use super::{Input, NOW, Rig};
use crate::content;
use crate::program::Side;
use crate::wire::{Breach, breach, ensure};

pub(super) struct ClientRig {
    core: Connection<Client>,
    shape: Shape,
    call: Option<CallId>,
    whole: usize,
    received: usize,
    sent: usize,
    told_head: bool,
    waiting: bool,
    released: bool,
    ended: bool,
    closed: bool,
}

impl ClientRig {
    pub(super) fn new(shape: Shape) -> Self {
        let mut core = Connection::new(Config::client(), Seed(0), NOW);
        let call = core.start(NOW, Request::new("/sim.Service/Method", shape)).ok();
        Self {
            core,
            shape,
            call,
            whole: 0,
            received: 0,
            sent: 0,
            told_head: false,
            waiting: false,
            released: false,
            ended: false,
            closed: false,
        }
    }

    fn recv(&mut self, call: CallId) -> Result<bool, Breach> {
        match self.core.recv(call) {
            Ok(Recv::Message(message)) => {
                let expected = content::payload(0, Side::Server, self.received, 3);
                let fits = self.received < self.whole && message.payload == expected;
                ensure(fits, "messages in order, complete, unmodified", || {
                    format!("response {}", self.received)
                })?;
                self.received += 1;
                Ok(true)
            }
            Ok(Recv::Pending) => Ok(!std::mem::replace(&mut self.waiting, true)),
            Ok(Recv::End(outcome)) => {
                ensure(!self.ended, "exactly one terminal event", || format!("{outcome:?}"))?;
                self.ended = true;
                // A truncated answer never passes for a whole one.
                let all = self.received == self.whole;
                let one = self.shape.responses == Cardinality::Many || self.received == 1;
                ensure(!outcome.status.is_ok() || (all && one), "OK means complete", || {
                    format!("{outcome:?}")
                })?;
                Ok(true)
            }
            other => self.refused(other.map(drop)),
        }
    }

    fn refused(&self, result: Result<(), Misuse>) -> Result<bool, Breach> {
        let stale = result == Err(Misuse::UnknownCall);
        ensure(stale == (self.ended || self.released), "a stale id is refused", || format!("{result:?}"))?;
        Ok(result.is_ok())
    }
}

impl Rig for ClientRig {
    type Role = Client;

    fn core(&mut self) -> &mut Connection<Client> {
        &mut self.core
    }

    fn order(&mut self, input: Input) -> Result<bool, Breach> {
        let Some(call) = self.call else { return breach("a legal order is taken", "start") };
        let before = self.core.states(call);
        let result = match input {
            Input::Recv => return self.recv(call),
            Input::Send => {
                let sent =
                    self.core.send_message(call, content::payload(0, Side::Client, self.sent, 3), false);
                self.sent += usize::from(sent.is_ok());
                let most = if self.shape.requests == Cardinality::One { 1 } else { usize::MAX };
                ensure(self.sent <= most, "a second message is refused", String::new)?;
                sent.map(drop)
            }
            Input::Close => self.core.half_close(call),
            Input::Release => {
                let again = self.released || self.ended;
                self.core.release(call);
                self.released = true;
                return Ok(!again);
            }
            _ => {
                // Cancelling again is legal and changes nothing.
                let cancelled = self.core.cancel(call);
                let changed = before != self.core.states(call);
                return Ok(self.refused(cancelled)? && changed);
            }
        };
        if result.is_err() {
            ensure(before == self.core.states(call), "misuse never changes state", || format!("{result:?}"))?;
        }
        self.refused(result)
    }

    fn events(&mut self) -> Result<(), Breach> {
        while let Some(event) = self.core.poll_event() {
            ensure(!self.closed, "Closed comes last, once", || format!("{event:?}"))?;
            let over = self.ended || self.released;
            match event {
                Event::Response(id) if Some(id) == self.call && !over && !self.told_head => {
                    self.told_head = true;
                }
                Event::Readable(id) if Some(id) == self.call && !over && self.waiting => self.waiting = false,
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
        let Some(call) = self.call else { return Ok(()) };
        for _ in 0..=self.whole + 1 {
            if !self.ended && !self.released {
                self.recv(call)?;
            }
        }
        ensure(self.ended || self.released, "exactly one terminal event", || format!("{call:?}"))?;
        ensure(
            self.closed && self.core.is_idle(),
            "Closed comes last, once, and nothing is kept",
            String::new,
        )
    }
}
