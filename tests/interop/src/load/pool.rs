//! Callers who share the work.

use std::cell::Cell;

use futures_util::future::try_join_all;

use halfclose_driver::Channel;

use crate::client::{Failure, unary};

/// More calls at once than a server's streams or threads are many: what a call that is over still holds is missed here.
const AFTER: usize = 300;

/// How often a call is made again that was not processed.
const TRIES: usize = 20;

/// Makes the calls `0..calls`, `at_once` of them at a time.
pub(super) async fn callers<F>(at_once: usize, calls: usize, call: impl Fn(usize) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let (next, call) = (Cell::new(0), &call);
    let caller = async || {
        while next.get() < calls {
            let number = next.replace(next.get() + 1);
            call(number).await?;
        }
        Ok(())
    };
    try_join_all((0..at_once).map(|_| caller())).await.map(drop)
}

/// Makes many small calls at once, behind calls that are over.
pub(super) async fn none_is_left(channel: &Channel) -> Result<(), Failure> {
    try_join_all((0..AFTER).map(|_| unless_refused(|| unary::small_unary(channel)))).await.map(drop)
}

/// Makes a call again while it is refused without having been processed, as C-core's channel does by itself (gRFC A6): nginx
/// counts a call that its client has reset until its last frames are out, and refuses one that is over its limit then.
pub(super) async fn unless_refused<F>(call: impl Fn() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    for _ in 1..TRIES {
        match call().await {
            Err(Failure::Call { error, .. }) if error.not_processed() => {}
            ended => return ended,
        }
    }
    call().await
}
