//! The server's side: a [`Router`] of methods, and the four call types as their handlers see them.

mod call;
mod context;
mod handlers;
mod router;
mod service;
mod stream;
mod unary;

pub use context::{Context, Request};
pub use router::Router;
pub use service::{AddedTwice, Service};
pub use stream::{
    BidiStreamingServer, ClientStreamingServer, ServerReceiver, ServerSender, ServerStreamingServer,
};

use std::collections::VecDeque;
use std::sync::Arc;

use halfclose::{Config, Connection, Event, Misuse, Seed, Server, Time};

use crate::driver::{Driver, RoleHooks};
use crate::io::{Clock, Io};
use crate::shared::{Shared, State};
use crate::shutdown::Shutdown;
use call::{Answer, FirstMessage, UncompressedAnswer};
use handlers::{HandlerContext, Handlers};
use router::{NewCall, Recent};

/// The driver of a server's connection, which also runs its handlers: a future that has to be polled until it ends,
/// usually in its own task.
pub type ServerDriver<I, K> = Driver<I, K, ServerSide>;

/// The server's hooks: the router, the running handlers, and the work that events have caused.
#[derive(Debug)]
pub struct ServerSide {
    router: Arc<Router>,
    recent: Recent,
    handlers: Handlers,
    requests: VecDeque<NewCall>,
    /// The responses that handlers have returned in this round.
    answers: Vec<Answer>,
    /// Those of them that are to be compressed.
    uncompressed: Vec<UncompressedAnswer>,
    /// Those that were, or could not be.
    compressed: Vec<(Answer, Result<(), Misuse>)>,
}

impl RoleHooks for ServerSide {
    type Role = Server;

    #[inline]
    fn on_event(&mut self, state: &mut State<Server>, event: &Event) {
        match *event {
            Event::Request(call) => {
                if let Ok(headers) = state.connection.take_request(call) {
                    let method = self.recent.find(&self.router, headers.path());
                    if method
                        .is_some_and(|method| !method.content_subtypes.contains(headers.content_subtype()))
                    {
                        // P-8. Nothing of an answer was given, so it cannot fail.
                        let _ = state.connection.refuse_content_subtype(call);
                        return;
                    }
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
                    // A call may end before its handler has started.
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
        while !(self.uncompressed.is_empty() || (any && context.is_over())) {
            any = true;
            self.compressed.extend(self.uncompressed.pop().map(UncompressedAnswer::compress));
        }
        self.handlers.run(context, any);
        // A handler that wakes itself is no reason to end the turn before its time.
        !self.requests.is_empty() || !self.uncompressed.is_empty() || self.handlers.has_rest()
    }

    #[inline]
    fn settle(&mut self, state: &mut State<Server>) {
        for answer in self.answers.drain(..) {
            self.uncompressed.extend(answer.give(state));
        }
        for (answer, compressed) in self.compressed.drain(..) {
            answer.end(state, compressed);
        }
    }

    fn shrink(&mut self) {
        self.handlers.shrink();
        (self.requests, self.answers) = <_>::default();
        (self.uncompressed, self.compressed) = <_>::default();
    }

    fn has_work(&self) -> bool {
        !self.requests.is_empty() || !self.uncompressed.is_empty() || self.handlers.has_work()
    }
}

impl Router {
    /// Serves a transport that was accepted. Poll the driver until it ends, usually in its own task; the adapters'
    /// `serve` does that.
    ///
    /// `seed` varies what should differ between connections; any number will do. `shutdown` shuts the connection down
    /// gracefully.
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
            uncompressed: Vec::new(),
            compressed: Vec::new(),
        };
        let mut driver = Driver::new(io, clock, connection, side);
        driver.watch(shutdown);
        driver.share_memory(self.budget());
        driver
    }
}
