//! The future of a unary call. It is written by hand because the compiler would keep the request, the response and
//! the call several times over in an async function, and every call pays for the size of its future.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use halfclose::grpc::RequestHeaders;
use halfclose::{CallId, Message, Server, Status};
use pin_project_lite::pin_project;

use super::call::{Answer, FirstMessage, OnlyRequest, finish};
use super::context::{Context, Request};
use super::handlers::{Handler, HandlerContext, Serve};
use super::router::NewCall;
use crate::codec::{self, Codec};
use crate::compression::Outgoing;
use crate::method::Response;
use crate::shared::Shared;

pin_project! {
    /// One unary call.
    struct Unary<F, Fut, Req, Res, C> {
        call: CallId,
        #[pin]
        stage: Stage<F, Fut>,
        types: PhantomData<fn(C, Req) -> Res>,
    }
}

pin_project! {
    /// The stage of a unary call.
    #[project = StageProjection]
    enum Stage<F, Fut> {
        Receive { request: OnlyRequest, headers: Arc<RequestHeaders>, handler: Arc<F> },
        Handle { #[pin] handling: Fut },
    }
}

/// Makes the future of a unary call, or returns `None` if the call was answered at once. If the request has arrived,
/// the handler starts.
#[inline]
pub(super) fn start<F, Fut, Req, Res, C>(
    handler: &Arc<F>,
    shared: &Arc<Shared<Server>>,
    incoming: NewCall,
) -> Option<Handler>
where
    Req: 'static,
    Res: 'static,
    C: Codec<Req> + Codec<Res>,
    F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<Res>, Status>> + Send + 'static,
{
    let NewCall { call, headers, first, .. } = incoming;
    let stage = match first {
        FirstMessage { payload: Some(payload), complete: true, .. } => {
            match handle::<F, Fut, Req, C>(handler, shared, call, headers, (payload, false)) {
                Ok(handling) => Stage::Handle { handling },
                Err(status) => {
                    finish(shared, call, status);
                    return None;
                }
            }
        }
        first => Stage::Receive { request: first.into_request(), headers, handler: Arc::clone(handler) },
    };
    Some(Box::pin(Unary::<F, Fut, Req, Res, C> { call, stage, types: PhantomData }))
}

/// Decodes the request and starts the handler.
fn handle<F, Fut, Req, C>(
    handler: &F,
    shared: &Arc<Shared<Server>>,
    call: CallId,
    headers: Arc<RequestHeaders>,
    (payload, compressed): (Bytes, bool),
) -> Result<Fut, Status>
where
    C: Codec<Req>,
    F: Fn(Request<Req>) -> Fut,
{
    let message = codec::decode::<Req, C>(payload)?;
    Ok(handler(Request { message, compressed, context: Context::new(shared, call, headers) }))
}

impl<F, Fut, Req, Res, C> Serve for Unary<F, Fut, Req, Res, C>
where
    C: Codec<Req> + Codec<Res>,
    F: Fn(Request<Req>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Response<Res>, Status>> + Send,
{
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>, lent: &mut HandlerContext<'_>) -> Poll<()> {
        let mut this = self.project();
        let call = *this.call;
        let failed = loop {
            match this.stage.as_mut().project() {
                StageProjection::Handle { handling } => match ready!(handling.poll(cx)) {
                    Err(status) => break status,
                    Ok(response) => match codec::encode::<Res, C>(&response.message) {
                        Err(status) => break status,
                        Ok(payload) => {
                            let message = Outgoing::Plain(payload);
                            let Response { headers, trailers, compressed: compress, .. } = response;
                            lent.answers.push(Answer { call, headers, trailers, message, compress });
                            return Poll::Ready(());
                        }
                    },
                },
                StageProjection::Receive { request, headers, handler } => {
                    let Message { payload, compressed } = match ready!(request.poll(lent.shared, call, cx)) {
                        Ok(message) => message,
                        Err(status) => break status,
                    };
                    let headers = Arc::clone(headers);
                    match handle::<F, Fut, Req, C>(handler, lent.shared, call, headers, (payload, compressed))
                    {
                        Ok(handling) => this.stage.set(Stage::Handle { handling }),
                        Err(status) => break status,
                    }
                }
            }
        };
        finish(lent.shared, call, failed);
        Poll::Ready(())
    }
}
