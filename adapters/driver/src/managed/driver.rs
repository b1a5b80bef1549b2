//! Carries out the actions of a channel's machine: resolves names, makes and watches connections, waits for the time.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use halfclose_channel::{ConnectionId, Connectivity, Output};

use super::state::ManagedShared;
use crate::client::Channel;
use crate::io::{Clock, Timer};

/// A future of a [`Connector`].
pub type ConnectorFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The parts of a runtime that a [`ManagedChannel`](super::ManagedChannel) needs: names, connections and a clock.
pub trait Connector: Send + Unpin + 'static {
    /// The clock.
    type Clock: Clock;

    /// Returns the clock.
    fn clock(&self) -> &Self::Clock;

    /// Resolves the target's name.
    fn resolve(&mut self) -> ConnectorFuture<io::Result<Vec<SocketAddr>>>;

    /// Connects to one address, with TLS if it is set, and drives the connection in a task of its own. `keepalive` is
    /// the interval of the connection's keepalive, if the channel has one.
    fn connect(
        &mut self,
        address: SocketAddr,
        keepalive: Option<Duration>,
    ) -> ConnectorFuture<io::Result<Channel>>;
}

/// The state of a connection.
enum Link {
    Connecting(ConnectorFuture<io::Result<Channel>>),
    /// The transport is connected, and the server's SETTINGS have not arrived.
    Waiting(Channel, ConnectorFuture<()>),
    /// Calls use it.
    Open(Channel, ConnectorFuture<()>),
    /// It ends with its last call.
    Draining(ConnectorFuture<()>),
}

/// Drives a [`ManagedChannel`](super::ManagedChannel). It completes when every clone of that is dropped.
pub struct ManagedDriver<C: Connector> {
    inner: Arc<ManagedShared>,
    connector: C,
    timer: <C::Clock as Clock>::Timer,
    resolving: Option<ConnectorFuture<io::Result<Vec<SocketAddr>>>>,
    links: Vec<(ConnectionId, Link)>,
}

impl<C: Connector> Unpin for ManagedDriver<C> {}

impl<C: Connector> ManagedDriver<C> {
    pub(super) fn new(inner: Arc<ManagedShared>, connector: C) -> Self {
        let timer = connector.clock().timer();
        Self { inner, connector, timer, resolving: None, links: Vec::new() }
    }

    /// Carries out the machine's actions.
    fn obey(&mut self) {
        while let Some(output) = self.inner.next_todo() {
            match output {
                Output::Resolve => self.resolving = Some(self.connector.resolve()),
                Output::Connect(id, address) => {
                    let keepalive = self.inner.input(|machine, _| machine.keepalive());
                    self.links.push((id, Link::Connecting(self.connector.connect(address, keepalive))));
                }
                Output::Abandon(id) => self.links.retain(|(known, _)| *known != id),
                Output::Drain(id) => self.drain(id),
                _ => {}
            }
        }
    }

    /// Lets a connection end with its last call.
    fn drain(&mut self, id: ConnectionId) {
        let channel = self.inner.remove(id);
        let Some((_, link)) = self.links.iter_mut().find(|(known, _)| *known == id) else { return };
        if let Link::Open(open, _) | Link::Waiting(open, _) = &*link {
            open.shutdown();
            *link = Link::Draining(closed(open.clone()));
        }
        drop(channel);
    }

    fn poll_resolving(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(resolving) = &mut self.resolving else { return false };
        let Poll::Ready(resolved) = resolving.as_mut().poll(cx) else { return false };
        self.resolving = None;
        let resolved = resolved.map_err(|error| error.to_string());
        self.inner.input(|machine, now| machine.resolved(now, resolved));
        true
    }

    /// Polls every connection. Returns whether any changed.
    fn poll_links(&mut self, cx: &mut Context<'_>) -> bool {
        let mut news = false;
        let mut links = std::mem::take(&mut self.links);
        for (id, mut link) in links.drain(..) {
            while let Poll::Ready(next) = self.poll_link(id, &mut link, cx) {
                news = true;
                match next {
                    Some(next) => link = next,
                    None => {
                        link = Link::Draining(Box::pin(std::future::ready(())));
                        break;
                    }
                }
            }
            let over = match &mut link {
                Link::Draining(closed) => closed.as_mut().poll(cx).is_ready(),
                _ => false,
            };
            if !over {
                self.links.push((id, link));
            }
        }
        news
    }

    /// Waits for the next state of a connection, `None` if it is over.
    fn poll_link(&self, id: ConnectionId, link: &mut Link, cx: &mut Context<'_>) -> Poll<Option<Link>> {
        match link {
            Link::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(channel)) => {
                    let closed = closed(channel.clone());
                    Poll::Ready(Some(Link::Waiting(channel, closed)))
                }
                Poll::Ready(Err(error)) => self.failed(id, &error.to_string()),
            },
            Link::Waiting(channel, closed) => {
                channel.watch().register(cx.waker());
                if closed.as_mut().poll(cx).is_ready() || channel.is_closed() {
                    return self.failed(id, &why(channel));
                }
                if !channel.watch().has_settings() {
                    return Poll::Pending;
                }
                self.inner.connected(id, channel.clone());
                let channel = channel.clone();
                let ended = self::closed(channel.clone());
                Poll::Ready(Some(Link::Open(channel, ended)))
            }
            Link::Open(channel, closed) => {
                channel.watch().register(cx.waker());
                let over = closed.as_mut().poll(cx).is_ready() || channel.is_closed();
                if !over && !channel.watch().is_going_away() {
                    return Poll::Pending;
                }
                let pings = channel.watch().has_too_many_pings();
                drop(self.inner.remove(id));
                self.inner.input(|machine, now| machine.closed(now, id, pings));
                Poll::Ready((!over).then(|| Link::Draining(self::closed(channel.clone()))))
            }
            Link::Draining(_) => Poll::Pending,
        }
    }

    fn failed(&self, id: ConnectionId, why: &str) -> Poll<Option<Link>> {
        self.inner.input(|machine, now| machine.failed(now, id, why));
        Poll::Ready(None)
    }

    /// Returns whether the timer is due.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.inner.poll_timeout() else { return false };
        if at > self.inner.now() && self.timer.poll_at(cx, at).is_pending() {
            return false;
        }
        self.inner.input(|machine, now| machine.handle_timeout(now));
        true
    }
}

/// Waits for the end of a connection.
fn closed(channel: Channel) -> ConnectorFuture<()> {
    Box::pin(async move { channel.closed().await })
}

/// Returns why a connection ended before it began.
fn why(channel: &Channel) -> String {
    let failure = channel.failure().map(|failure| failure.to_string());
    failure.unwrap_or_else(|| "the server closed the connection before its SETTINGS".to_owned())
}

impl<C: Connector> Future for ManagedDriver<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.inner.register(cx.waker());
        loop {
            this.obey();
            let mut news = this.poll_resolving(cx);
            news |= this.poll_links(cx);
            news |= this.poll_timer(cx);
            if !news && !this.inner.has_todo() {
                break;
            }
        }
        let over = this.inner.input(|machine, _| machine.state()) == Connectivity::Shutdown;
        if over && this.links.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<C: Connector> fmt::Debug for ManagedDriver<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedDriver").field("links", &self.links.len()).finish_non_exhaustive()
    }
}
