//! The three streaming call types as their client sees them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use halfclose::{HalfStates, Metadata, Outcome};

use super::call::{CallError, ReceiveHalf, SendHalf};
use super::invoke::Canceller;
use crate::codec::{self, Codec};
use crate::method::{Response, SendError};
use crate::wakers::{HoldsWaker, poll_half};

/// A call with one request and many responses. Dropping it before its end cancels it.
#[must_use = "a call that is dropped is cancelled"]
pub struct ServerStreaming<Res, C> {
    receiver: ClientReceiver<Res, C>,
}

impl<Res, C: Codec<Res>> ServerStreaming<Res, C> {
    pub(super) fn new(half: ReceiveHalf) -> Self {
        Self { receiver: ClientReceiver::new(half) }
    }

    /// Returns the next response; `None` if the call has ended with status OK.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call has ended with any other status.
    pub async fn recv(&mut self) -> Result<Option<Res>, CallError> {
        self.receiver.recv().await
    }
}

/// A call with many requests and one response. Dropping it before its end cancels it.
#[must_use = "a call that is dropped is cancelled"]
pub struct ClientStreaming<Req, Res, C> {
    sender: ClientSender<Req, C>,
    half: ReceiveHalf,
    types: PhantomData<fn() -> Res>,
}

impl<Req, Res, C> ClientStreaming<Req, Res, C> {
    pub(super) fn new(send: SendHalf, half: ReceiveHalf) -> Self {
        Self { sender: ClientSender::new(send), half, types: PhantomData }
    }

    /// Sends a request, waiting while the send buffer is full.
    ///
    /// # Errors
    ///
    /// [`SendError::CallFailed`] with the status if the call has failed; [`SendError::Ended`] if the server has ended it
    /// with OK before it had everything. [`close_and_recv`](Self::close_and_recv) returns the
    /// status.
    pub async fn send(&mut self, message: &Req) -> Result<(), SendError>
    where
        C: Codec<Req>,
    {
        self.sender.send(message).await.map_err(|error| self.half.explain(error))
    }

    /// Sets whether further messages are compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.sender.set_compress(compress);
    }

    /// Half-closes and waits for the one response.
    ///
    /// # Errors
    ///
    /// [`CallError`] with the status, the trailers and the cause.
    pub async fn close_and_recv(mut self) -> Result<Response<Res>, CallError>
    where
        C: Codec<Res>,
    {
        // A call that the server has ended cannot be half-closed; its status follows.
        let _ = self.sender.half.close_send();
        self.half.only_response::<Res, C>().await
    }

    /// Returns what ends the call from outside, whatever this handle is doing.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.half.canceller()
    }

    /// Ends the call at once.
    pub fn cancel(&self) {
        self.half.cancel();
    }

    /// Ends the call at once and waits for its outcome.
    pub async fn cancel_and_recv(mut self) -> CallError
    where
        C: Codec<Res>,
    {
        self.half.cancel();
        match self.half.only_response::<Res, C>().await {
            Err(error) => error,
            // The response arrived before the cancel took effect.
            Ok(_) => CallError::new(self.half.outcome()),
        }
    }

    /// Returns the states of both halves, while the call is open.
    #[must_use]
    pub fn states(&self) -> Option<HalfStates> {
        self.half.states()
    }
}

/// A call with many requests and many responses. Dropping it before its end cancels it.
#[must_use = "a call that is dropped is cancelled"]
pub struct BidiStreaming<Req, Res, C> {
    sender: ClientSender<Req, C>,
    receiver: ClientReceiver<Res, C>,
}

impl<Req, Res, C> BidiStreaming<Req, Res, C> {
    pub(super) fn new(send: SendHalf, receive: ReceiveHalf) -> Self {
        Self { sender: ClientSender::new(send), receiver: ClientReceiver::new(receive) }
    }

    /// Sends a request, waiting while the send buffer is full.
    ///
    /// # Errors
    ///
    /// [`SendError::CallFailed`] with the status if the call has failed; [`SendError::Ended`] if the server has ended it
    /// with OK. [`recv`](Self::recv) returns the status in either case.
    pub async fn send(&mut self, message: &Req) -> Result<(), SendError>
    where
        C: Codec<Req>,
    {
        self.sender.send(message).await.map_err(|error| self.receiver.half.explain(error))
    }

    /// Sets whether further messages are compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.sender.set_compress(compress);
    }

    /// Half-closes; responses go on. If the server has ended the call, this does nothing, and `recv` returns the
    /// status.
    ///
    /// # Errors
    ///
    /// [`SendError::Misuse`] if the call was half-closed before.
    pub fn close_send(&mut self) -> Result<(), SendError> {
        self.sender.half.close_send()
    }

    /// Returns the next response; `None` if the call has ended with status OK.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call has ended with any other status.
    pub async fn recv(&mut self) -> Result<Option<Res>, CallError>
    where
        C: Codec<Res>,
    {
        self.receiver.recv().await
    }

    /// Splits the call into its halves, for different tasks.
    pub fn split(self) -> (ClientSender<Req, C>, ClientReceiver<Res, C>) {
        (self.sender, self.receiver)
    }
}

/// The sending half of a call. Dropping it before [`close_send`](Self::close_send) cancels the call.
#[must_use = "a half that is dropped cancels its call"]
pub struct ClientSender<Req, C> {
    half: SendHalf,
    types: PhantomData<fn(Req, C)>,
}

