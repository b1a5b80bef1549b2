//! The server's side: a [`Router`] of methods, and the four call types as their handlers see them.
//!
//! # Initial metadata
//!
//! A handler sets them, [`Context::set_headers`], and they leave with the first message, ahead of a status that comes without
//! one, or when they are flushed, [`Context::flush_headers`]. [`Response::headers`](crate::Response::headers) is added to what
//! was set. Once the response headers have gone nothing can be added, and whoever tries is told so.
//!
//! # Early headers
//!
//! Response headers go with the first message by default, and a call that fails before it has any is answered by its status
//! alone (Trailers-Only), which tells clients and proxies that nothing of an answer had come. Some clients do not send
//! their first request before the response headers are there, and so wait for a handler that waits for them: tonic gives
//! the stream of responses to its caller only then, and callers that send afterwards hang on a server that has nothing to
//! say yet. For such clients a server sends *early headers*: as soon as a handler of a client streaming or bidirectional
//! method waits for a first request that has not come, its response headers go out, with the initial metadata that were
//! set by then.
//!
//! ```
//! # use bytes::Bytes;
//! # use halfclose_driver::{Method, Raw, Router};
//! # const CHAT: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Chat");
//! # const UPLOAD: Method<Bytes, Bytes, Raw> = Method::new("/demo.Files/Upload");
//! let router = Router::new()
//!     .early_headers(true) // every method of this server...
//!     .early_headers_of(&UPLOAD, false) // ...but this one
//!     .bidi_streaming(&CHAT, |mut call| async move {
//!         while let Some(message) = call.recv().await? {
//!             call.send(&message).await?;
//!         }
//!         Ok(())
//!     });
//! # let _ = router;
//! ```
//!
//! They are off by default, since headers commit a call: after them neither metadata nor the encoding can be set, the call
//! cannot end as Trailers-Only, and clients and proxies that would try it again on a refusal do not. Turn them on for the
//! methods that such clients call, and not where the handler decides by the first request what its metadata are. A handler
//! that waits for something else first can send its headers itself, by [`Context::flush_headers`].

mod call;
mod context;
mod handlers;
mod router;
mod stream;
mod unary;

pub use context::{Context, Request};
pub use router::Router;
pub use stream::{
    BidiStreamingServer, ClientStreamingServer, ServerReceiver, ServerSender, ServerStreamingServer,
};

use std::collections::VecDeque;
use std::sync::Arc;

use halfclose::{Config, Connection, Event, Seed, Server, Time};

use crate::driver::{Driver, RoleHooks};
use crate::io::{Clock, Io};
use crate::shared::{Shared, State};
use crate::shutdown::Shutdown;
use call::{Answer, FirstMessage};
use handlers::{HandlerContext, Handlers};
use router::{NewCall, Recent};

/// The driver of a server's connection; its handlers run inside. A future that must be polled, in a task of its own as
/// a rule, until it ends.
pub type ServerDriver<I, K> = Driver<I, K, ServerSide>;

/// What a server's driver keeps: the router, the handlers that are running, and what events ask for.
#[derive(Debug)]
pub struct ServerSide {
    router: Arc<Router>,
    recent: Recent,
    handlers: Handlers,
    requests: VecDeque<NewCall>,
    /// What handlers have answered in this round.
    answers: Vec<Answer>,
}

impl RoleHooks for ServerSide {
    type Role = Server;

    #[inline]
    fn on_event(&mut self, state: &mut State<Server>, event: &Event) {
        match *event {
            Event::Request(call) => {
                if let Ok(headers) = state.connection.take_request(call) {
                    let method = self.recent.find(&self.router, headers.path());
                    self.requests.push_back(NewCall {
                        call,
                        headers,
                        method,
                        first: FirstMessage::default(),
                    });
                    if let (Some(method), Some(incoming)) = (method, self.requests.back_mut()) {
                        incoming.first.take(state, call, method.call_type);
                    }
                }
            }
            Event::Ended(call, _) => {
                if !self.requests.is_empty() {
                    // A call may end before its handler has begun.
                    self.requests.retain(|incoming| incoming.call != call);
                }
                self.handlers.end(call);
            }
            _ => {}
        }
    }

    fn run(&mut self, shared: &Arc<Shared<Server>>, until: Time) -> bool {
        self.handlers.attach(&shared.signal);
        let context = &mut HandlerContext { shared, answers: &mut self.answers, until };
        let mut any = false;
        while !(self.requests.is_empty() || (any && context.is_over())) {
            any = true;
            if let Some(incoming) = self.requests.pop_front() {
                self.handlers.start(incoming.call, context, || incoming.into_handler(&self.router, shared));
            }
        }
        self.handlers.run(context, any);
        // A handler that wakes itself is no reason to end the turn before its time.
        !self.requests.is_empty() || self.handlers.has_rest()
    }

    #[inline]
    fn settle(&mut self, state: &mut State<Server>) {
        for answer in self.answers.drain(..) {
            answer.give(state);
        }
    }

    fn shrink(&mut self) {
        self.handlers.shrink();
        (self.requests, self.answers) = <_>::default();
    }

    fn has_work(&self) -> bool {
        !self.requests.is_empty() || self.handlers.has_work()
    }
}

impl Router {
    /// Serves a transport that was accepted. The driver must be polled, in a task of its own as a rule; the adapters'
    /// `serve` does that.
    ///
    /// `seed` varies what must not be the same for many connections; any number will do. The connection shuts down
    /// gracefully when `shutdown` says so.
    pub fn serve<I: Io, K: Clock>(
        self: &Arc<Self>,
        io: I,
        clock: K,
        config: Config,
        seed: Seed,
        shutdown: &Shutdown,
    ) -> ServerDriver<I, K> {
        let connection = Connection::<Server>::new(config, seed, clock.now());
        let side = ServerSide {
            router: Arc::clone(self),
            recent: Recent::default(),
            handlers: Handlers::default(),
            requests: VecDeque::new(),
            answers: Vec::new(),
        };
        let mut driver = Driver::new(io, clock, connection, side);
        driver.watch(shutdown);
        driver.share_memory(self.budget());
        driver
    }
}
