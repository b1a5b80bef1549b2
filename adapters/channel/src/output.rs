//! What a channel wants done.

use halfclose::Status;

use crate::state::Connectivity;

/// A connection, from its attempt to its end. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// A call, by a number of its owner's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallKey(pub u64);

/// What the owner of a [`ChannelMachine`](crate::ChannelMachine) is to do, in this order.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Output<A> {
    /// Resolve the name, and say what came of it by [`resolved`](crate::ChannelMachine::resolved).
    Resolve,
    /// Connect to an address, handshakes and the server's SETTINGS included, and say what came of it by
    /// [`connected`](crate::ChannelMachine::connected) or [`failed`](crate::ChannelMachine::failed).
    Connect(ConnectionId, A),
    /// Give up an attempt: nothing is to be said of it any more.
    Abandon(ConnectionId),
    /// Let a connection end with its last call: nothing new goes to it.
    Drain(ConnectionId),
    /// Send a call on a connection. Where it was tried before, the number of earlier attempts goes along as
    /// `grpc-previous-rpc-attempts`; attempts that the server never processed do not count.
    Assign {
        /// The call.
        call: CallKey,
        /// The connection.
        connection: ConnectionId,
        /// Earlier attempts.
        previous_attempts: u32,
    },
    /// End a call with this status: it was not sent, or not processed, and waits no longer.
    Fail(CallKey, Status),
    /// The state has changed.
    State(Connectivity),
}
