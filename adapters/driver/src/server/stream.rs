//! The three streaming call types as their handlers see them. The handler's return value is the status, so that a
//! handler can neither forget the trailers nor send them twice.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use halfclose::{CallId, Metadata, Server, Status};

use super::call::{ServerCall, poll_receive};
use super::context::Context;
use crate::codec::{self, Codec};
use crate::compression::{Outgoing, Unpacking, poll_send};
use crate::method::{Response, SendError};
use crate::shared::{CallHalf, Shared};
use crate::wakers::{HoldsWaker, poll_half};

/// The sending half of a call: responses, in order. The status follows when the handler returns.
pub struct ServerSender<Res, C> {
    shared: Arc<Shared<Server>>,
    call: CallId,
    compress: bool,
    types: PhantomData<fn(Res, C)>,
}

impl<Res, C: Codec<Res>> ServerSender<Res, C> {
    fn new(call: &ServerCall) -> Self {
        Self { shared: Arc::clone(&call.shared), call: call.call, compress: true, types: PhantomData }
    }

    /// Sends a response, waiting while the send buffer is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if the call is over.
    pub async fn send(&mut self, message: &Res) -> Result<(), SendError> {
        let payload = codec::encode::<Res, C>(message).map_err(SendError::Encode)?;
        let mut message = Some(Outgoing::Plain(payload));
        poll_half(self, |this, cx| poll_send(&this.shared, this.call, cx, &mut message, this.compress)).await
    }

    /// Sets whether further messages are compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.compress = compress;
    }
}

impl<Res, C> HoldsWaker for ServerSender<Res, C> {
    fn forget_waker(&mut self) {
        self.shared.forget_waker(self.call, CallHalf::Send);
    }
}

/// The receiving half of a call: requests, in order.
pub struct ServerReceiver<Req, C> {
    shared: Arc<Shared<Server>>,
    call: CallId,
    /// Whether the next wait sends the response headers.
    early_headers: bool,
    unpacking: Option<Unpacking>,
    compressed: bool,
    types: PhantomData<fn(C) -> Req>,
}

impl<Req, C: Codec<Req>> ServerReceiver<Req, C> {
    fn new(call: &ServerCall) -> Self {
        Self {
            shared: Arc::clone(&call.shared),
            call: call.call,
            early_headers: call.early_headers,
            unpacking: None,
            compressed: false,
            types: PhantomData,
        }
    }

    /// Returns the next request; `None` once the client has half-closed, which completes the request.
    ///
    /// # Errors
    ///
    /// A status if the call is over or the message could not be decoded; usually the handler should return it.
    pub async fn recv(&mut self) -> Result<Option<Req>, Status> {
        let receiving = poll_half(self, |this, cx| {
            let Self { shared, call, early_headers, unpacking, .. } = this;
            poll_receive(shared, *call, cx, early_headers, unpacking)
        });
        let Some(message) = receiving.await? else {
            return Ok(None);
        };
        self.compressed = message.compressed;
        codec::decode::<Req, C>(message.payload).map(Some)
    }

    /// Returns whether the last received message arrived compressed.
    #[must_use]
    pub const fn was_compressed(&self) -> bool {
        self.compressed
    }
}

impl<Req, C> HoldsWaker for ServerReceiver<Req, C> {
    fn forget_waker(&mut self) {
        self.shared.forget_waker(self.call, CallHalf::Receive);
    }
}

/// A call with one request and many responses.
pub struct ServerStreamingServer<Res, C> {
    sender: ServerSender<Res, C>,
    context: Context,
}

impl<Res, C: Codec<Res>> ServerStreamingServer<Res, C> {
    pub(super) fn new(call: &ServerCall, context: Context) -> Self {
        Self { sender: ServerSender::new(call), context }
    }

    /// Sends a response, waiting while the send buffer is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if the call is over.
    pub async fn send(&mut self, message: &Res) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Sets whether further messages are compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.sender.set_compress(compress);
    }
}

/// A call with many requests and one response, which the handler returns.
pub struct ClientStreamingServer<Req, Res, C> {
    receiver: ServerReceiver<Req, C>,
    compress: bool,
    context: Context,
    types: PhantomData<fn(Res)>,
}

impl<Req, Res, C: Codec<Req> + Codec<Res>> ClientStreamingServer<Req, Res, C> {
    pub(super) fn new(call: &ServerCall, context: Context) -> Self {
        Self { receiver: ServerReceiver::new(call), compress: true, context, types: PhantomData }
    }

    /// Returns the next request; `None` once the client has half-closed, which completes the request.
    ///
    /// # Errors
    ///
    /// A status if the call is over or the message could not be decoded; usually the handler should return it.
    pub async fn recv(&mut self) -> Result<Option<Req>, Status> {
        self.receiver.recv().await
    }

    /// Returns whether the last received message arrived compressed.
    #[must_use]
    pub const fn was_compressed(&self) -> bool {
        self.receiver.was_compressed()
    }

    /// Sets whether the response is compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.compress = compress;
    }

    /// Makes the one response, which ends the call when the handler returns it. Requests that the client still sends
    /// are not read.
    #[must_use = "the handler returns the response"]
    pub fn send_and_close(self, message: Res) -> Response<Res> {
        let mut response = Response::new(message);
        response.compressed = self.compress;
        response
    }
}

/// A call with many requests and many responses.
pub struct BidiStreamingServer<Req, Res, C> {
    receiver: ServerReceiver<Req, C>,
    sender: ServerSender<Res, C>,
    context: Context,
}

impl<Req, Res, C: Codec<Req> + Codec<Res>> BidiStreamingServer<Req, Res, C> {
    pub(super) fn new(call: &ServerCall, context: Context) -> Self {
        Self { receiver: ServerReceiver::new(call), sender: ServerSender::new(call), context }
    }

    /// Returns the next request; `None` once the client has half-closed, which completes the request.
    ///
    /// # Errors
    ///
    /// A status if the call is over or the message could not be decoded; usually the handler should return it.
    pub async fn recv(&mut self) -> Result<Option<Req>, Status> {
        self.receiver.recv().await
    }

    /// Returns whether the last received message arrived compressed.
    #[must_use]
    pub const fn was_compressed(&self) -> bool {
        self.receiver.was_compressed()
    }

    /// Sends a response, waiting while the send buffer is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if the call is over.
    pub async fn send(&mut self, message: &Res) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Sets whether further messages are compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.sender.set_compress(compress);
    }

    /// Splits the call into its halves, for different tasks.
    #[must_use]
    pub fn split(self) -> (ServerSender<Res, C>, ServerReceiver<Req, C>) {
        (self.sender, self.receiver)
    }
}

/// The methods that every streaming call has besides those for messages.
macro_rules! serving {
    ($($name:ident<$($param:ident),+>)+) => { $(
        impl<$($param),+> $name<$($param),+> {
            /// Returns the call.
            #[must_use]
            pub const fn context(&self) -> &Context {
                &self.context
            }

            /// Returns the client's metadata.
            #[must_use]
            pub fn metadata(&self) -> &Metadata {
                self.context.metadata()
            }
        }

        impl<$($param),+> fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("context", &self.context).finish_non_exhaustive()
            }
        }
    )+ };
}

serving! {
    ServerStreamingServer<Res, C>
    ClientStreamingServer<Req, Res, C>
    BidiStreamingServer<Req, Res, C>
}

impl<Res, C> fmt::Debug for ServerSender<Res, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSender").finish_non_exhaustive()
    }
}

impl<Req, C> fmt::Debug for ServerReceiver<Req, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerReceiver").finish_non_exhaustive()
    }
}
