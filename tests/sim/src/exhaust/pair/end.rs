//! A fair end from any state, and the required result of the call.

use halfclose::{Cardinality, Cause, Initiator, Outcome};

use super::Action;
use super::joined::Pair;
use crate::exhaust::Order;
use crate::wire::{FailedProperty, ensure};

/// Rounds after which a run counts as one that never settles.
const MOST_ROUNDS: usize = 100;

impl Pair {
    /// Brings the run to a fair end, in which the call must end on both sides.
    pub(super) fn finish(&mut self) -> Result<(), FailedProperty> {
        let mut rounds = 0;
        while self.round()? {
            rounds += 1;
            ensure(rounds < MOST_ROUNDS, "the run comes to rest", || self.describe())?;
        }
        let server_over = self.server.call.is_none() || self.server.account.ended;
        let over = self.client.account.ended && server_over;
        ensure(over, "with a fair network every call ends", || self.describe())?;
        let idle = self.client.core.is_idle() && self.server.core.is_idle();
        ensure(idle, "nothing is kept of a call", || self.describe())?;
        self.judge()
    }

    fn describe(&self) -> String {
        format!("{:?}", self.signature())
    }

    /// Delivers everything, and lets both callers act as honest callers do. Returns whether anything moved.
    fn round(&mut self) -> Result<bool, FailedProperty> {
        let mut moved = self.act(Action::Up)? | self.act(Action::Down)?;
        let client = &self.client.account;
        if !client.ended && !client.waiting {
            moved |= self.act(Action::Client(Order::Recv))?;
        }
        let server = &self.server.account;
        if !server.ended && !server.half_closed {
            moved |= self.act(Action::Server(Order::Recv))?;
        }
        let client = &self.client.account;
        if !client.ended && !client.half_closed && !client.cancelled {
            // An honest caller of a method with one request sends it.
            if self.call_type.requests == Cardinality::One && client.sent == 0 {
                moved |= self.act(Action::Client(Order::Send))?;
            }
            moved |= self.act(Action::Client(Order::Close))?;
        }
        let server = &self.server.account;
        if !server.ended && !server.finished && server.half_closed {
            moved |= self.act(Action::Server(Order::Close))?;
        }
        Ok(moved)
    }

    /// Checks that the outcome and the cause follow from a command.
    fn judge(&self) -> Result<(), FailedProperty> {
        let (client, server) = (&self.client.account, &self.server.account);
        let detail = || format!("{:?} {:?} {client:?} {server:?}", self.client.outcome, self.server.cause);
        // P-70 to P-73: the number of requests was wrong, and the library answers.
        let miscounted = self.call_type.requests == Cardinality::One && client.sent != 1;
        if let Some(Outcome { status, cause, .. }) = &self.client.outcome {
            let fits = match cause {
                Cause::Trailers | Cause::TrailersOnly => {
                    let complete = client.received == server.sent;
                    let missing = self.call_type.responses == Cardinality::One && server.sent == 0;
                    (server.finished && complete && status.is_ok() != missing)
                        || (miscounted && !status.is_ok())
                }
                Cause::Cancelled => client.cancelled,
                Cause::Reset { .. } => server.cancelled,
                _ => false,
            };
            ensure(fits, "the outcome is what was ordered", detail)?;
        }
        let fits = match &self.server.cause {
            None => true,
            Some(Cause::Trailers | Cause::TrailersOnly) => server.finished,
            Some(Cause::Reset { by, .. }) => match by {
                Initiator::User => server.cancelled,
                Initiator::Remote => client.cancelled,
                Initiator::Library => miscounted,
            },
            Some(_) => false,
        };
        ensure(fits, "the cause is what was ordered", detail)
    }
}
