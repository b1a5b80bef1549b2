//! What a hostile server does to a client.

use halfclose::Client;

use crate::Attack;

/// Every attack of a server.
pub const ATTACKS: &[Attack<Client>] = &[];
