//! Load while the proxy between the callers and the server is replaced, or dies and is restarted. The program that
//! started this one causes that after it has printed `STARTED`.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use halfclose_driver::halfclose::{Cause, Code};
use halfclose_driver::{CallError, Channel};

use super::reconnecting::Reconnecting;
use super::{four_types, options};
use crate::client::payloads::{check_payload, duplex_request};
use crate::client::{Failure, Target, check};
use crate::methods::FULL_DUPLEX_CALL;

/// Calls before the outage.
const WARM: usize = 50;

/// Streams that are open when the outage comes.
const STREAMS: usize = 4;

/// The time between two messages of such a stream.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn reload(target: &Target, callers: usize, time: Duration) -> Result<String, Failure> {
    let outage = Outage::new(target, time, false);
    outage.run(callers).await?;
    outage.connection.close().await?.into_iter().collect::<Result<(), _>>()?;
    Ok(outage.tell())
}

pub(super) async fn restart(target: &Target, callers: usize, time: Duration) -> Result<String, Failure> {
    let outage = Outage::new(target, time, true);
    outage.run(callers).await?;
    outage.connection.close().await?;
    check(outage.cut.get() > 0, || "nothing was cut: was there an outage?".to_owned())?;
    Ok(outage.tell())
}

/// The callers' connection, and the results of their calls.
struct Outage<'a> {
    connection: Reconnecting<'a>,
    target: &'a Target,
    time: Duration,
    /// Whether calls may be cut.
    cuts: bool,
    until: Cell<Option<Instant>>,
    made: Cell<usize>,
    again: Cell<usize>,
    cut: Cell<usize>,
    first_cut: RefCell<String>,
}

impl<'a> Outage<'a> {
    fn new(target: &'a Target, time: Duration, cuts: bool) -> Self {
        Self {
            connection: Reconnecting::new(target, cuts),
            target,
            time,
            cuts,
            until: Cell::new(None),
            made: Cell::new(0),
            again: Cell::new(0),
            cut: Cell::new(0),
            first_cut: RefCell::default(),
        }
    }

    async fn run(&self, callers: usize) -> Result<(), Failure> {
        let calls = try_join_all((0..callers).map(|first| self.caller(first)));
        let streams = try_join_all((0..STREAMS).map(|_| self.stream()));
        try_join(calls, streams).await?;
        // Whatever happened, the service must be available.
        four_types::call(&self.connection.channel().await?, 0).await
    }

    async fn caller(&self, first: usize) -> Result<(), Failure> {
        let mut number = first;
        while !self.is_over() {
            let channel = self.connection.channel().await?;
            self.settle(four_types::call(&channel, number).await)?;
            number += 1;
        }
        Ok(())
    }

    /// Keeps a stream open from before the outage until after it.
    async fn stream(&self) -> Result<(), Failure> {
        let channel = self.connection.channel().await?;
        self.settle(self.converse(&channel).await)
    }

    async fn converse(&self, channel: &Channel) -> Result<(), Failure> {
        let timeout = options().timeout.unwrap_or_default() + self.time;
        let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options().timeout(timeout))?;
        while !self.is_over() {
            // A call that has ended gives the reason on its receiving half.
            let _ = call.send(&duplex_request(100, &[100])).await;
            let response = call.recv().await?.unwrap_or_default();
            check_payload(response.payload.as_ref(), 100)?;
            (self.target.runtime.sleep)(PAUSE).await;
        }
        let _ = call.close_send();
        call.recv().await?;
        Ok(())
    }

    /// Counts a call by how it ended.
    fn settle(&self, result: Result<(), Failure>) -> Result<(), Failure> {
        match result {
            Ok(()) => self.count(),
            Err(Failure::Call { error, .. }) if error.not_processed() => self.again.set(self.again.get() + 1),
            Err(Failure::Call { error, .. }) if self.cuts && is_cut(&error) => self.note_cut(&error),
            Err(other) => return Err(other),
        }
        Ok(())
    }

    fn count(&self) {
        self.made.set(self.made.get() + 1);
        if self.made.get() == WARM {
            self.until.set(Some(Instant::now() + self.time));
            println!("STARTED");
        }
    }

    fn is_over(&self) -> bool {
        self.until.get().is_some_and(|until| until <= Instant::now())
    }

    fn note_cut(&self, error: &CallError) {
        if self.cut.replace(self.cut.get() + 1) == 0 {
            *self.first_cut.borrow_mut() = format!(" ({error})");
        }
    }

    fn tell(&self) -> String {
        format!(
            "{} calls on {} connections, {} made again, {} cut{}",
            self.made.get(),
            self.connection.connections(),
            self.again.get(),
            self.cut.get(),
            self.first_cut.borrow(),
        )
    }
}

/// Returns whether a call ended as a cut one must: UNAVAILABLE, because its connection is gone.
fn is_cut(error: &CallError) -> bool {
    error.code() == Code::Unavailable && matches!(error.cause(), Cause::Connection)
}
