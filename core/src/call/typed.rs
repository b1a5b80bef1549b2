//! The parts that the typed handles of both sides share: cardinalities and states as types, and refusals that return
//! what they were given.

use thiserror::Error;

use crate::error::Misuse;
use crate::types::{Cardinality, Message};

mod sealed {
    use std::fmt::Debug;

    pub trait Counted: Debug {
        const CARDINALITY: super::Cardinality;
        /// What a handle keeps of a direction until the call is complete.
        type Held: Debug + Default;
    }

    pub trait State: Debug {}
}

pub(super) use sealed::Counted;

/// How many messages go in one direction of a call: [`One`] or [`Many`].
pub trait Count: Counted {}

/// Exactly one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct One;

/// Any number of messages, including none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Many;

impl Counted for One {
    const CARDINALITY: Cardinality = Cardinality::One;
    type Held = Option<Message>;
}

impl Counted for Many {
    const CARDINALITY: Cardinality = Cardinality::Many;
    type Held = ();
}

impl Count for One {}
impl Count for Many {}

/// What a client may still send: [`Open`] or [`HalfClosed`].
pub trait SendingHalf: sealed::State {}

/// Client: messages may be sent until the half-close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open;

/// Client: no more messages; responses go on ([P-80](crate::manual::rules#p-80)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HalfClosed;

impl sealed::State for Open {}
impl sealed::State for HalfClosed {}
impl SendingHalf for Open {}
impl SendingHalf for HalfClosed {}

/// What a server has sent so far: [`Unanswered`], [`Answering`] or [`Answered`].
pub trait AnsweringHalf: sealed::State {}

/// Server: nothing has been sent. Response headers may be set; a status now is sent as Trailers-Only
/// ([P-22](crate::manual::rules#p-22)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unanswered;

/// Server: the response headers are final; messages may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answering;

/// Server: the one response has been sent; only the status may follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered;

impl sealed::State for Unanswered {}
impl sealed::State for Answering {}
impl sealed::State for Answered {}
impl AnsweringHalf for Unanswered {}
impl AnsweringHalf for Answering {}
impl AnsweringHalf for Answered {}

/// A command that was refused, with everything that was passed to it: nothing changed, and nothing is lost.
#[derive(Clone, PartialEq, Debug, Error)]
#[error("{reason}")]
pub struct Refused<T: std::fmt::Debug> {
    /// Why the command was refused.
    pub reason: Misuse,
    /// The arguments: the message or the metadata, and the handle if the command would have consumed it.
    pub returned: T,
}

impl<T: std::fmt::Debug> Refused<T> {
    pub(super) fn new(reason: Misuse, returned: T) -> Self {
        Self { reason, returned }
    }
}

impl<T: std::fmt::Debug> From<Refused<T>> for Misuse {
    fn from(refused: Refused<T>) -> Self {
        refused.reason
    }
}
