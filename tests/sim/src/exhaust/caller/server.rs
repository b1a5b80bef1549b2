//! The server's part.

use halfclose::{
    CallId, CallType, Cardinality, Config, Connection, Event, Metadata, Recv, Seed, Server, Status,
};

use super::{Caller, NOW, Order, Plays};
use crate::program::Side;
use crate::wire::{FailedProperty, breach, ensure};

impl Plays for Server {
    const SIDE: Side = Side::Server;

    fn start(call_type: CallType) -> Result<Caller<Self>, FailedProperty> {
        Ok(Caller::new(Connection::new(Config::server(), Seed(2), NOW), call_type))
    }

    fn carries(call_type: CallType) -> Cardinality {
        call_type.responses
    }

    fn order(caller: &mut Caller<Self>, call: CallId, order: Order) -> Result<bool, FailedProperty> {
        let before = caller.states();
        let (core, account) = (&mut caller.core, &mut caller.account);
        let (result, done) = match order {
            Order::Headers => (core.send_headers(call, Metadata::new()), &mut account.headers),
            Order::Close => (core.finish(call, Status::ok(), Metadata::new()), &mut account.finished),
            Order::Cancel => (core.cancel(call), &mut account.cancelled),
            other => return breach("a server has no such order", format!("{other:?}")),
        };
        *done |= result.is_ok();
        caller.answered(result, before)
    }

    fn end_of_half(caller: &mut Caller<Self>, found: Recv) -> Result<bool, FailedProperty> {
        let property = "half-close seen once, after every message";
        let whole = caller.peer.ended && caller.account.received == caller.peer.messages;
        ensure(matches!(found, Recv::HalfClosed) && whole, property, || {
            format!("{found:?}: {:?} of {:?}", caller.account, caller.peer)
        })?;
        Ok(!std::mem::replace(&mut caller.account.half_closed, true))
    }

    fn event(caller: &mut Caller<Self>, event: &Event) -> Result<bool, FailedProperty> {
        match event {
            Event::Request(id) => {
                ensure(caller.call.replace(*id).is_none(), "a call is told once", String::new)?;
                let accepted = caller.core.accept(*id, caller.call_type);
                ensure(accepted.is_ok(), "a legal order is taken", || format!("{accepted:?}"))?;
                Ok(true)
            }
            Event::Ended(id, cause) => {
                let first = !std::mem::replace(&mut caller.account.ended, true);
                caller.cause = Some(cause.clone());
                Ok(first && Some(*id) == caller.call)
            }
            _ => Ok(false),
        }
    }

    fn drain(_: &mut Caller<Self>) -> Result<(), FailedProperty> {
        Ok(())
    }
}
