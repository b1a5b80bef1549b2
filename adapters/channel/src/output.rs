//! The actions that a channel asks for.

use halfclose::Status;

use crate::state::Connectivity;

/// A connection, from its attempt to its end. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// A call, by a number that its owner chooses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallKey(pub u64);

/// An action for the owner of a [`ChannelMachine`](crate::ChannelMachine), in order.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Output<A> {
    /// Resolve the name, and report the result by [`resolved`](crate::ChannelMachine::resolved).
    Resolve,
    /// Connect to an address, including handshakes and the server's SETTINGS, and report the result by
    /// [`connected`](crate::ChannelMachine::connected) or [`failed`](crate::ChannelMachine::failed).
    Connect(ConnectionId, A),
    /// Give up an attempt; nothing more is reported about it.
    Abandon(ConnectionId),
    /// Let a connection end with its last call; no new call uses it.
    Drain(ConnectionId),
    /// Send a call on a connection. If it was tried before, send the number of earlier attempts as
    /// `grpc-previous-rpc-attempts`; attempts that the server never processed do not count.
    Assign {
        /// The call.
        call: CallKey,
        /// The connection.
        connection: ConnectionId,
        /// Earlier attempts.
        previous_attempts: u32,
    },
    /// End a call with this status: it was not sent, or not processed, and no longer waits.
    Fail(CallKey, Status),
    /// The state has changed.
    State(Connectivity),
}
