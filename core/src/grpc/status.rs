//! The status of a call: code, message and details (gRPC `statuscodes.md`).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::Bytes;

/// A canonical gRPC status code, 0 to 16 (`statuscodes.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Code {
    /// 0: the call succeeded.
    Ok = 0,
    /// 1: the call was cancelled, typically by the caller.
    Cancelled = 1,
    /// 2: an error that no other code describes, or a code that this library does not know
    /// ([P-27](crate::manual::rules#p-27)).
    Unknown = 2,
    /// 3: the client passed an argument that is invalid regardless of the system's state.
    InvalidArgument = 3,
    /// 4: the deadline passed before the call completed.
    DeadlineExceeded = 4,
    /// 5: a requested entity does not exist.
    NotFound = 5,
    /// 6: an entity that was to be created exists already.
    AlreadyExists = 6,
    /// 7: the caller lacks the permission.
    PermissionDenied = 7,
    /// 8: a quota or a resource is exhausted.
    ResourceExhausted = 8,
    /// 9: the system is not in a state that the call requires.
    FailedPrecondition = 9,
    /// 10: the call was aborted, typically because of a conflict with another.
    Aborted = 10,
    /// 11: the operation exceeds the valid range.
    OutOfRange = 11,
    /// 12: the server does not implement the method.
    Unimplemented = 12,
    /// 13: an invariant of the system is broken.
    Internal = 13,
    /// 14: the service is currently unavailable; a retry may help.
    Unavailable = 14,
    /// 15: data is lost or corrupted beyond recovery.
    DataLoss = 15,
    /// 16: the caller's credentials are missing or invalid.
    Unauthenticated = 16,
}

impl Code {
    /// All codes, by number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// Returns the code with this number; a number over 16 is [`Code::Unknown`] ([P-27](crate::manual::rules#p-27)).
    #[must_use]
    pub fn from_u32(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n)).copied().unwrap_or(Self::Unknown)
    }

    /// Returns the number of the code, 0 to 16.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self as u32
    }

    /// Parses the value of a `grpc-status` field: one digit or more ([P-21](crate::manual::rules#p-21)).
    ///
    /// Returns `None` if it is not a number. A number without a code is [`Code::Unknown`]
    /// ([P-27](crate::manual::rules#p-27)). Leading zeros, which a sender may not write, are accepted, as in C-core.
    #[must_use]
    pub fn from_wire(value: &[u8]) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        let mut number: u32 = 0;
        for &byte in value {
            if !byte.is_ascii_digit() {
                return None;
            }
            number = number.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
        }
        Some(Self::from_u32(number))
    }

    /// Returns the value of a `grpc-status` field, without leading zeros ([P-21](crate::manual::rules#p-21)).
    #[must_use]
    pub const fn as_wire(self) -> &'static str {
        match self {
            Self::Ok => "0",
            Self::Cancelled => "1",
            Self::Unknown => "2",
            Self::InvalidArgument => "3",
            Self::DeadlineExceeded => "4",
            Self::NotFound => "5",
            Self::AlreadyExists => "6",
            Self::PermissionDenied => "7",
            Self::ResourceExhausted => "8",
            Self::FailedPrecondition => "9",
            Self::Aborted => "10",
            Self::OutOfRange => "11",
            Self::Unimplemented => "12",
            Self::Internal => "13",
            Self::Unavailable => "14",
            Self::DataLoss => "15",
            Self::Unauthenticated => "16",
        }
    }

    /// Returns the canonical name, for example `DEADLINE_EXCEEDED`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The status of a call: a code, a message for people and details for programs.
///
/// ```
/// use halfclose::{Code, Status};
///
/// let status = Status::not_found("no such user");
/// assert_eq!(status.code, Code::NotFound);
/// assert_eq!(status.to_string(), "NOT_FOUND: no such user");
/// assert!(Status::ok().is_ok());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// Message and details; `None` if both are empty. Boxed, because most calls end with plain OK, and every call has
    /// space for a status.
    text: Option<Box<CodeText>>,
}

#[derive(Clone, PartialEq, Eq, Default)]
struct CodeText {
    message: Cow<'static, str>,
    details: Bytes,
}

static NO_DETAILS: Bytes = Bytes::new();

impl Status {
    /// Returns [`Code::Ok`] without a message. Allocates nothing.
    #[must_use]
    pub const fn ok() -> Self {
        Self { code: Code::Ok, text: None }
    }

    /// Makes a status with any code. A `&'static str` message is not copied.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let text = (!message.is_empty()).then(|| Box::new(CodeText { message, details: Bytes::new() }));
        Self { code, text }
    }

    /// Adds details: a serialized `google.rpc.Status`, sent as `grpc-status-details-bin` ([P-21](crate::manual::rules#p-21)).
    #[must_use]
    pub fn with_details(mut self, details: Bytes) -> Self {
        if !details.is_empty() || self.text.is_some() {
            self.text.get_or_insert_default().details = details;
        }
        self.text = self.text.filter(|text| !text.message.is_empty() || !text.details.is_empty());
        self
    }

    /// Returns the message for people; empty if there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text.as_ref().map_or("", |text| &text.message)
    }

    /// Returns the details; empty if there are none.
    #[must_use]
    pub fn details(&self) -> &Bytes {
        self.text.as_ref().map_or(&NO_DETAILS, |text| &text.details)
    }

    /// Returns whether this is plain OK, without message and details.
    #[must_use]
    #[inline]
    pub fn is_plain_ok(&self) -> bool {
        self.is_ok() && self.text.is_none()
    }

    /// Returns whether the code is [`Code::Ok`].
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.code == Code::Ok
    }
}

