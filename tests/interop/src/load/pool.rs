//! Callers who share the work.

use std::cell::Cell;

use futures_util::future::try_join_all;

use crate::client::Failure;

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
