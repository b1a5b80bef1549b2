//! The client's part.

use halfclose::{CallId, CallType, Cardinality, Client, Config, Connection, Event, Recv, Request, Seed};

use super::{Caller, NOW, Order, Plays};
use crate::program::Side;
use crate::wire::{FailedProperty, breach, ensure};

impl Plays for Client {
    const SIDE: Side = Side::Client;

    fn start(call_type: CallType) -> Result<Caller<Self>, FailedProperty> {
        let mut caller = Caller::new(Connection::new(Config::client(), Seed(1), NOW), call_type);
        match caller.core.start(NOW, Request::new("/sim.Service/Method", call_type)) {
            Ok(call) => caller.call = Some(call),
            Err(misuse) => return breach("a legal order is taken", format!("start: {misuse:?}")),
        }
        Ok(caller)
    }

    fn carries(call_type: CallType) -> Cardinality {
        call_type.requests
    }

    fn order(caller: &mut Caller<Self>, call: CallId, order: Order) -> Result<bool, FailedProperty> {
        let before = caller.states();
        match order {
            Order::Close => {
                let closed = caller.core.half_close(call);
                caller.account.half_closed |= closed.is_ok();
                caller.answered(closed, before)
            }
            Order::Cancel => {
                let cancelled = caller.core.cancel(call);
                // A second cancel is legal and changes nothing.
                let again = caller.account.cancelled;
                caller.account.cancelled |= cancelled.is_ok();
                Ok(caller.answered(cancelled, before)? && !again)
            }
            Order::Release => {
                caller.core.release(call);
                let again = caller.account.is_over();
                caller.account.released = true;
                Ok(!again)
            }
            other => breach("a client has no such order", format!("{other:?}")),
        }
    }

    fn end_of_half(caller: &mut Caller<Self>, found: Recv) -> Result<bool, FailedProperty> {
        let Recv::End(outcome) = found else {
            return breach("a client's call ends with an outcome", format!("{found:?}"));
        };
        ensure(!caller.account.ended, "exactly one terminal event", || format!("{outcome:?}"))?;
        caller.account.ended = true;
        // A truncated answer never counts as a whole one.
        let received = caller.account.received;
        let all = received == caller.peer.messages;
        let one = caller.call_type.responses == Cardinality::Many || received == 1;
        ensure(!outcome.status.is_ok() || (all && one), "OK means complete", || format!("{outcome:?}"))?;
        caller.outcome = Some(outcome);
        Ok(true)
    }

    fn event(caller: &mut Caller<Self>, event: &Event) -> Result<bool, FailedProperty> {
        let Event::Response(id) = event else { return Ok(false) };
        let ours = Some(*id) == caller.call && !caller.account.is_over();
        ensure(!caller.account.headers, "response headers are told once", String::new)?;
        caller.account.headers = true;
        Ok(ours)
    }

    fn drain(caller: &mut Caller<Self>) -> Result<(), FailedProperty> {
        for _ in 0..=caller.peer.messages + 1 {
            if !caller.account.is_over() {
                caller.order(Order::Recv)?;
            }
        }
        Ok(())
    }
}
