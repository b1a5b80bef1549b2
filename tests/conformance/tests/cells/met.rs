//! The result of an input, and whether it is what a row says.

use halfclose::frame::ErrorCode;
use halfclose::machine::{IllegalTransition, Row, Table};
use halfclose::{Cause, ConnectionError, Event, Misuse, Role, Violation};
use halfclose_conformance::Peer;
use halfclose_wire::{
    Frame,
    kind::{GOAWAY, RST_STREAM},
};

/// The result of an input.
#[derive(Debug)]
pub(crate) enum Met {
    /// The input was accepted, and this is the new state.
    State(String),
    /// RST_STREAM with this code, and the broken rule, if the connection reports it.
    Stream(ErrorCode, Option<IllegalTransition>),
    /// GOAWAY with this code, for this broken rule.
    Connection(ErrorCode, Option<IllegalTransition>),
    /// The caller received this misuse, and nothing changed.
    Misuse(String),
    /// The call ended with the cardinality policy's status and this text.
    Cardinality(String),
    /// The scheduler did not give the input.
    Never,
    /// No peer and no caller can give the input in this state, for this reason.
    Unreachable(&'static str),
}

impl Met {
    /// Returns a misuse by its name.
    pub(crate) fn misuse(misuse: &Misuse) -> Self {
        let text = format!("{misuse:?}");
        Self::Misuse(text.split([' ', '{', '(']).next().unwrap_or_default().to_owned())
    }

    /// Returns the difference from what the row says, if any.
    pub(crate) fn check(&self, table: &Table, row: &Row) -> Option<String> {
        let (kind, argument) = match row.outcome.split_once('(') {
            Some((kind, argument)) => (kind, argument.trim_end_matches(')')),
            None => (row.outcome, ""),
        };
        let holds = match self {
            Self::State(state) if kind == "ignore" || kind == "never" => state == row.state,
            Self::State(state) => state == row.outcome,
            Self::Stream(code, breach) => {
                kind == "stream" && code.to_string() == argument && is_of(*breach, table, row)
            }
            Self::Connection(code, breach) => {
                kind == "connection" && code.to_string() == argument && is_of(*breach, table, row)
            }
            Self::Misuse(name) => kind == "misuse" && name == argument,
            Self::Cardinality(text) => kind == "cardinality" && argument.trim_matches('"') == text,
            Self::Never => kind == "never",
            Self::Unreachable(reason) => !reason.is_empty(),
        };
        let (name, state, input) = (table.name, row.state, row.input);
        (!holds).then(|| format!("{name} {state} x {input}: {self:?}, the row says {}", row.outcome))
    }
}

/// Returns whether a reported violation is the row's own.
fn is_of(breach: Option<IllegalTransition>, table: &Table, row: &Row) -> bool {
    breach.is_none_or(|breach| {
        (breach.machine, breach.state, breach.input, breach.section)
            == (table.name, row.state, row.input, row.section)
    })
}

/// Returns the broken rule of an error, which its GOAWAY must name by code.
pub(crate) fn connection<R: Role>(error: &ConnectionError, peer: &mut Peer<R>) -> Met {
    let ConnectionError::Violation(violation) = error else { panic!("not a violation: {error:?}") };
    let goaway: Vec<Frame> = peer.sent().into_iter().filter(|frame| frame.kind == GOAWAY).collect();
    assert_eq!(goaway.last().and_then(Frame::code), Some(violation.code()), "GOAWAY tells the violation");
    assert!(matches!(peer.events().last(), Some(Event::Closed(_))), "Closed comes last");
    Met::Connection(violation.code(), breach(violation))
}

pub(crate) fn breach(violation: &Violation) -> Option<IllegalTransition> {
    match violation {
        Violation::Order(breach) => Some(**breach),
        _ => None,
    }
}

/// Returns the code of the RST_STREAM on `stream` among these frames.
pub(crate) fn reset(frames: &[Frame], stream: u32) -> Option<ErrorCode> {
    frames.iter().find(|frame| frame.kind == RST_STREAM && frame.stream == stream).and_then(Frame::code)
}

/// Returns the broken rule of a call's end.
pub(crate) fn cause_breach(cause: &Cause) -> Option<IllegalTransition> {
    match cause {
        Cause::Violation(violation) => breach(violation),
        _ => None,
    }
}
