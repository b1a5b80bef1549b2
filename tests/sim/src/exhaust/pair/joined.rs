//! Two cores, their callers, and the frames in flight.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use halfclose::{CallType, Cardinality, Client, Server};

use super::Action;
use crate::content;
use crate::exhaust::caller::{Caller, CallerAccount, NOW, Peer, Plays, SIZE};
use crate::exhaust::{Order, cut};
use crate::program::Side;
use crate::wire::{FailedProperty, Wire, breach, ensure};

/// The product of both cores for one call.
pub(super) struct Pair {
    pub(super) call_type: CallType,
    messages: usize,
    pub(super) client: Caller<Client>,
    pub(super) server: Caller<Server>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    wire: Wire,
}

impl Pair {
    pub(super) fn new(call_type: CallType, messages: usize) -> Result<Self, FailedProperty> {
        let mut pair = Self {
            call_type,
            messages,
            client: Client::start(call_type)?,
            server: Server::start(call_type)?,
            up: VecDeque::new(),
            down: VecDeque::new(),
            wire: Wire::of_one_call(),
        };
        pair.settle()?;
        Ok(pair)
    }

    /// Handles all events and all output.
    fn settle(&mut self) -> Result<(), FailedProperty> {
        settle(&mut self.client, &mut self.wire, &mut self.up)?;
        settle(&mut self.server, &mut self.wire, &mut self.down)
    }

    /// Performs an action. Returns whether it was possible and changed anything.
    pub(super) fn act(&mut self, action: Action) -> Result<bool, FailedProperty> {
        let changed = match action {
            Action::Up => deliver(&mut self.server, &mut self.up, &mut self.wire)?,
            Action::Down => deliver(&mut self.client, &mut self.down, &mut self.wire)?,
            Action::Client(order) => {
                let server = &self.server.account;
                self.client.peer = Peer { messages: server.sent, ended: server.finished };
                give(&mut self.client, order, self.messages, &mut self.wire)?
            }
            Action::Server(order) => {
                let client = &self.client.account;
                self.server.peer = Peer { messages: client.sent, ended: client.half_closed };
                give(&mut self.server, order, self.messages, &mut self.wire)?
            }
        };
        self.settle()?;
        Ok(changed)
    }

    /// Returns everything that can be observed of the state.
    pub(super) fn signature(&self) -> Signature {
        let outcome = self.client.outcome.as_ref().map(|outcome| (outcome.status.code, &outcome.cause));
        let states = [self.client.states(), self.server.states()];
        Signature {
            halves_and_ends: format!("{states:?} {outcome:?} {:?}", self.server.cause),
            accounts: [self.client.account.clone(), self.server.account.clone()],
            on_way: [self.up.clone(), self.down.clone()],
        }
    }
}

/// The identity of a state.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(super) struct Signature {
    halves_and_ends: String,
    accounts: [CallerAccount; 2],
    on_way: [VecDeque<Vec<u8>>; 2],
}

/// Handles all events and all output of one side.
fn settle<R: Plays>(
    caller: &mut Caller<R>,
    wire: &mut Wire,
    into: &mut VecDeque<Vec<u8>>,
) -> Result<(), FailedProperty> {
    caller.events()?;
    let mut bytes = Vec::new();
    while let Some(mut transmit) = caller.core.poll_transmit(NOW) {
        bytes.extend_from_slice(&transmit.copy_to_bytes(transmit.remaining()));
    }
    wire.emitted(R::SIDE, &bytes)?;
    wire.polled(R::SIDE);
    into.extend(cut(&bytes).into_iter().map(<[u8]>::to_vec));
    // What was written may have reported an end.
    caller.events()?;
    ensure(!caller.account.closed, "no event without a reason", || format!("{:?} is closed", R::SIDE))?;
    wire.check_debts(R::SIDE, u64::MAX >> 1)
}

/// Delivers the next frame, if there is one.
fn deliver<R: Plays>(
    to: &mut Caller<R>,
    from: &mut VecDeque<Vec<u8>>,
    wire: &mut Wire,
) -> Result<bool, FailedProperty> {
    let Some(frame) = from.pop_front() else { return Ok(false) };
    match to.core.receive(NOW, &mut BytesMut::from(frame.as_slice())) {
        Ok(_) => wire.consumed(R::SIDE, &frame)?,
        Err(error) => return breach("an honest peer breaks no rule", format!("{:?}: {error}", R::SIDE)),
    }
    Ok(true)
}

/// Gives one caller's command, if its plan still has it.
fn give<R: Plays>(
    caller: &mut Caller<R>,
    order: Order,
    messages: usize,
    wire: &mut Wire,
) -> Result<bool, FailedProperty> {
    let many = R::carries(caller.call_type) == Cardinality::Many;
    // If only one message is allowed, the core itself refuses the second.
    if order == Order::Send && many && caller.account.sent >= messages {
        return Ok(false);
    }
    let before = caller.account.received;
    let changed = caller.order(order)?;
    if caller.account.received > before
        && let Some(stream) = wire.stream_of(0)
    {
        wire.read(R::SIDE, stream, content::wire_len(SIZE, false));
    }
    // The server's caller reads no more of a call that it has ended.
    if changed
        && matches!(order, Order::Cancel | Order::Close)
        && R::SIDE == Side::Server
        && let Some(stream) = wire.stream_of(0)
    {
        wire.abandon(R::SIDE, stream);
    }
    Ok(changed)
}
