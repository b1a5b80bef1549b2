//! Whole connections: any bytes from the peer, any commands from the caller, any passing of time.
//!
//! Every step is checked (`endpoint`): legal order of events, timers that progress, halves that move along their
//! tables, commands answered as the tables say. What the core writes is read strictly by RFC 9113 (`output`), against
//! the credit that its input gave it (`credit`).

mod caller;
mod chunking;
mod credit;
mod dialogue;
mod endpoint;
mod hostile;
mod orders;
mod output;
mod script;
mod tables;
mod wire;

pub use chunking::chunking;
pub use dialogue::{client_dialogue, server_dialogue};
pub use hostile::hostile;
pub use wire::{client_connection, server_connection};
