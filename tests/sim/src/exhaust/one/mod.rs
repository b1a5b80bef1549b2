//! One core against every order of frames from its peer and of commands from its caller, for one call.
//!
//! Frames are legal or illegal: the required answer comes from a model of a stream that follows RFC 9113 §5.1 and
//! §8.1 and knows nothing of the core's tables. Every sequence ends with the end of the transport, and the call must
//! have ended exactly once by then.

mod model;

use std::collections::HashMap;

use bytes::BytesMut;
use halfclose::frame::{FRAME_HEADER_LEN, Frame, FrameHeader, PREFACE};
use halfclose::{CallType, Client, ConnectionError, Server};

use super::caller::{Caller, CallerAccount, NOW, Peer, Plays};
use super::{Count, cut};
use crate::program::Side;
use crate::wire::{FailedProperty, breach, ensure};
pub use model::Input;
use model::{Model, Verdict};

/// Enumerates all orders of inputs to the core of `side`, up to `depth` of them.
///
/// # Errors
/// The first property that does not hold, and the sequence that shows it.
pub fn enumerate(
    side: Side,
    call_type: CallType,
    depth: usize,
) -> Result<Count, (FailedProperty, Vec<Input>)> {
    let play = match side {
        Side::Client => play::<Client>,
        Side::Server => play::<Server>,
    };
    let mut search = Search {
        call_type,
        inputs: Input::all(side),
        play,
        sequence: Vec::new(),
        over: HashMap::new(),
        count: Count { depth, ..Count::default() },
    };
    search.extend().map_err(|breach| (breach, search.sequence.clone()))?;
    Ok(search.count)
}

/// Everything that is known of a call that is over: the stream on the wire, and the caller's record.
type Over = (Model, CallerAccount);

/// The result of a sequence.
struct Reached {
    /// Whether the last input changed something, so that more may follow.
    goes_on: bool,
    over: Option<Over>,
}

/// The enumeration, depth first.
struct Search {
    call_type: CallType,
    inputs: Vec<Input>,
    play: fn(CallType, &[Input]) -> Result<Reached, FailedProperty>,
    sequence: Vec<Input>,
    /// Ends of a call that occurred, and after how many inputs: a repeated one is not extended.
    over: HashMap<Over, usize>,
    count: Count,
}

impl Search {
    /// Appends each input in turn, plays the sequence, and extends those that changed anything.
    fn extend(&mut self) -> Result<(), FailedProperty> {
        if self.sequence.len() == self.count.depth {
            return Ok(());
        }
        for at in 0..self.inputs.len() {
            self.sequence.push(self.inputs[at]);
            self.count.sequences += 1;
            let reached = (self.play)(self.call_type, &self.sequence)?;
            if reached.goes_on && self.is_new(reached.over) {
                self.count.states += 1;
                self.extend()?;
            }
            self.sequence.pop();
        }
        Ok(())
    }

    fn is_new(&mut self, over: Option<Over>) -> bool {
        let (Some(over), length) = (over, self.sequence.len()) else { return true };
        let least = self.over.entry(over).or_insert(usize::MAX);
        let new = length < *least;
        *least = length.min(*least);
        new
    }
}

/// Plays a sequence, and the end of the transport after it.
fn play<R: Plays>(call_type: CallType, sequence: &[Input]) -> Result<Reached, FailedProperty> {
    let mut caller = R::start(call_type)?;
    let mut model = Model::new(R::SIDE);
    let mut changed = true;
    // Our own preface, SETTINGS and request.
    answer(&mut caller, &mut model)?;
    for input in sequence {
        changed = match *input {
            Input::Order(order) => caller.order(order)?,
            frame => arrive(&mut caller, &mut model, frame)?,
        };
        caller.events()?;
        answer(&mut caller, &mut model)?;
        caller.events()?;
    }
    let goes_on = changed && !caller.core.is_closed();
    let is_over = caller.account.is_over() && caller.core.is_idle();
    let over = is_over.then(|| (model.clone(), caller.account.clone()));
    caller.finish()?;
    Ok(Reached { goes_on, over })
}

/// Delivers a frame from the peer, and checks the answer.
fn arrive<R: Plays>(caller: &mut Caller<R>, model: &mut Model, input: Input) -> Result<bool, FailedProperty> {
    let Some(bytes) = model.bytes(input) else { return Ok(false) };
    let verdict = model.verdict(input);
    let result = caller.core.receive(NOW, &mut BytesMut::from(bytes.as_slice()));
    model.apply(input, verdict);
    caller.peer = Peer { messages: model.whole, ended: model.ended };
    caller.events()?;
    let codes = answer(caller, model)?;
    let failed = matches!(result, Err(ConnectionError::Violation(_)));
    let (property, holds) = match verdict {
        // NO_ERROR stops a peer whose call is over, CANCEL one whose call fails with a gRPC status.
        Verdict::Legal => {
            ("legal frames are taken", result.is_ok() && codes.iter().all(|code| matches!(code, 0 | 8)))
        }
        Verdict::Stream => {
            ("illegal frames are answered", failed || codes.iter().any(|code| matches!(code, 1 | 5)))
        }
        Verdict::Connection => ("illegal frames are answered", failed),
    };
    ensure(holds, property, || {
        format!("{input:?} is {verdict:?} in {model:?}, answered with {result:?} and {codes:?}")
    })?;
    Ok(true)
}

/// Adds the output to the model. Returns the codes of its RST_STREAMs.
fn answer<R: Plays>(caller: &mut Caller<R>, model: &mut Model) -> Result<Vec<u32>, FailedProperty> {
    let mut bytes = Vec::new();
    while let Some(transmit) = caller.core.take_transmit(NOW) {
        for segment in transmit.segments() {
            bytes.extend_from_slice(segment);
        }
    }
    let mut codes = Vec::new();
    for piece in cut(&bytes).into_iter().filter(|piece| *piece != PREFACE) {
        let Some((head, payload)) = piece.split_first_chunk::<FRAME_HEADER_LEN>() else { continue };
        let head = FrameHeader::parse(head);
        match Frame::parse(&head, payload) {
            Ok(frame) => codes.extend(model.sent(&head, &frame)?),
            Err(error) => return breach("frame layout", format!("{head:?}: {error}")),
        }
    }
    Ok(codes)
}
