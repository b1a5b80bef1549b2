//! Conversions of other errors into statuses, so that a handler can use `?`.

use std::error::Error;
use std::io;

use super::metadata::MetadataError;
use super::status::{Code, Status};
use crate::error::Misuse;

/// The most causes that are followed, so that a cyclic chain ends.
const MOST_CAUSES: usize = 32;

impl Status {
    /// Makes a status from any error: the [`Status`] that it is or was caused by, if there is one; otherwise the code
    /// that matches an [`io::Error`] among its causes; otherwise [`Code::Unknown`]. The client sees the error's own
    /// message, so do not convert errors whose text is not meant for it.
    ///
    /// ```
    /// use halfclose::{Code, Status};
    /// use std::io;
    ///
    /// let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "the database is down");
    /// let status = Status::from_error(&refused);
    /// assert_eq!(status.to_string(), "UNAVAILABLE: the database is down");
    ///
    /// let wrapped = io::Error::other(Status::not_found("no such user"));
    /// assert_eq!(Status::from_error(&wrapped).code, Code::NotFound);
    /// ```
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut code = Code::Unknown;
        let mut cause = Some(error);
        for _ in 0..MOST_CAUSES {
            let Some(current) = cause else { break };
            if let Some(status) = current.downcast_ref::<Self>() {
                return status.clone();
            }
            if let Some(error) = current.downcast_ref::<io::Error>() {
                if let Some(status) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
                    return status.clone();
                }
                if code == Code::Unknown {
                    code = code_of(error.kind());
                }
            }
            cause = current.source();
        }
        Self::new(code, error.to_string())
    }
}

/// Returns the gRPC code that matches an I/O error.
fn code_of(kind: io::ErrorKind) -> Code {
    use io::ErrorKind as Kind;
    match kind {
        Kind::NotFound => Code::NotFound,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::TimedOut => Code::DeadlineExceeded,
        Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::NotConnected
        | Kind::BrokenPipe
        | Kind::AddrInUse
        | Kind::AddrNotAvailable
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::Interrupted
        | Kind::WouldBlock => Code::Unavailable,
        Kind::InvalidInput => Code::InvalidArgument,
        Kind::InvalidData | Kind::UnexpectedEof | Kind::WriteZero => Code::Internal,
        Kind::OutOfMemory | Kind::StorageFull | Kind::QuotaExceeded => Code::ResourceExhausted,
        Kind::Unsupported => Code::Unimplemented,
        _ => Code::Unknown,
    }
}

impl From<io::Error> for Status {
    fn from(error: io::Error) -> Self {
        Self::from_error(&error)
    }
}

impl From<Box<dyn Error + Send + Sync>> for Status {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::from_error(&*error)
    }
}

/// Returns the status for a call that ends because one of its commands could not be carried out
/// ([P-15](crate::manual::rules#p-15), [P-55](crate::manual::rules#p-55)).
impl From<Misuse> for Status {
    fn from(misuse: Misuse) -> Self {
        let code = match misuse {
            Misuse::MessageTooLarge { .. }
            | Misuse::HeaderListTooLarge { .. }
            | Misuse::TooManyQueuedCalls { .. } => Code::ResourceExhausted,
            Misuse::GoingAway | Misuse::Closed => Code::Unavailable,
            Misuse::UnsupportedEncoding => Code::Unimplemented,
            _ => Code::Internal,
        };
        Self::new(code, misuse.to_string())
    }
}

impl From<MetadataError> for Status {
    fn from(error: MetadataError) -> Self {
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the order could not be read")]
    struct Wrapped(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn the_first_cause_that_says_a_code_decides() {
        let io = |kind| Box::new(io::Error::new(kind, "inner"));
        let table: [(Box<dyn Error + Send + Sync>, &str); 6] = [
            ("plain".into(), "UNKNOWN: plain"),
            (io(io::ErrorKind::TimedOut), "DEADLINE_EXCEEDED: inner"),
            (io(io::ErrorKind::Other), "UNKNOWN: inner"),
            (Box::new(Wrapped(io(io::ErrorKind::NotFound))), "NOT_FOUND: the order could not be read"),
            (Box::new(Wrapped(Box::new(Status::aborted("try again")))), "ABORTED: try again"),
            (Box::new(io::Error::other(Status::data_loss("gone"))), "DATA_LOSS: gone"),
        ];
        for (error, expected) in table {
            assert_eq!(Status::from(error).to_string(), expected);
        }
    }

    #[test]
    fn details_survive_the_way_through_another_error() {
        let status = Status::internal("broken").with_details(b"why".as_slice().into());
        let through = Status::from(io::Error::other(status.clone()));
        assert_eq!(through, status);
    }

    #[test]
    fn our_own_faults_have_codes() {
        let too_large = Misuse::MessageTooLarge { size: 5, limit: 4 };
        assert_eq!(Status::from(too_large).code, Code::ResourceExhausted);
        assert_eq!(Status::from(Misuse::Closed).code, Code::Unavailable);
        assert_eq!(Status::from(Misuse::UnknownCall).code, Code::Internal);
    }

    #[test]
    fn a_chain_of_causes_without_end_ends() {
        #[derive(Debug, thiserror::Error)]
        #[error("itself")]
        struct Loop;
        static LOOP: Looping = Looping(Loop);
        #[derive(Debug)]
        struct Looping(Loop);
        impl std::fmt::Display for Looping {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl Error for Looping {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&LOOP)
            }
        }
        assert_eq!(Status::from_error(&LOOP).to_string(), "UNKNOWN: itself");
    }
}
