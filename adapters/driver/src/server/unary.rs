//! A unary call's future. By hand and not an async function: the compiler would keep the request, the response and the
//! call several times over, and every call pays for the size of its future.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use halfclose::{Message, Metadata, Status};
use pin_project_lite::pin_project;

use super::call::ServerCall;
use super::context::{Context, Request};
use crate::codec::Codec;
use crate::method::Response;

pin_project! {
    /// One unary call.
    pub(super) struct Unary<F, Fut, Req, Res, C> {
        call: ServerCall,
        handler: Arc<F>,
        #[pin]
        stage: Stage<Fut>,
        types: PhantomData<fn(C, Req) -> Res>,
    }
}

pin_project! {
    /// How far it is.
    #[project = StageProjection]
    enum Stage<Fut> {
        Receive { message: Option<Message> },
        Handle { #[pin] handling: Fut },
        Respond { payload: Bytes, header: Option<Metadata>, trailer: Metadata, compress: bool },
    }
}

impl<F, Fut, Req, Res, C> Unary<F, Fut, Req, Res, C> {
    pub(super) fn new(call: ServerCall, handler: Arc<F>) -> Self {
        Self { call, handler, stage: Stage::Receive { message: None }, types: PhantomData }
    }
}

impl<F, Fut, Req, Res, C> Future for Unary<F, Fut, Req, Res, C>
where
    C: Codec<Req> + Codec<Res>,
    F: Fn(Request<Req>) -> Fut,
    Fut: Future<Output = Result<Response<Res>, Status>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut this = self.project();
        let call = this.call;
        loop {
            let failed = match this.stage.as_mut().project() {
                StageProjection::Receive { message } => match ready!(call.poll_only(cx, message)) {
                    Err(status) => status,
                    Ok(Message { payload, compressed }) => match C::decode(payload) {
                        Err(status) => status,
                        Ok(message) => {
                            let context = Context::new(call);
                            let handling = (this.handler)(Request { message, compressed, context });
                            this.stage.set(Stage::Handle { handling });
                            continue;
                        }
                    },
                },
                StageProjection::Handle { handling } => match ready!(handling.poll(cx)) {
                    Err(status) => status,
                    Ok(response) => match C::encode(&response.message) {
                        Err(status) => status,
                        Ok(payload) => {
                            let Response { header, trailer, compressed: compress, .. } = response;
                            let header = Some(header);
                            this.stage.set(Stage::Respond { payload, header, trailer, compress });
                            continue;
                        }
                    },
                },
                StageProjection::Respond { payload, header, trailer, compress } => {
                    return call.poll_respond(cx, header, trailer, payload, *compress);
                }
            };
            call.end(failed);
            return Poll::Ready(());
        }
    }
}
