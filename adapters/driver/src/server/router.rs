//! Which handler serves which method.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use halfclose::grpc::head::RequestHead;
use halfclose::{CallId, Server, Shape, Status};

use super::call::ServerCall;
use super::context::{Context, Request};
use super::handlers::HandlerFuture;
use super::stream::{BidiStreamingServer, ClientStreamingServer, ServerStreamingServer};
use super::unary::Unary;
use crate::codec::Codec;
use crate::method::{Method, Response};
use crate::shared::Shared;

/// Serves one method: makes the future of one call.
pub(super) trait MethodHandler: Send + Sync {
    fn shape(&self) -> Shape;
    fn start(&self, call: ServerCall) -> HandlerFuture;
}

impl fmt::Debug for dyn MethodHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodHandler").field("shape", &self.shape()).finish()
    }
}

/// A call that has arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) call: CallId,
    pub(super) head: Arc<RequestHead>,
    pub(super) method: Option<Arc<dyn MethodHandler>>,
}

impl Incoming {
    /// The handler's future, or the answer at once where there is no such method.
    pub(super) fn into_future(self, shared: &Arc<Shared<Server>>) -> Option<HandlerFuture> {
        let call = ServerCall::new(shared, self.call, self.head);
        match self.method {
            Some(method) => Some(method.start(call)),
            None => {
                let status = Status::unimplemented(format!("no method {}", call.head.path()));
                call.finish(status);
                None
            }
        }
    }
}

/// The methods of a server. Paths that are not here are answered with UNIMPLEMENTED (P-4).
///
/// A handler is an async function of its call; its return value is the status, so that trailers can be neither
/// forgotten nor sent twice. It runs in the task of its connection, polled in place when the call arrives; work that
/// blocks, or computes for long, belongs in a task or thread of its own. When the call ends before it does, by a reset,
/// the deadline or the end of the connection, it is dropped.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_driver::{Method, Raw, Response, Router};
/// use halfclose_driver::halfclose::Status;
///
/// const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
/// const CHAT: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Chat");
///
/// let router = Router::new()
///     .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
///     .bidi_streaming(&CHAT, |mut call| async move {
///         while let Some(message) = call.recv().await? {
///             call.send(&message).await?;
///         }
///         Ok(())
///     });
/// # let _ = router;
/// ```
#[derive(Debug, Default)]
pub struct Router {
    methods: HashMap<&'static str, Arc<dyn MethodHandler>>,
}

impl Router {
    /// No methods.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn add<S>(mut self, path: &'static str, shape: Shape, start: S) -> Self
    where
        S: Fn(ServerCall) -> HandlerFuture + Send + Sync + 'static,
    {
        self.methods.insert(path, Arc::new(Started { shape, start }));
        self
    }

    /// Adds a method with one request and one response; one that stands at its path is replaced.
    #[must_use]
    pub fn unary<Req, Res, C, F, Fut>(self, method: &Method<Req, Res, C>, handler: F) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(Request<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Res>, Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add(method.path(), Shape::UNARY, move |call| {
            Box::pin(Unary::<F, Fut, Req, Res, C>::new(call, Arc::clone(&handler)))
        })
    }

    /// Adds a method with one request and many responses; one that stands at its path is replaced.
    #[must_use]
    pub fn server_streaming<Req, Res, C, F, Fut>(self, method: &Method<Req, Res, C>, handler: F) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(Request<Req>, ServerStreamingServer<Res, C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add(method.path(), Shape::SERVER_STREAMING, move |call| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let result = match only_request::<Req, C>(&call).await {
                    Ok(request) => handler(request, ServerStreamingServer::new(&call)).await,
                    Err(status) => Err(status),
                };
                call.finish_result(result);
            })
        })
    }

    /// Adds a method with many requests and one response; one that stands at its path is replaced.
    #[must_use]
    pub fn client_streaming<Req, Res, C, F, Fut>(self, method: &Method<Req, Res, C>, handler: F) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(ClientStreamingServer<Req, Res, C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add(method.path(), Shape::CLIENT_STREAMING, move |call| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let result = handler(ClientStreamingServer::new(&call)).await;
                call.finish_result(result);
            })
        })
    }

    /// Adds a method with many requests and many responses; one that stands at its path is replaced.
    #[must_use]
    pub fn bidi_streaming<Req, Res, C, F, Fut>(self, method: &Method<Req, Res, C>, handler: F) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(BidiStreamingServer<Req, Res, C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add(method.path(), Shape::BIDI, move |call| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let result = handler(BidiStreamingServer::new(&call)).await;
                call.finish_result(result);
            })
        })
    }
}

/// The methods that a connection called last: most call a few, and comparing a path is cheaper than hashing it.
#[derive(Debug, Default)]
pub(super) struct Recent {
    methods: [Option<(&'static str, Arc<dyn MethodHandler>)>; 4],
    next: usize,
}

impl Recent {
    /// The method at `path`, if the router has one.
    pub(super) fn find(&mut self, router: &Router, path: &str) -> Option<Arc<dyn MethodHandler>> {
        let known = self.methods.iter().flatten().find(|(known, _)| *known == path);
        if let Some((_, method)) = known {
            return Some(Arc::clone(method));
        }
        let (path, method) = router.methods.get_key_value(path)?;
        if let Some(place) = self.methods.get_mut(self.next) {
            *place = Some((path, Arc::clone(method)));
        }
        self.next = (self.next + 1) % self.methods.len();
        Some(Arc::clone(method))
    }
}

struct Started<S> {
    shape: Shape,
    start: S,
}

impl<S> MethodHandler for Started<S>
where
    S: Fn(ServerCall) -> HandlerFuture + Send + Sync,
{
    fn shape(&self) -> Shape {
        self.shape
    }

    fn start(&self, call: ServerCall) -> HandlerFuture {
        (self.start)(call)
    }
}

/// The one request of a call, decoded.
async fn only_request<Req, C: Codec<Req>>(call: &ServerCall) -> Result<Request<Req>, Status> {
    let mut first = None;
    let message = poll_fn(|cx| call.poll_only(cx, &mut first)).await?;
    let compressed = message.compressed;
    Ok(Request { message: C::decode(message.payload)?, compressed, context: Context::new(call) })
}
