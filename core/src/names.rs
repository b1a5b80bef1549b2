//! The names of everything that a peer can do wrong.
//!
//! Each enum knows the names of its variants. The match in `name` has an arm for each variant, so a variant without a
//! name does not compile; a test of `halfclose-conformance` sends bytes that provoke every name in `NAMES`.

use crate::error::{ConnectionError, Flood, Timeout, Violation};
use crate::frame::FrameError;
use crate::grpc::field::FieldError;
use crate::grpc::headers::MalformedReason;
use crate::hpack::DecodeError;

macro_rules! names {
    ($($registered:ident { $($variant:ident)+ })+) => { $(
        impl $registered {
            /// The names of all variants.
            pub const NAMES: &'static [&'static str] = &[ $( stringify!($variant) ),+ ];

            /// Returns the name of the variant, for example as the key of a log or a metric.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => stringify!($variant), )+ }
            }
        }
    )+ };
}

names! {
    ConnectionError { Violation GoAway Eof Transport Closed }
    Violation {
        Frame FrameTooLarge Order Preface Hpack Malformed ContentLength WindowExceeded WindowOverflow
        PushEnabledByServer UnexpectedAck GoAwayRaised Flood Timeout
    }
    Flood {
        Resets InternalResets ControlFrames Pings DataFrames Continuations HeaderBlock HeaderList
        SettingsEntries Unread Glitches
    }
    Timeout { Preface SettingsAck HeaderBlock Keepalive }
    FrameError {
        TooLarge TooShort WrongLength StreamZero StreamNotZero Padding SelfDependency SettingsLength SettingsAck
        SettingValue PromisedStream ZeroIncrement
    }
    DecodeError {
        Truncated IntegerOverflow IntegerTooLong InvalidIndex HuffmanEos HuffmanPadding StringTooLong ListTooLarge
        SizeUpdateTooLarge SizeUpdateLate TooManySizeUpdates MissingSizeUpdate
    }
    MalformedReason {
        Field ConnectionSpecific Te PseudoOrder UnknownPseudo DuplicatePseudo MissingPseudo InvalidPseudo
        ConnectPseudo PseudoInTrailers ContentLength InterimEnd SwitchingProtocols
    }
    FieldError { EmptyName UpperCase NameByte ValueByte Whitespace }
}
