//! One HTTP/2 connection: the parts that know nothing of streams and frames.

#[allow(dead_code)] // used by the engine
pub(crate) mod guard;
#[allow(dead_code)] // used by the engine
pub(crate) mod ids;
#[allow(dead_code)] // used by the engine
pub(crate) mod outbox;
#[allow(dead_code)] // used by the engine
pub(crate) mod timers;
