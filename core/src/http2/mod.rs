//! One HTTP/2 connection. `engine` holds the state; the rooms beside it hold its methods, one concern each.

pub(crate) mod calls;
pub(crate) mod clock;
mod control;
mod data;
mod end;
pub(crate) mod engine;
mod flow;
pub(crate) mod guard;
mod headers;
mod heads;
pub(crate) mod ids;
mod list;
mod memo;
pub(crate) mod outbox;
pub(crate) mod receive;
mod replies;
mod scheduler;
mod send_queue;
mod send_room;
mod stream;
pub(crate) mod timers;