macro_rules! constructors {
    ($($name:ident => $code:ident),+ $(,)?) => {
        impl Status {
            $(
                #[doc = concat!("A status with [`Code::", stringify!($code), "`].")]
                #[must_use]
                pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                    Self::new(Code::$code, message)
                }
            )+
        }
    };
}

constructors! {
    cancelled => Cancelled,
    unknown => Unknown,
    invalid_argument => InvalidArgument,
    deadline_exceeded => DeadlineExceeded,
    not_found => NotFound,
    already_exists => AlreadyExists,
    permission_denied => PermissionDenied,
    resource_exhausted => ResourceExhausted,
    failed_precondition => FailedPrecondition,
    aborted => Aborted,
    out_of_range => OutOfRange,
    unimplemented => Unimplemented,
    internal => Internal,
    unavailable => Unavailable,
    data_loss => DataLoss,
    unauthenticated => Unauthenticated,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        if self.message().is_empty() { Ok(()) } else { write!(f, ": {}", self.message()) }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("code", &self.code)
            .field("message", &self.message())
            .field("details_len", &self.details().len())
            .finish()
    }
}

impl Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_wire_values_agree() {
        for (number, code) in (0u32..).zip(Code::ALL) {
            assert_eq!(code.as_u32(), number);
            assert_eq!(Code::from_u32(number), code);
            assert_eq!(code.as_wire(), number.to_string());
            assert_eq!(Code::from_wire(code.as_wire().as_bytes()), Some(code));
            // The canonical name is the Rust name in upper snake case.
            let snake: String = format!("{code:?}")
                .char_indices()
                .flat_map(|(i, c)| (i > 0 && c.is_uppercase()).then_some('_').into_iter().chain([c]))
                .collect();
            assert_eq!(code.name(), snake.to_uppercase());
        }
    }

    #[test]
    fn wire_values_that_are_not_plain_codes() {
        let table: [(&[u8], Option<Code>); 11] = [
            (b"", None),
            (b"17", Some(Code::Unknown)),
            (b"4294967296", Some(Code::Unknown)),
            (b"99999999999999999999999", Some(Code::Unknown)),
            (b"05", Some(Code::NotFound)),
            (b"-1", None),
            (b"+1", None),
            (b" 1", None),
            (b"1 ", None),
            (b"OK", None),
            (b"\xff", None),
        ];
        for (wire, code) in table {
            assert_eq!(Code::from_wire(wire), code, "{wire:?}");
        }
    }

    #[test]
    fn constructors_set_their_code_and_message() {
        let made = [
            Status::ok(),
            Status::cancelled("m"),
            Status::unknown("m"),
            Status::invalid_argument("m"),
            Status::deadline_exceeded("m"),
            Status::not_found("m"),
            Status::already_exists("m"),
            Status::permission_denied("m"),
            Status::resource_exhausted("m"),
            Status::failed_precondition("m"),
            Status::aborted("m"),
            Status::out_of_range("m"),
            Status::unimplemented("m"),
            Status::internal("m"),
            Status::unavailable("m"),
            Status::data_loss("m"),
            Status::unauthenticated("m"),
        ];
        for (status, code) in made.iter().zip(Code::ALL) {
            assert_eq!(status.code, code);
            assert_eq!(status.is_ok(), code == Code::Ok);
            assert_eq!(status.message(), if code == Code::Ok { "" } else { "m" });
        }
    }

    #[test]
    fn plain_ok_has_neither_message_nor_details() {
        let details = || Bytes::from_static(b"d");
        for (status, plain) in [
            (Status::ok(), true),
            (Status::new(Code::Ok, ""), true),
            (Status::new(Code::Ok, "m"), false),
            (Status::ok().with_details(details()), false),
            (Status::internal(""), false),
            (Status::internal("m"), false),
        ] {
            assert_eq!(status.is_plain_ok(), plain, "{status:?}");
        }
    }

    #[test]
    fn display_details_and_size() {
        assert_eq!(Code::NotFound.to_string(), "NOT_FOUND");
        assert_eq!(Status::ok().to_string(), "OK");
        assert_eq!(Status::internal(String::from("x")).to_string(), "INTERNAL: x");
        let status = Status::aborted("x").with_details(Bytes::from_static(b"d"));
        assert_eq!(status.details().as_ref(), b"d");
        let debug = format!("{status:?}");
        assert_eq!(debug, "Status { code: Aborted, message: \"x\", details_len: 1 }");
        assert_ne!(status, Status::aborted("x"));
        assert_eq!(status.with_details(Bytes::new()), Status::aborted("x"));
        assert_eq!(
            Status::ok().with_details(Bytes::from_static(b"d")).with_details(Bytes::new()),
            Status::ok()
        );
        assert!(size_of::<Status>() <= 16, "{}", size_of::<Status>());
    }
}
