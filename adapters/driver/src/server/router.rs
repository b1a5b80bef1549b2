//! The router, which maps methods to handlers.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use halfclose::grpc::RequestHeaders;
use halfclose::grpc::content_type::ContentSubtypes;
use halfclose::{CallId, CallType, Message, Server, Status};

use super::call::{FirstMessage, ServerCall, finish};
use super::context::{Context, Request};
use super::handlers::Handler;
use super::service::{AddedTwice, Service};
use super::stream::{BidiStreamingServer, ClientStreamingServer, ServerStreamingServer};
use super::unary;
use crate::codec::{self, Codec};
use crate::memory::MemoryBudget;
use crate::method::{Many, Method, Response};
use crate::shared::Shared;

/// Starts one method: makes the future of a call, unless the call can be answered at once. It runs application code,
/// which may panic.
type Start = dyn Fn(&Arc<Shared<Server>>, NewCall) -> Option<Handler> + Send + Sync;

/// The position of a method in the router.
#[derive(Clone, Copy, Debug)]
pub(super) struct MethodIndex {
    index: usize,
    pub(super) call_type: CallType,
    /// The content subtypes of requests that its codec reads.
    pub(super) content_subtypes: ContentSubtypes,
    /// Whether a handler's first wait for a request sends the response headers.
    early_headers: bool,
}

/// A call that has arrived.
#[derive(Debug)]
pub(super) struct NewCall {
    pub(super) call: CallId,
    pub(super) headers: Arc<RequestHeaders>,
    pub(super) method: Option<MethodIndex>,
    pub(super) first: FirstMessage,
}

impl NewCall {
    /// Makes the handler, or answers the call at once if the method does not exist.
    #[inline]
    pub(super) fn into_handler(self, router: &Router, shared: &Arc<Shared<Server>>) -> Option<Handler> {
        match self.method.and_then(|method| router.methods.get(method.index)) {
            Some(start) => start(shared, self),
            None => {
                finish(shared, self.call, router.refusal(self.headers.path()));
                None
            }
        }
    }

    /// Returns the call for a streaming handler, its headers, and the message that arrived with them.
    fn into_call(self, shared: &Arc<Shared<Server>>) -> (ServerCall, Arc<RequestHeaders>, FirstMessage) {
        let Self { call, headers, method, first } = self;
        let early_headers = method.is_some_and(|method| method.early_headers);
        (ServerCall { shared: Arc::clone(shared), call, early_headers }, headers, first)
    }
}

/// The methods of a server. Calls to other paths are answered with UNIMPLEMENTED
/// ([P-4](halfclose::manual::rules#p-4)).
///
/// A handler is an async function of its call. Its return value is the status, so that a handler can neither forget
/// the trailers nor send them twice. It runs in the task of its connection, and is first polled when the call
/// arrives; work that blocks or computes for long belongs in a task or thread of its own. If the call ends first, by
/// a reset, the deadline or the end of the connection, the handler is dropped.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_driver::{Many, Method, Raw, Response, Router};
/// use halfclose_driver::halfclose::Status;
///
/// const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
/// const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/demo.Echo/Chat");
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
///
/// # Initial metadata
///
/// A handler sets initial metadata with [`Context::set_headers`]. It is sent with the first message, with the status
/// if there is no message, or by [`Context::flush_headers`]. [`Response::headers`](crate::Response::headers) is added
/// to what was set. Once the response headers have been sent, adding to them is an error.
///
/// # Early headers
///
/// By default, response headers are sent with the first message, and a call that fails before it has one gets a
/// status alone (Trailers-Only), which tells clients and proxies that no response had begun. Some clients do not send
/// their first request before they have received the response headers, so that client and handler wait for each
/// other: tonic returns the stream of responses to its caller only then, and a caller that sends its requests
/// afterwards hangs if the server has nothing to send yet. For such clients a server can send *early headers*: as
/// soon as a handler of a client streaming or bidirectional method waits for a first request that has not arrived,
/// its response headers are sent, with the initial metadata that was set by then.
///
/// ```
/// # use bytes::Bytes;
/// # use halfclose_driver::{Many, Method, Raw, Router};
/// # const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/demo.Echo/Chat");
/// # const UPLOAD: Method<Many<Bytes>, Bytes, Raw> = Method::new("/demo.Files/Upload");
/// let router = Router::new()
///     .early_headers(true) // every method of this server...
///     .early_headers_of(&UPLOAD, false) // ...but this one
///     .bidi_streaming(&CHAT, |mut call| async move {
///         while let Some(message) = call.recv().await? {
///             call.send(&message).await?;
///         }
///         Ok(())
///     });
/// # let _ = router;
/// ```
///
/// Early headers are off by default, because they commit a call: after them neither metadata nor the encoding can be
/// set, the call cannot end as Trailers-Only, and clients and proxies that would retry a refused call do not. Turn
/// them on for the methods that such clients call, but not if the handler's initial metadata depends on the first
/// request. A handler that first waits for something else can send its headers itself with
/// [`Context::flush_headers`].
#[derive(Default)]
pub struct Router {
    places: HashMap<&'static str, MethodIndex>,
    methods: Vec<Box<Start>>,
    /// The setting for methods that are not in `early_headers_of`.
    early_headers: bool,
    early_headers_of: HashMap<&'static str, bool>,
    budget: MemoryBudget,
    /// Methods that were added more than once.
    twice: Vec<&'static str>,
}

