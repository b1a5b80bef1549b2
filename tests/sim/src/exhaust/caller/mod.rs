//! The caller of one call at one core: gives commands, handles events, and checks both against its earlier actions
//! and what its peer has sent.

mod client;
mod server;

use bytes::Bytes;
use halfclose::{
    CallId, CallType, Cardinality, Cause, Connection, Event, HalfStates, Message, Misuse, Outcome, Recv,
    Role, Time,
};

use crate::content;
use crate::program::Side;
use crate::wire::{FailedProperty, breach, ensure};

/// The only time of these runs.
pub(super) const NOW: Time = Time::ZERO;

/// Bytes of every message.
pub(super) const SIZE: u32 = 3;

/// A command of a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Receive.
    Recv,
    /// Send the next message.
    Send,
    /// Send response headers, as a server.
    Headers,
    /// Half-close, as a client; end the call with OK, as a server.
    Close,
    /// Cancel.
    Cancel,
    /// Release the call, as a client.
    Release,
}

/// What a caller has done and seen.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct CallerAccount {
    pub(super) sent: usize,
    pub(super) received: usize,
    /// On a client, whether it half-closed; on a server, whether it saw the half-close.
    pub(super) half_closed: bool,
    /// On a client, whether it saw response headers; on a server, whether it sent them.
    pub(super) headers: bool,
    pub(super) finished: bool,
    pub(super) cancelled: bool,
    pub(super) released: bool,
    /// Whether `recv` returned `Pending`, and `Readable` has not followed.
    pub(super) waiting: bool,
    /// Whether the end of the call was reported.
    pub(super) ended: bool,
    /// Whether `Closed` was reported.
    pub(super) closed: bool,
}

impl CallerAccount {
    /// Returns whether the call's id is stale.
    pub(super) const fn is_over(&self) -> bool {
        self.ended || self.released
    }
}

/// What the peer has sent legally, as far as it may have arrived.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Peer {
    /// Messages.
    pub(super) messages: usize,
    /// Whether the peer has ended its half.
    pub(super) ended: bool,
}

/// A core, its caller and their one call.
pub(super) struct Caller<R: Role> {
    pub(super) core: Connection<R>,
    pub(super) call_type: CallType,
    pub(super) call: Option<CallId>,
    pub(super) account: CallerAccount,
    /// The peer's record, which the player of the peer updates.
    pub(super) peer: Peer,
    /// On a client, the call's outcome.
    pub(super) outcome: Option<Outcome>,
    /// On a server, the cause of the call's end.
    pub(super) cause: Option<Cause>,
}

/// The operations that differ between the two roles.
pub(super) trait Plays: Role + Sized {
    const SIDE: Side;

    /// Creates a core and its caller; a client's has started its call.
    fn start(call_type: CallType) -> Result<Caller<Self>, FailedProperty>;

    /// Returns how many messages this side of a call carries.
    fn carries(call_type: CallType) -> Cardinality;

    /// Gives a command of this role. Returns whether it was accepted and changed anything.
    fn order(caller: &mut Caller<Self>, call: CallId, order: Order) -> Result<bool, FailedProperty>;

    /// Handles a `recv` that returned neither a message nor `Pending`. Returns whether that was new.
    fn end_of_half(caller: &mut Caller<Self>, found: Recv) -> Result<bool, FailedProperty>;

    /// Handles an event of this role. Returns `false` if it is unexpected.
    fn event(caller: &mut Caller<Self>, event: &Event) -> Result<bool, FailedProperty>;

    /// Reads what is left after the end of the transport.
    fn drain(caller: &mut Caller<Self>) -> Result<(), FailedProperty>;
}

impl<R: Plays> Caller<R> {
    fn new(core: Connection<R>, call_type: CallType) -> Self {
        let (account, peer) = (CallerAccount::default(), Peer::default());
        Self { core, call_type, call: None, account, peer, outcome: None, cause: None }
    }

