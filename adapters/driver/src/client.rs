//! The client's side: a [`Channel`] and the four call types on it.

mod builder;
mod call;
mod channel;
mod invoke;
mod options;
mod side;
mod stream;
mod watch;

pub use builder::{BidiStreamingCall, ClientStreamingCall, ServerStreamingCall, UnaryCall, UnaryResponse};
pub use call::CallError;
pub use channel::Channel;
pub use invoke::{Canceller, Invoke, OutgoingCall, RawCall, ReceiveMessages, SendMessages};
pub use options::CallOptions;
pub use side::{ClientDriver, ClientSide};
pub use stream::{BidiStreaming, ClientReceiver, ClientSender, ClientStreaming, ServerStreaming};
