//! The caller of one call at one core: gives orders, takes events, and holds both against what it did before and what
//! its peer has sent.

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

/// Nothing here takes time.
pub(super) const NOW: Time = Time::ZERO;

/// Bytes of every message.
pub(super) const SIZE: u32 = 3;

/// What a caller orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// It receives.
    Recv,
    /// It sends its next message.
    Send,
    /// A server sends response headers.
    Headers,
    /// A client half-closes; a server ends the call with OK.
    Close,
    /// It cancels.
    Cancel,
    /// A client forgets the call.
    Release,
}

/// What a caller has done and been told.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct CallerAccount {
    pub(super) sent: usize,
    pub(super) received: usize,
    /// Client: ordered. Server: told.
    pub(super) half_closed: bool,
    /// Client: told. Server: ordered.
    pub(super) headers: bool,
    pub(super) finished: bool,
    pub(super) cancelled: bool,
    pub(super) released: bool,
    /// `Pending` was told, and `Readable` has not come.
    pub(super) waiting: bool,
    /// The end of the call was told.
    pub(super) ended: bool,
    /// `Closed` was told.
    pub(super) closed: bool,
}

impl CallerAccount {
    /// Whether the call's id is stale.
    pub(super) const fn is_over(&self) -> bool {
        self.ended || self.released
    }
}

/// What the peer has sent, legally and as far as it may have come.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Peer {
    /// Messages.
    pub(super) messages: usize,
    /// It has ended its half.
    pub(super) ended: bool,
}

/// A core, its caller and their one call.
pub(super) struct Caller<R: Role> {
    pub(super) core: Connection<R>,
    pub(super) call_type: CallType,
    pub(super) call: Option<CallId>,
    pub(super) account: CallerAccount,
    /// Kept up to date by whoever plays the peer.
    pub(super) peer: Peer,
    /// Client: what the call came to.
    pub(super) outcome: Option<Outcome>,
    /// Server: why the call ended.
    pub(super) cause: Option<Cause>,
}

/// What the two roles do each in its own way.
pub(super) trait Plays: Role + Sized {
    const SIDE: Side;

    /// A core and its caller; a client's has started its call.
    fn start(call_type: CallType) -> Result<Caller<Self>, FailedProperty>;

    /// How many messages this side of a call carries.
    fn carries(call_type: CallType) -> Cardinality;

    /// An order that is the role's own: whether it was taken and changed anything.
    fn order(caller: &mut Caller<Self>, call: CallId, order: Order) -> Result<bool, FailedProperty>;

    /// `recv` gave neither a message nor `Pending`. Whether that is news.
    fn end_of_half(caller: &mut Caller<Self>, found: Recv) -> Result<bool, FailedProperty>;

    /// Takes an event that is the role's own; `false` where it has no reason.
    fn event(caller: &mut Caller<Self>, event: &Event) -> Result<bool, FailedProperty>;

    /// The transport has ended: reads what is left.
    fn drain(caller: &mut Caller<Self>) -> Result<(), FailedProperty>;
}

impl<R: Plays> Caller<R> {
    fn new(core: Connection<R>, call_type: CallType) -> Self {
        let (account, peer) = (CallerAccount::default(), Peer::default());
        Self { core, call_type, call: None, account, peer, outcome: None, cause: None }
    }

    /// The states of the call's halves, while it is known.
    pub(super) fn states(&self) -> Option<Result<HalfStates, Misuse>> {
        self.call.map(|call| self.core.states(call))
    }

    /// Gives an order. Whether it was taken and changed anything.
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
        // A server's caller has been told that there are no more.
        let over = account.ended || (R::SIDE == Side::Server && account.half_closed);
        let whole = message.payload == content::payload(0, R::SIDE.peer(), index, SIZE);
        let fits = index < self.peer.messages && !over && whole;
        ensure(fits, "messages in order, complete, unmodified", || format!("{index} at {:?}", R::SIDE))?;
        self.account.received += 1;
        Ok(true)
    }

    /// A refused order changes nothing, and is refused for a reason. Whether it was taken.
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

    /// Takes all events.
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

    /// The transport ends: the call has ended by then, once.
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
