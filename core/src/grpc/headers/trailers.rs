//! Trailers, as a client receives them ([P-21](crate::manual::rules#p-21), [P-26](crate::manual::rules#p-26), [P-27](crate::manual::rules#p-27)).

use bytes::Bytes;

use super::MalformedReason;
use super::gather::{Gather, check_te, excerpt};
use crate::grpc::metadata::Metadata;
use crate::grpc::status::{Code, Status};
use crate::grpc::{base64, percent};

/// The trailers of a call, as a client receives them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trailers {
    /// The status; `None` if the trailers have no `grpc-status` (see [`Trailers::into_status`]).
    pub status: Option<Status>,
    /// Trailing metadata.
    pub metadata: Metadata,
}

impl Trailers {
    /// Returns the status; for trailers without one it is `UNKNOWN`, as in grpc-go
    /// ([P-26](crate::manual::rules#p-26)).
    #[must_use]
    pub fn into_status(self) -> Status {
        self.status.unwrap_or_else(|| Status::unknown("the trailers have no grpc-status"))
    }
}

/// The fields that make up a status.
///
/// If one occurs several times, the last one counts, as in C-core and grpc-go. But a `grpc-status` of OK never
/// replaces an error, because a status that contradicts itself should not report success.
#[derive(Debug, Default)]
pub(super) struct StatusFields {
    /// The code in `grpc-status`, or the code that replaces an invalid one.
    code: Option<Code>,
    /// Why the code differs from the field's value.
    note: Option<String>,
    message: String,
    details: Bytes,
}

impl StatusFields {
    /// Accepts one of the fields of a status and returns true, or returns false for any other field.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8], keep: bool) -> bool {
        match name {
            b"grpc-status" => self.status(value),
            b"grpc-message" => {
                if keep {
                    self.message = percent::decode(value).into_owned();
                }
            }
            b"grpc-status-details-bin" => {
                if keep {
                    self.details(value);
                }
            }
            _ => return false,
        }
        true
    }

    /// Decodes the details. Invalid details are dropped: they are informational and should not cost the call its code
    /// and message.
    fn details(&mut self, value: &[u8]) {
        let mut details = Vec::new();
        let read = base64::decode(value, &mut details).is_ok();
        self.details = if read { Bytes::from(details) } else { Bytes::new() };
    }

    /// Records the code. A value that is not a number, or a number without a code, is `UNKNOWN`
    /// ([P-27](crate::manual::rules#p-27)).
    fn status(&mut self, value: &[u8]) {
        let code = Code::from_wire(value);
        if code == Some(Code::Ok) && self.code.is_some() {
            return;
        }
        self.code = Some(code.unwrap_or(Code::Unknown));
        self.note = match code {
            None => Some(format!("the peer sent grpc-status \"{}\", which is not a number", excerpt(value))),
            Some(Code::Unknown) if value != b"2" => {
                Some(format!("the peer sent grpc-status {}", excerpt(value)))
            }
            Some(_) => None,
        };
    }

    /// Returns the status of the fields, or the one for a block that cannot be used.
    pub(super) fn into_status(self, gather: &Gather) -> Option<Status> {
        if let Some(text) = gather.too_large() {
            // P-45: the message may be the part that is too large, so only the code of the server's status is
            // reported.
            let code = self.code.map(|code| format!("; the server's status was {code}"));
            return Some(Status::resource_exhausted(text + &code.unwrap_or_default()));
        }
        let code = self.code?;
        if code == Code::Ok
            && let Some(status) = gather.bad_binary()
        {
            // P-30: an application could mistake incomplete metadata for the whole. An error needs no other status,
            // and its own code says more.
            return Some(status);
        }
        let message = match self.note {
            Some(note) if self.message.is_empty() => note,
            _ => self.message,
        };
        if code == Code::Ok && message.is_empty() && self.details.is_empty() {
            return Some(Status::ok());
        }
        Some(Status::new(code, message).with_details(self.details))
    }
}

/// Builds [`Trailers`] from the fields of one block. A builder can be reused for further blocks.
///
/// ```
/// use halfclose::internals::TrailersBuilder;
///
/// let mut builder = TrailersBuilder::new(8192);
/// builder.field(b"grpc-status", b"5");
/// builder.field(b"grpc-message", b"no such user");
/// let trailers = builder.finish().unwrap();
/// assert_eq!(trailers.into_status().to_string(), "NOT_FOUND: no such user");
/// ```
#[derive(Debug)]
pub struct TrailersBuilder {
    gather: Gather,
    status: StatusFields,
    malformed: Option<MalformedReason>,
}

impl TrailersBuilder {
    /// Makes a builder. `metadata_limit` is the size of the largest block that is accepted, in bytes as RFC 9113
    /// §6.5.2 counts them.
    #[must_use]
    pub fn new(metadata_limit: usize) -> Self {
        Self { gather: Gather::new(metadata_limit), status: StatusFields::default(), malformed: None }
    }

    /// Adds the next field of the block.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if self.malformed.is_none() {
            self.malformed = self.checked_field(name, value).err();
        }
    }

    /// Adds the next field of the block, one that no hop may index (RFC 7541 §7.1.3).
    pub fn sensitive_field(&mut self, name: &[u8], value: &[u8]) {
        self.gather.sensitive = true;
        self.field(name, value);
        self.gather.sensitive = false;
    }

    fn checked_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), MalformedReason> {
        let (value, keep) = self.gather.admit(name, value)?;
        if name.starts_with(b":") {
            return Err(MalformedReason::PseudoInTrailers);
        }
        if self.status.take(name, value, keep) {
            return Ok(());
        }
        match name {
            b"te" => check_te(value),
            // Some peers repeat these header fields in the trailers, where they have no meaning (RFC 9110 §6.5.1).
            b"content-type" | b"content-length" => Ok(()),
            _ => self.gather.custom(name, value, keep),
        }
    }

    /// Completes the block. The builder is ready for the next one.
    ///
    /// A block over the limit is `RESOURCE_EXHAUSTED`, whatever its `grpc-status`. If that is OK, a malformed `-bin`
    /// value makes it `INTERNAL` ([P-30](crate::manual::rules#p-30)); that value is left out of the metadata.
    ///
    /// # Errors
    /// [`MalformedReason`]: a stream error of type PROTOCOL_ERROR.
    pub fn finish(&mut self) -> Result<Trailers, MalformedReason> {
        let status = std::mem::take(&mut self.status);
        let result = match self.malformed.take() {
            Some(reason) => Err(reason),
            None => {
                Ok(Trailers { status: status.into_status(&self.gather), metadata: self.gather.metadata() })
            }
        };
        self.gather.reset();
        result
    }
}