impl Router {
    /// Creates a router without methods.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn add<Req, C, S>(mut self, path: &'static str, call_type: CallType, start: S) -> Self
    where
        C: Codec<Req>,
        S: Fn(&Arc<Shared<Server>>, NewCall) -> Option<Handler> + Send + Sync + 'static,
    {
        // Early headers are looked up when the method is called, because they may be set after this.
        let content_subtypes = C::CONTENT_SUBTYPES;
        let index = self.methods.len();
        let place = MethodIndex { index, call_type, content_subtypes, early_headers: false };
        self.methods.push(Box::new(start));
        self.place(path, place);
        self
    }

    /// Removes the method at `path`, if there is one, so that another handler can take its place: for tests that replace
    /// one method of a service.
    #[must_use]
    pub fn remove(mut self, path: &str) -> Self {
        self.places.remove(path);
        self.twice.retain(|twice| *twice != path);
        self
    }

    fn place(&mut self, path: &'static str, place: MethodIndex) {
        if self.places.insert(path, place).is_some() && !self.is_ambiguous(path) {
            self.twice.push(path);
        }
    }

    /// Returns the status of calls of a method that cannot be served.
    #[cold]
    fn refusal(&self, path: &str) -> Status {
        if self.is_ambiguous(path) {
            return Status::internal(format!("the method {path} was added to the server twice"));
        }
        Status::unimplemented(format!("no method {path}"))
    }

    /// Returns whether the method at `path` was added twice.
    fn is_ambiguous(&self, path: &str) -> bool {
        self.twice.contains(&path)
    }

    /// Checks that each method was added only once. The adapters' `Server::bind` calls it. If a router is served in
    /// spite of an error, calls of such a method end with INTERNAL, whichever of its handlers was meant.
    ///
    /// # Errors
    ///
    /// [`AddedTwice`] names the methods that were not.
    pub fn check(&self) -> Result<(), AddedTwice> {
        if self.twice.is_empty() { Ok(()) } else { Err(AddedTwice::new(self.twice.clone())) }
    }

    /// Adds every method of a service.
    ///
    /// ```ignore
    /// let router = Router::new().add_service(GreeterServer::new(MyGreeter::default()));
    /// ```
    #[must_use]
    pub fn add_service<S: Service>(self, service: S) -> Self {
        service.add_to(self)
    }

