//! One core against every order of frames from its peer and of orders from its caller, for one call.
//!
//! Frames are legal or not: what each must be answered with is told by a model of a stream that is written from
//! RFC 9113 §5.1 and §8.1 and knows nothing of the core's tables. Every sequence ends with the end of the transport,
//! and the call must have ended exactly once by then.

mod client;
mod model;
mod server;

use bytes::BytesMut;
use halfclose::frame::{Frame, FrameHead, HEAD_LEN, PREFACE};
use halfclose::{Connection, ConnectionError, Role, Shape, Time};

use super::Count;
use crate::program::Side;
use crate::wire::{Breach, breach, ensure};
use client::ClientRig;
pub use model::Input;
use model::{Model, Verdict};
use server::ServerRig;

/// Nothing here takes time.
const NOW: Time = Time::ZERO;

/// Enumerates all orders of inputs to the core of `side`, up to `depth` of them.
///
/// # Errors
/// The first property that does not hold, and the sequence that shows it.
pub fn enumerate(side: Side, shape: Shape, depth: usize) -> Result<Count, (Breach, Vec<Input>)> {
    let mut count = Count { depth, ..Count::default() };
    let mut sequence = Vec::new();
    extend(side, shape, depth, &mut sequence, &mut count).map_err(|breach| (breach, sequence))?;
    Ok(count)
}

/// Appends each input in turn, plays, and goes on from what changed anything.
fn extend(
    side: Side,
    shape: Shape,
    depth: usize,
    sequence: &mut Vec<Input>,
    count: &mut Count,
) -> Result<(), Breach> {
    if sequence.len() == depth {
        return Ok(());
    }
    for &input in Input::all(side) {
        sequence.push(input);
        count.sequences += 1;
        let goes_on = match side {
            Side::Client => play(ClientRig::new(shape), side, sequence)?,
            Side::Server => play(ServerRig::new(shape), side, sequence)?,
        };
        if goes_on {
            count.states += 1;
            extend(side, shape, depth, sequence, count)?;
        }
        sequence.pop();
    }
    Ok(())
}

/// One core and its caller.
trait Rig {
    type Role: Role;

    fn core(&mut self) -> &mut Connection<Self::Role>;
    /// An order of the caller: whether it was taken and changed anything.
    fn order(&mut self, input: Input) -> Result<bool, Breach>;
    /// Takes all events.
    fn events(&mut self) -> Result<(), Breach>;
    /// Messages from the peer that have come whole.
    fn arrived(&mut self, whole: usize);
    /// After the end of the transport: the call has ended, once.
    fn finish(&mut self) -> Result<(), Breach>;
}

/// Plays a sequence. Whether its last input changed anything and more may follow.
fn play<R: Rig>(mut rig: R, side: Side, sequence: &[Input]) -> Result<bool, Breach> {
    let mut model = Model::new(side);
    let mut changed = true;
    // Our own preface, SETTINGS and request.
    answer(&mut rig, &mut model)?;
    for input in sequence {
        changed = match input.is_frame() {
            true => frame(&mut rig, &mut model, *input)?,
            false => rig.order(*input)?,
        };
        rig.events()?;
        answer(&mut rig, &mut model)?;
        rig.events()?;
    }
    let open = !rig.core().is_closed();
    rig.core().receive_eof(NOW);
    rig.events()?;
    rig.finish()?;
    Ok(changed && open)
}

/// A frame from the peer, and what it must be answered with.
fn frame<R: Rig>(rig: &mut R, model: &mut Model, input: Input) -> Result<bool, Breach> {
    let Some(octets) = model.octets(input) else { return Ok(false) };
    let verdict = model.verdict(input);
    let mut buffer = BytesMut::from(octets.as_slice());
    let result = rig.core().receive(NOW, &mut buffer);
    model.apply(input, verdict);
    rig.arrived(model.whole);
    rig.events()?;
    let codes = answer(rig, model)?;
    let detail = || format!("{input:?} is {verdict:?} in {model:?}, answered with {result:?} and {codes:?}");
    let failed = matches!(result, Err(ConnectionError::Violation(_)));
    match verdict {
        // NO_ERROR stops a peer whose call is over, CANCEL one whose call fails in gRPC's terms.
        Verdict::Legal => {
            ensure(
                result.is_ok() && codes.iter().all(|code| matches!(code, 0 | 8)),
                "legal frames are taken",
                detail,
            )?;
        }
        Verdict::Stream => {
            ensure(
                failed || codes.iter().any(|code| matches!(code, 1 | 5)),
                "illegal frames are answered",
                detail,
            )?;
        }
        Verdict::Connection => ensure(failed, "illegal frames are answered", detail)?,
    }
    Ok(true)
}

/// Takes the output into the model. The codes of RST_STREAM in it.
fn answer<R: Rig>(rig: &mut R, model: &mut Model) -> Result<Vec<u32>, Breach> {
    let mut octets = Vec::new();
    while let Some(transmit) = rig.core().take_transmit(NOW) {
        for segment in transmit.segments() {
            octets.extend_from_slice(segment);
        }
    }
    let mut rest = octets.as_slice();
    rest = rest.strip_prefix(PREFACE.as_slice()).unwrap_or(rest);
    let mut codes = Vec::new();
    while let Some(head) = rest.first_chunk::<HEAD_LEN>() {
        let head = FrameHead::parse(head);
        let (payload, after) = rest[HEAD_LEN..].split_at(head.length as usize);
        rest = after;
        match Frame::parse(&head, payload) {
            Ok(frame) => codes.extend(model.sent(&head, &frame)?),
            Err(error) => return breach("frame layout", format!("{head:?}: {error}")),
        }
    }
    Ok(codes)
}
