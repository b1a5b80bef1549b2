//! The client's side: a [`Channel`] and the four call types on it.

mod call;
mod channel;
mod options;
mod stream;

pub use call::CallError;
pub use channel::Channel;
pub use options::CallOptions;
pub use stream::{BidiStreaming, ClientReceiver, ClientSender, ClientStreaming, ServerStreaming};

use std::sync::Arc;

use halfclose::{Client, Event};

use crate::driver::Side;
use crate::shared::{Shared, State};

/// A client's driver has nothing to do but to wake the calls, and that needs no knowledge of the role.
#[derive(Debug)]
pub struct ClientSide;

impl Side for ClientSide {
    type Role = Client;

    fn on_event(&mut self, _: &mut State<Client>, _: Event) {}

    fn run(&mut self, _: &Arc<Shared<Client>>) {}

    fn has_work(&self) -> bool {
        false
    }
}