    /// Adds every method of another router. Its methods keep their settings; settings of whole connections stay as
    /// they are here.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let Self { places, methods, early_headers, early_headers_of, twice, budget: _ } = other;
        let moved = self.methods.len();
        self.methods.extend(methods);
        let mut places: Vec<_> = places.into_iter().collect();
        // A fixed order, because errors name the methods in it.
        places.sort_by_key(|(_, place)| place.index);
        for (path, place) in places {
            if early_headers != self.early_headers {
                self.early_headers_of.entry(path).or_insert(early_headers);
            }
            self.place(path, MethodIndex { index: moved.saturating_add(place.index), ..place });
        }
        self.early_headers_of.extend(early_headers_of);
        for path in twice {
            if !self.is_ambiguous(path) {
                self.twice.push(path);
            }
        }
        self
    }

    /// Returns the paths of all methods, in the order in which they were added.
    #[must_use]
    pub fn paths(&self) -> Vec<&'static str> {
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_by_key(|(_, place)| place.index);
        places.into_iter().map(|(path, _)| *path).collect()
    }

    /// Sets whether methods with a stream of requests send their response headers as soon as a handler waits for a
    /// first request that has not arrived: off by default. [`early_headers_of`](Self::early_headers_of) overrides it
    /// for a method. See [Early headers](crate::Router#early-headers) for when it is useful and what it costs.
    #[must_use]
    pub fn early_headers(mut self, on: bool) -> Self {
        self.early_headers = on;
        self
    }

    /// Sets early headers for one method, overriding the server's setting. It has no effect on a method with one
    /// request, whose handler starts when the request has arrived.
    #[must_use]
    pub fn early_headers_of<Req, Res, C>(mut self, method: &Method<Req, Res, C>, on: bool) -> Self {
        self.early_headers_of.insert(method.path(), on);
        self
    }

    /// Sets the memory that the messages of all connections may hold: 256 MiB by default.
    #[must_use]
    pub fn memory_budget(mut self, budget: &MemoryBudget) -> Self {
        self.budget = budget.clone();
        self
    }

    pub(super) const fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    fn sends_early_headers(&self, path: &str) -> bool {
        self.early_headers_of.get(path).copied().unwrap_or(self.early_headers)
    }

    /// Adds a method with one request and one response.
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
        self.add::<Req, C, _>(method.path(), CallType::UNARY, move |shared, incoming| {
            unary::start::<F, Fut, Req, Res, C>(&handler, shared, incoming)
        })
    }

    /// Adds a method with one request and many responses.
    #[must_use]
    pub fn server_streaming<Req, Res, C, F, Fut>(self, method: &Method<Req, Many<Res>, C>, handler: F) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(Request<Req>, ServerStreamingServer<Res, C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add::<Req, C, _>(method.path(), CallType::SERVER_STREAMING, move |shared, incoming| {
            let (call, headers, first) = incoming.into_call(shared);
            let handler = Arc::clone(&handler);
            Some(Box::pin(async move {
                let result = match only_request::<Req, C>(&call, headers, first).await {
                    Ok(request) => {
                        let streaming = ServerStreamingServer::new(&call, request.context.clone());
                        handler(request, streaming).await
                    }
                    Err(status) => Err(status),
                };
                call.finish(result);
            }))
        })
    }

    /// Adds a method with many requests and one response, which the handler returns.
    #[must_use]
    pub fn client_streaming<Req, Res, C, F, Fut>(self, method: &Method<Many<Req>, Res, C>, handler: F) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(ClientStreamingServer<Req, Res, C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response<Res>, Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add::<Req, C, _>(method.path(), CallType::CLIENT_STREAMING, move |shared, incoming| {
            let (call, headers, _) = incoming.into_call(shared);
            let handler = Arc::clone(&handler);
            Some(Box::pin(async move {
                let context = Context::new(&call.shared, call.call, headers);
                let result = handler(ClientStreamingServer::new(&call, context)).await;
                call.answer::<Res, C>(result);
            }))
        })
    }

    /// Adds a method with many requests and many responses.
    #[must_use]
    pub fn bidi_streaming<Req, Res, C, F, Fut>(
        self,
        method: &Method<Many<Req>, Many<Res>, C>,
        handler: F,
    ) -> Self
    where
        Req: Send + 'static,
        Res: Send + 'static,
        C: Codec<Req> + Codec<Res>,
        F: Fn(BidiStreamingServer<Req, Res, C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.add::<Req, C, _>(method.path(), CallType::BIDI, move |shared, incoming| {
            let (call, headers, _) = incoming.into_call(shared);
            let handler = Arc::clone(&handler);
            Some(Box::pin(async move {
                let context = Context::new(&call.shared, call.call, headers);
                let result = handler(BidiStreamingServer::new(&call, context)).await;
                call.finish(result);
            }))
        })
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("methods", &self.places).finish_non_exhaustive()
    }
}

/// The methods that a connection called most recently. Most connections call only a few, and comparing paths is
/// cheaper than hashing them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    methods: [Option<(&'static str, MethodIndex)>; 4],
    next: usize,
}

impl Recent {
    /// Returns the method at `path`, if the router has one.
    #[inline]
    pub(super) fn find(&mut self, router: &Router, path: &str) -> Option<MethodIndex> {
        match self.methods.iter().flatten().find(|(known, _)| *known == path) {
            Some((_, method)) => Some(*method),
            None => self.look_up(router, path),
        }
    }

    #[cold]
    fn look_up(&mut self, router: &Router, path: &str) -> Option<MethodIndex> {
        let (path, method) = router.places.get_key_value(path).filter(|_| !router.is_ambiguous(path))?;
        let method = MethodIndex { early_headers: router.sends_early_headers(path), ..*method };
        if let Some(place) = self.methods.get_mut(self.next) {
            *place = Some((path, method));
        }
        self.next = (self.next + 1) % self.methods.len();
        Some(method)
    }
}

/// Receives and decodes the one request of a call.
async fn only_request<Req, C: Codec<Req>>(
    call: &ServerCall,
    headers: Arc<RequestHeaders>,
    first: FirstMessage,
) -> Result<Request<Req>, Status> {
    let message = match first {
        FirstMessage { payload: Some(payload), complete: true, .. } => Message { payload, compressed: false },
        first => {
            let mut request = first.into_request();
            poll_fn(|cx| request.poll(&call.shared, call.call, cx)).await?
        }
    };
    let compressed = message.compressed;
    Ok(Request {
        message: codec::decode::<Req, C>(message.payload)?,
        compressed,
        context: Context::new(&call.shared, call.call, headers),
    })
}