    /// Returns the states of the call's halves, while the call is known.
    pub(super) fn states(&self) -> Option<Result<HalfStates, Misuse>> {
        self.call.map(|call| self.core.states(call))
    }

    /// Gives a command. Returns whether it was accepted and changed anything.
    pub(super) fn order(&mut self, order: Order) -> Result<bool, FailedProperty> {
        let Some(call) = self.call else { return Ok(false) };
        match order {
            Order::Recv => self.recv(call),
            Order::Send => self.send(call),
            other => R::order(self, call, other),
        }
    }

    fn send(&mut self, call: CallId) -> Result<bool, FailedProperty> {
        let before = self.states();
        let payload: Bytes = content::payload(0, R::SIDE, self.account.sent, SIZE);
        let sent = self.core.send_message(call, payload, false);
        self.account.sent += usize::from(sent.is_ok());
        let most = if R::carries(self.call_type) == Cardinality::One { 1 } else { usize::MAX };
        ensure(self.account.sent <= most, "a second message is refused", String::new)?;
        self.answered(sent.map(drop), before)
    }

    fn recv(&mut self, call: CallId) -> Result<bool, FailedProperty> {
        let before = self.states();
        match self.core.recv(call) {
            Ok(Recv::Message(message)) => self.message(&message),
            Ok(Recv::Pending) => Ok(!std::mem::replace(&mut self.account.waiting, true)),
            Ok(end) => R::end_of_half(self, end),
            Err(misuse) => self.answered(Err(misuse), before),
        }
    }

    fn message(&mut self, message: &Message) -> Result<bool, FailedProperty> {
        let (index, account) = (self.account.received, &self.account);
        // A server's caller has received the half-close.
        let over = account.ended || (R::SIDE == Side::Server && account.half_closed);
        let whole = message.payload == content::payload(0, R::SIDE.peer(), index, SIZE);
        let fits = index < self.peer.messages && !over && whole;
        ensure(fits, "messages in order, complete, unmodified", || format!("{index} at {:?}", R::SIDE))?;
        self.account.received += 1;
        Ok(true)
    }

    /// Checks that a refused command changed nothing and was refused for a reason. Returns whether it was accepted.
    fn answered(
        &self,
        result: Result<(), Misuse>,
        before: Option<Result<HalfStates, Misuse>>,
    ) -> Result<bool, FailedProperty> {
        if result.is_err() {
            let same = before == self.states();
            ensure(same, "misuse never changes state", || format!("{result:?}"))?;
        }
        let stale = result == Err(Misuse::UnknownCall);
        ensure(stale == self.account.is_over(), "a stale id is refused", || format!("{result:?}"))?;
        Ok(result.is_ok())
    }

    /// Handles all events.
    pub(super) fn events(&mut self) -> Result<(), FailedProperty> {
        while let Some(event) = self.core.poll_event() {
            let account = &mut self.account;
            ensure(!account.closed, "Closed comes last, once", || format!("{event:?}"))?;
            match event {
                Event::Readable(id) if Some(id) == self.call && account.waiting && !account.is_over() => {
                    account.waiting = false;
                }
                Event::Closed(_) => account.closed = true,
                Event::PeerSettings => {}
                other => {
                    if !R::event(self, &other)? {
                        return breach("no event without a reason", format!("{:?}: {other:?}", R::SIDE));
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the transport, and checks that the call has ended once by then.
    pub(super) fn finish(&mut self) -> Result<(), FailedProperty> {
        self.core.receive_eof(NOW);
        self.events()?;
        // A server may have been about to answer a request that is complete.
        self.core.transport_failed(NOW);
        self.events()?;
        R::drain(self)?;
        let ended = self.account.is_over() || self.call.is_none();
        ensure(ended, "exactly one terminal event", || format!("{:?}", self.call))?;
        let property = "Closed comes last, once, and nothing is kept";
        ensure(self.account.closed && self.core.is_idle(), property, String::new)
    }
}
