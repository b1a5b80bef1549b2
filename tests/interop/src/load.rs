//! The load client: acts on proxies between it and its server as a service in use does. Each [`Load`] is given on the
//! command line as its name and its numbers, `uploads:5x4000000`, and runs on one connection, or on as many as an
//! outage makes necessary.

mod bidi;
mod cancels;
mod deadlines;
mod four_types;
mod kind;
mod metadata;
mod outage;
mod pool;
mod reconnecting;
mod trailers_only;
mod transfers;

pub use kind::Load;

use std::time::Duration;

use halfclose_driver::CallOptions;

/// The deadline of every call that is to succeed: a call that hangs is a failure and not a program that hangs.
const DEADLINE: Duration = Duration::from_secs(15);

fn options() -> CallOptions {
    CallOptions::new().timeout(DEADLINE)
}
