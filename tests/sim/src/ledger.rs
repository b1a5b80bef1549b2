//! What the callers ordered and saw, kept apart from the cores: the ground of the model.

use halfclose::{Cause, Metadata, Status, Time};

use crate::program::Side;

/// A message that a core took for sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentMessage {
    /// Bytes.
    pub(crate) size: u32,
    /// Whether it was compressed.
    pub(crate) compressed: bool,
}

impl SentMessage {
    /// Bytes that it takes on the wire.
    #[must_use]
    pub(crate) const fn wire_len(&self) -> u64 {
        crate::content::wire_len(self.size, self.compressed)
    }
}

/// One side of one call.
#[derive(Clone, Default, Debug)]
pub(crate) struct Account {
    /// The messages that the core took, in order.
    pub(crate) sent: Vec<SentMessage>,
    /// Messages that the caller received.
    pub(crate) received: usize,
    /// Client: the half-close was ordered. Server: it was seen.
    pub(crate) half_closed: bool,
    /// The caller cancelled or released the call.
    pub(crate) cancelled: bool,
    /// The call's end was told.
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
    /// It was released: nothing more is told.
    pub(crate) released: bool,
    /// Response headers were told.
    pub(crate) response: bool,
    /// The request reached the server's caller.
    pub(crate) seen: bool,
    /// The server's caller ordered response headers.
    pub(crate) headers: bool,
    /// The status that the server's caller gave.
    pub(crate) finished: Option<(Status, Metadata)>,
    /// What the client was told in the end.
    pub(crate) outcome: Option<(Status, Cause)>,
    /// What the server was told in the end.
    pub(crate) cause: Option<Cause>,
}

impl Ledger {
    /// A side's account, and its peer's.
    pub(crate) const fn accounts(&mut self, side: Side) -> (&mut Account, &Account) {
        match side {
            Side::Client => (&mut self.client, &self.server),
            Side::Server => (&mut self.server, &self.client),
        }
    }
}

/// What befell the connection, for the model to excuse.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Events {
    /// A graceful shutdown was ordered, or a GOAWAY met.
    pub(crate) going_away: bool,
    /// The transport ended or broke.
    pub(crate) broken: bool,
}
