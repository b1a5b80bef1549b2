//! The state tables: every frame of a peer and every command of a caller, and what it means in each state.
//!
//! Each table is written once, with `machine!`. It is at the same time the code (`step` is the only transition
//! function), the documentation (`docs/machines.md` is generated from [`TABLES`]) and the list of cells that the
//! exhaustive test visits. A missing cell does not compile, because `step` expands to one exhaustive `match` per
//! state.
//!
//! Guards (windows, sizes, message counts) first turn a frame into an input; the table decides the rest. The two
//! halves of a stream are separate machines: a reset never reopens a half that has ended (RFC 9113 §8.1).

mod cardinality;
mod client;
mod closed;
mod lifecycle;
mod server;
mod wire;

#[cfg(test)]
mod tests;

pub use cardinality::{OneRequest, OneRequestInput, OneResponse, OneResponseInput};
pub use client::{ClientRecv, ClientRecvInput, ClientSend, ClientSendInput};
pub use closed::{ClosedStream, ClosedStreamInput};
pub use lifecycle::{Lifecycle, LifecycleInput};
pub use server::{ServerRecv, ServerRecvInput, ServerSend, ServerSendInput};
pub use wire::{Wire, WireInput};

pub use crate::error::IllegalTransition;
use crate::error::Misuse;

/// What one cell of a table says: the next state, or an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<S> {
    /// The input is legal; the machine moves to this state.
    To(S),
    /// The input is legal and has no effect here.
    Ignore,
    /// The peer broke a rule of this stream: RST_STREAM with this code. The connection continues.
    Stream(&'static IllegalTransition),
    /// The peer broke a rule of the connection: GOAWAY with this code, then close.
    Connection(&'static IllegalTransition),
    /// The caller's command is illegal here and changes nothing.
    Misuse(Misuse),
    /// The call has too few or too many messages ([P-70](crate::manual::rules#p-70) to
    /// [P-73](crate::manual::rules#p-73)); the cardinality policy chooses the status.
    Cardinality(&'static str),
}

/// One cell of a table as text, for documentation and for tests that visit every cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The state's name.
    pub state: &'static str,
    /// The input's name.
    pub input: &'static str,
    /// The outcome as the table states it: the name of a state, `ignore`, `stream(CODE)`, `connection(CODE)`,
    /// `misuse(Kind)`, `cardinality(text)`, or `never` for an input that cannot occur in this state, because only the
    /// core's own scheduler produces it.
    pub outcome: &'static str,
    /// The rule that the cell follows.
    pub section: &'static str,
}

/// A whole table as text.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The machine's name.
    pub name: &'static str,
    /// What the machine decides.
    pub about: &'static str,
    /// Its states; the first one is the initial state.
    pub states: &'static [&'static str],
    /// Its inputs.
    pub inputs: &'static [&'static str],
    /// Its cells, one for each state and input.
    pub rows: &'static [Row],
}

/// Every table of the core, in the order of `docs/machines.md`.
pub const TABLES: &[Table] = &[
    Wire::TABLE,
    Lifecycle::TABLE,
    ClientSend::TABLE,
    ClientRecv::TABLE,
    ServerRecv::TABLE,
    ServerSend::TABLE,
    ClosedStream::TABLE,
    OneRequest::TABLE,
    OneResponse::TABLE,
];

/// Defines one state table: the enums of its states and inputs, its transition function, and the table as text.
macro_rules! machine {
    (
        $(#[doc = $about:literal])+
        $name:ident on $input_name:ident {
            $( #[doc = $input_doc:literal] $input:ident, )+
        }
        $(
            #[doc = $state_doc:literal]
            $state:ident {
                $( $on:ident => $kind:ident $( ( $arg:tt ) )? @ $section:literal; )+
            }
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $( #[doc = $state_doc] $state, )+ }

        #[doc = concat!("What can happen to [`", stringify!($name), "`].")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $input_name { $( #[doc = $input_doc] $input, )+ }

        impl $name {
            /// The table as text.
            pub const TABLE: $crate::machine::Table = $crate::machine::Table {
                name: stringify!($name),
                about: concat!($($about),+),
                states: &[ $( stringify!($state) ),+ ],
                inputs: &[ $( stringify!($input) ),+ ],
                rows: &[ $( $( $crate::machine::Row {
                    state: stringify!($state),
                    input: stringify!($on),
                    outcome: concat!(stringify!($kind) $( , "(", stringify!($arg), ")" )?),
                    section: $section,
                }, )+ )+ ],
            };

            /// Returns what `input` means in this state. This is the transition function.
            #[inline]
            #[must_use]
            pub const fn step(self, input: $input_name) -> $crate::machine::Step<Self> {
                match self {
                    $( Self::$state => match input {
                        $( $input_name::$on =>
                            machine!(@step $name, $state, $on, $section, $kind $( ( $arg ) )?), )+
                    }, )+
                }
            }
        }
    };
    (@step $name:ident, $state:ident, $on:ident, $section:literal, ignore) => {
        $crate::machine::Step::Ignore
    };
    // An input that cannot occur in this state, because only the scheduler produces it.
    (@step $name:ident, $state:ident, $on:ident, $section:literal, never) => {
        $crate::machine::Step::Ignore
    };
    (@step $name:ident, $state:ident, $on:ident, $section:literal, stream($code:tt)) => {
        $crate::machine::Step::Stream(machine!(@breach Stream, $name, $state, $on, $section, $code))
    };
    (@step $name:ident, $state:ident, $on:ident, $section:literal, connection($code:tt)) => {
        $crate::machine::Step::Connection(machine!(@breach Connection, $name, $state, $on, $section, $code))
    };
    (@step $name:ident, $state:ident, $on:ident, $section:literal, misuse($kind:tt)) => {
        $crate::machine::Step::Misuse($crate::error::Misuse::$kind)
    };
    (@step $name:ident, $state:ident, $on:ident, $section:literal, cardinality($text:tt)) => {
        $crate::machine::Step::Cardinality($text)
    };
    (@step $name:ident, $state:ident, $on:ident, $section:literal, $next:ident) => {
        $crate::machine::Step::To($name::$next)
    };
    (@breach $scope:ident, $name:ident, $state:ident, $on:ident, $section:literal, $code:tt) => {
        &$crate::error::IllegalTransition {
            scope: $crate::frame::Scope::$scope,
            code: $crate::frame::ErrorCode::$code,
            machine: stringify!($name),
            state: stringify!($state),
            input: stringify!($on),
            section: $section,
        }
    };
}
use machine;