impl<Req, C> ClientSender<Req, C> {
    fn new(half: SendHalf) -> Self {
        Self { half, types: PhantomData }
    }

    /// Sends a request, waiting while the send buffer is full.
    ///
    /// # Errors
    ///
    /// [`SendError::CallFailed`] with the status if the call has failed; [`SendError::Ended`] if the server has ended it
    /// with OK, or if the receiving half has returned the status before.
    pub async fn send(&mut self, message: &Req) -> Result<(), SendError>
    where
        C: Codec<Req>,
    {
        let mut payload = Some(codec::encode::<Req, C>(message).map_err(SendError::Encode)?);
        poll_half(&mut self.half, |half, cx| half.poll_send(cx, &mut payload)).await
    }

    /// Sets whether further messages are compressed, if the call has an encoding.
    pub const fn set_compress(&mut self, compress: bool) {
        self.half.compress = compress;
    }

    /// Half-closes; responses go on. If the server has ended the call, this does nothing, and the receiving half
    /// returns the status.
    ///
    /// # Errors
    ///
    /// [`SendError::Misuse`] if the call was half-closed before.
    pub fn close_send(mut self) -> Result<(), SendError> {
        self.half.close_send()
    }
}

/// The receiving half of a call. Dropping it before the end of the call cancels the call.
#[must_use = "a half that is dropped cancels its call"]
pub struct ClientReceiver<Res, C> {
    half: ReceiveHalf,
    compressed: bool,
    types: PhantomData<fn(C) -> Res>,
}

impl<Res, C> ClientReceiver<Res, C> {
    fn new(half: ReceiveHalf) -> Self {
        Self { half, compressed: false, types: PhantomData }
    }

    /// Returns the next response; `None` if the call has ended with status OK.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the call has ended with any other status.
    pub async fn recv(&mut self) -> Result<Option<Res>, CallError>
    where
        C: Codec<Res>,
    {
        poll_half(self, Self::poll_recv).await
    }

    /// Returns the next response like [`recv`](Self::recv), for hand-written futures.
    ///
    /// # Errors
    ///
    /// The errors of [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Res>, CallError>>
    where
        C: Codec<Res>,
    {
        let Some(message) = ready!(self.half.poll_receive(cx)) else {
            let outcome = self.half.outcome();
            return Poll::Ready(if outcome.status.is_ok() { Ok(None) } else { Err(CallError::new(outcome)) });
        };
        self.compressed = message.compressed;
        let decoded = codec::decode::<Res, C>(message.payload);
        Poll::Ready(decoded.map(Some).map_err(|status| self.half.fail(status)))
    }
}

impl<Res, C> HoldsWaker for ClientReceiver<Res, C> {
    fn forget_waker(&mut self) {
        self.half.forget_waker();
    }
}

/// The methods that every call with a stream of responses has.
macro_rules! receiving {
    ($($name:ident<$($param:ident),+> => $($field:ident).+;)+) => { $(
        impl<$($param),+> $name<$($param),+> {
            /// Waits for the server's initial metadata; `None` if the call ended without any.
            pub async fn headers(&mut self) -> Option<&Metadata> {
                let half = &mut self.$($field).+;
                poll_half(half, ReceiveHalf::poll_headers).await;
                half.headers()
            }

            /// Returns the trailing metadata; `None` before the end of the call.
            #[must_use]
            pub fn trailers(&self) -> Option<&Metadata> {
                self.$($field).+.trailers().map(Arc::as_ref)
            }

            /// Returns how the call ended; `None` before its end.
            #[must_use]
            pub fn outcome(&self) -> Option<Outcome> {
                let half = &self.$($field).+;
                half.is_over().then(|| half.outcome())
            }

            /// Returns what ends the call from outside, whatever this handle is doing.
            #[must_use]
            pub fn canceller(&self) -> Canceller {
                self.$($field).+.canceller()
            }

            /// Ends the call at once. Its outcome follows.
            pub fn cancel(&self) {
                self.$($field).+.cancel();
            }

            /// Returns the states of both halves, while the call is open.
            #[must_use]
            pub fn states(&self) -> Option<HalfStates> {
                self.$($field).+.states()
            }
        }
    )+ };
}

receiving! {
    ServerStreaming<Res, C> => receiver.half;
    BidiStreaming<Req, Res, C> => receiver.half;
    ClientReceiver<Res, C> => half;
}

/// The method that says whether the last message arrived compressed.
macro_rules! last_compressed {
    ($($name:ident<$($param:ident),+> => $($field:ident).+;)+) => { $(
        impl<$($param),+> $name<$($param),+> {
            /// Returns whether the last received message arrived compressed.
            #[must_use]
            pub const fn was_compressed(&self) -> bool {
                self.$($field).+
            }
        }
    )+ };
}

last_compressed! {
    ServerStreaming<Res, C> => receiver.compressed;
    BidiStreaming<Req, Res, C> => receiver.compressed;
    ClientReceiver<Res, C> => compressed;
}

macro_rules! debug {
    ($($name:ident<$($param:ident),+>)+) => { $(
        impl<$($param),+> fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+ };
}

debug! {
    ServerStreaming<Res, C>
    ClientStreaming<Req, Res, C>
    BidiStreaming<Req, Res, C>
    ClientSender<Req, C>
    ClientReceiver<Res, C>
}
