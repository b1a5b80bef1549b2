//! A connection that is replaced when it accepts no more calls.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use futures_util::lock::Mutex;
use halfclose_driver::Channel;
use halfclose_driver::halfclose::ConnectionError;

use crate::client::{Failure, Target};
use crate::runtime::Connection;

/// How long no server may be available, if that is allowed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time between two attempts to connect.
const RETRY: Duration = Duration::from_millis(5);

/// The time limit for the last frames.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

type Driven = BoxFuture<'static, Result<(), ConnectionError>>;

/// The callers' shared current connection.
pub(super) struct Reconnecting<'a> {
    target: &'a Target,
    /// Whether no server may be available for a while.
    patient: bool,
    current: Mutex<Option<Channel>>,
    driven: RefCell<Vec<Driven>>,
    connections: Cell<usize>,
}

impl<'a> Reconnecting<'a> {
    pub(super) fn new(target: &'a Target, patient: bool) -> Self {
        let (current, driven) = (Mutex::new(None), RefCell::default());
        Self { target, patient, current, driven, connections: Cell::new(0) }
    }

    /// Returns the connection that accepts calls, a new one if the last accepts none.
    pub(super) async fn channel(&self) -> Result<Channel, Failure> {
        let mut current = self.current.lock().await;
        if let Some(channel) = current.as_ref().filter(|channel| channel.is_open()) {
            return Ok(channel.clone());
        }
        let Connection { channel, driven } = self.connect().await?;
        self.driven.borrow_mut().push(driven);
        self.connections.set(self.connections.get() + 1);
        *current = Some(channel.clone());
        Ok(channel)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.target.connect().await {
                Err(_) if self.patient && Instant::now() < until => (self.target.runtime.sleep)(RETRY).await,
                connected => return connected,
            }
        }
    }

    /// Returns the number of connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.get()
    }

    /// Releases the connection, and waits for the end of all earlier ones. Returns how each has ended.
    pub(super) async fn close(&self) -> Result<Vec<Result<(), ConnectionError>>, Failure> {
        self.current.lock().await.take();
        let all = join_all(self.driven.take());
        let ended = self.target.runtime.within(CLOSE_LIMIT, all).await;
        ended.ok_or(Failure::NotClosed { limit: CLOSE_LIMIT })
    }
}
