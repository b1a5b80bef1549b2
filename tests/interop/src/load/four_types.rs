//! All four call types, side by side on one connection.

use halfclose_driver::Channel;

use super::pool::callers;
use crate::client::{Failure, Target, streaming, unary};

pub(super) async fn four_types(target: &Target, at_once: usize, calls: usize) -> Result<String, Failure> {
    let all = async |channel: &Channel| callers(at_once, calls, |number| call(channel, number)).await;
    target.session(all).await.map(|()| String::new())
}

/// Makes one call of each type in turn, small and large ones of each.
pub(super) async fn call(channel: &Channel, number: usize) -> Result<(), Failure> {
    match number % 6 {
        0 => unary::empty_unary(channel).await,
        1 => streaming::client_streaming(channel).await,
        2 => streaming::server_streaming(channel).await,
        3 => streaming::ping_pong(channel).await,
        4 => unary::small_unary(channel).await,
        _ => unary::large_unary(channel).await,
    }
}
