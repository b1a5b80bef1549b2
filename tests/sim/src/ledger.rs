//! What the callers commanded and saw, kept apart from the cores: the basis of the model.

use halfclose::{Cause, Metadata, Status, Time};

use crate::program::Side;

/// A message that a core accepted for sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentMessage {
    /// Bytes.
    pub(crate) size: u32,
    /// Whether it was compressed.
    pub(crate) compressed: bool,
}

impl SentMessage {
    /// Bytes of the message on the wire.
    #[must_use]
    pub(crate) const fn wire_len(&self) -> u64 {
        crate::content::wire_len(self.size, self.compressed)
    }
}

/// One side of one call.
#[derive(Clone, Default, Debug)]
pub(crate) struct Account {
    /// The messages that the core accepted, in order.
    pub(crate) sent: Vec<SentMessage>,
    /// The number of messages that the caller received.
    pub(crate) received: usize,
    /// On a client, whether it half-closed; on a server, whether it saw the half-close.
    pub(crate) half_closed: bool,
    /// Whether the caller cancelled or released the call.
    pub(crate) cancelled: bool,
    /// Whether the call's end was reported.
    pub(crate) ended: bool,
}

/// One call.
#[derive(Default, Debug)]
pub(crate) struct Ledger {
    /// The client's side.
    pub(crate) client: Account,
    /// The server's side.
    pub(crate) server: Account,
    /// When the client started it.
    pub(crate) started: Option<Time>,
    /// Its deadline.
    pub(crate) deadline: Option<Time>,
    /// Whether the call was released, so that nothing more is reported.
    pub(crate) released: bool,
    /// Whether response headers were reported.
    pub(crate) response: bool,
    /// Whether the request reached the server's caller.
    pub(crate) seen: bool,
    /// Whether the server's caller sent response headers.
    pub(crate) headers: bool,
    /// The status that the server's caller gave.
    pub(crate) finished: Option<(Status, Metadata)>,
    /// The outcome that the client received.
    pub(crate) outcome: Option<(Status, Cause)>,
    /// The cause that the server received.
    pub(crate) cause: Option<Cause>,
}

impl Ledger {
    /// Returns a side's account, and its peer's.
    pub(crate) const fn accounts(&mut self, side: Side) -> (&mut Account, &Account) {
        match side {
            Side::Client => (&mut self.client, &self.server),
            Side::Server => (&mut self.server, &self.client),
        }
    }
}

/// What happened to the connection, for the model to excuse.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Events {
    /// Whether a graceful shutdown was commanded, or a GOAWAY received.
    pub(crate) going_away: bool,
    /// Whether the transport ended or broke.
    pub(crate) broken: bool,
}
