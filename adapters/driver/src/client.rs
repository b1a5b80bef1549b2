//! The client's side: a [`Channel`] and the four call types on it.

mod call;
mod channel;
mod options;
mod side;
mod stream;

pub use call::CallError;
pub use channel::Channel;
pub use options::CallOptions;
pub use side::{ClientDriver, ClientSide};
pub use stream::{BidiStreaming, ClientReceiver, ClientSender, ClientStreaming, ServerStreaming};
