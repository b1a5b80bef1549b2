//! The errors of a case, and the checks that report them.

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use halfclose_driver::halfclose::{Code, ConnectionError};
use halfclose_driver::{CallError, SendError};

/// Why a case did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no server.
    #[error("no connection to {address}: {error}")]
    Connect {
        /// The address that was tried.
        address: String,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A call ended with another status than the case describes.
    #[error("a call ended with {}, message {:?}, cause {:?}; {wanted}", error.code(), error.status().message(), error.cause())]
    Call {
        /// How it ended.
        error: CallError,
        /// What the case describes.
        wanted: String,
    },
    /// A message was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Something that the case describes did not hold.
    #[error("{0}")]
    Check(String),
    /// The connection ended, and not by our request.
    #[error("the connection ended badly: {0}")]
    Connection(#[from] ConnectionError),
    /// The connection did not end.
    #[error("the connection was not over {limit:?} after the last call")]
    NotClosed {
        /// The time limit.
        limit: Duration,
    },
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::call(error, "want OK".to_owned())
    }
}

impl Failure {
    fn call(error: CallError, wanted: String) -> Self {
        Self::Call { error, wanted }
    }
}

pub(crate) fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Check(otherwise())) }
}

pub(crate) fn equal<T: PartialEq + Debug>(what: &str, got: T, want: T) -> Result<(), Failure> {
    check(got == want, || format!("{what}: got {got:?}, want {want:?}"))
}

/// Checks that the call failed with this code. Returns what is known of its end.
pub(crate) fn fails_with<T>(result: Result<T, CallError>, want: Code) -> Result<CallError, Failure> {
    match result {
        Err(error) if error.code() == want => Ok(error),
        Err(error) => Err(Failure::call(error, format!("want {want}"))),
        Ok(_) => Err(Failure::Check(format!("the call succeeded, want {want}"))),
    }
}
