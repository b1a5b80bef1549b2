//! Hostile peers: an honest session of a random program, with one side's frames changed on the way.

use std::time::Duration;

use fastrand::Rng;
use halfclose::frame::{ErrorCode, FRAME_HEADER_LEN, PREFACE};
use halfclose::{CallType, Client, Config, Request, Role, Server};
use halfclose_sim::{Program, Side, config, record};
use halfclose_wire::{
    Block, END_STREAM, data, frame, goaway, headers, kind, message, ping, reset, settings, settings_ack,
    update,
};

use super::caller::{listen, payload, serve};
use super::endpoint::Endpoint;
use super::wire::finish;

/// The frames that a peer may insert between its own, on a stream or on none.
const PIECES: &[fn(u32) -> Vec<u8>] = &[
    |_| settings(&[(4, 0)]),
    |_| settings(&[(4, (1 << 31) - 1)]),
    |_| settings(&[(1, 0), (5, 1 << 24)]),
    |_| settings_ack(),
    |_| ping(b"pingpong"),
    |_| update(0, 1 << 30),
    |id| update(id, 1),
    |id| update(id, 0),
    |id| update(id, (1 << 31) - 1),
    |id| reset(id, ErrorCode::CANCEL),
    |id| goaway(id, ErrorCode::NO_ERROR),
    |_| goaway(0, ErrorCode::ENHANCE_YOUR_CALM),
    |id| data(id, 0, b""),
    |id| data(id, 0, &[0; 16_384]),
    |id| data(id, END_STREAM, &message(b"out of place")),
    |id| headers(id, 0, &Block::request().0),
    |id| headers(id, END_STREAM, &Block::request().raw(&[0xbe; 100]).0),
    |id| headers(id, 0, &Block::response().0),
    |id| headers(id, END_STREAM, &Block::status("0").0),
    |id| frame(kind::HEADERS, 0, id, &Block::response().0),
    |id| frame(kind::CONTINUATION, 4, id, b""),
    |id| frame(kind::PUSH_PROMISE, 4, id, &[0, 0, 0, 2, 0x88]),
    |id| frame(kind::PRIORITY, 0, id, &[0, 0, 0, 1, 7]),
    |id| frame(0xbb, 0xff, id, b"unknown"),
];

/// Returns the frames of a tape, the first of them preceded by a client's preface.
fn frames(tape: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut rest) = (Vec::new(), tape);
    let mut before = if tape.starts_with(PREFACE) { PREFACE.len() } else { 0 };
    while let Some([a, b, c, ..]) = rest.get(before..) {
        let length = before + FRAME_HEADER_LEN + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (frame, after) = rest.split_at(length.min(rest.len()));
        frames.push(frame.to_vec());
        (rest, before) = (after, 0);
    }
    frames
}

/// Returns the frames with some lost, duplicated, moved forward, changed, truncated, or followed by foreign ones.
fn change(frames: Vec<Vec<u8>>, rng: &mut Rng) -> Vec<Vec<u8>> {
    let rarity = [2, 10, 50, 200][rng.usize(..4)];
    let mut changed: Vec<Vec<u8>> = Vec::new();
    for mut frame in frames {
        if rng.usize(..rarity) != 0 {
            changed.push(frame);
            continue;
        }
        let any = rng.usize(..frame.len());
        match rng.u8(..9) {
            0 => continue,
            1 => changed.push(frame.clone()),
            2 => {
                let at = changed.len().saturating_sub(rng.usize(1..5));
                changed.insert(at, frame);
                continue;
            }
            3 => frame[any] = rng.u8(..),
            // Its length, kind or flags.
            4 => frame[rng.usize(..5)] = rng.u8(..),
            5 => frame[5..FRAME_HEADER_LEN].copy_from_slice(&rng.u32(..40).to_be_bytes()),
            6 => frame.truncate(any),
            _ => {
                let (piece, id) = (PIECES[rng.usize(..PIECES.len())], rng.u32(..40));
                let many = [1, 1, 3, 200][rng.usize(..4)];
                changed.extend((0..many).map(|count| piece(id + 2 * count)));
            }
        }
        changed.push(frame);
    }
    changed
}

/// Plays the frames to an honest end, whose caller also cancels calls occasionally, and lets time pass.
fn play<R: Role>(
    mut end: Endpoint<R>,
    frames: &[Vec<u8>],
    rng: &mut Rng,
    caller: impl Fn(&mut Endpoint<R>),
) -> Vec<u8> {
    let split = [usize::MAX, usize::MAX, 1, 100][rng.usize(..4)];
    for frame in frames {
        if end.closed.is_some() {
            break;
        }
        // The peer cannot answer what has not been written yet.
        end.flush(usize::MAX);
        end.feed(frame, split);
        caller(&mut end);
        match rng.u8(..60) {
            0 => end.advance(end.now + Duration::from_millis(rng.u64(..20_000))),
            1 => end.core.shrink(),
            2 => {
                if let Some(id) = end.pick(rng.u8(..)) {
                    end.cancel(id);
                }
            }
            _ => {}
        }
    }
    finish(&mut end, caller);
    end.written
}

/// Starts a call as the session did, sends a message, and reads and half-closes as the habit says.
fn ask(client: &mut Endpoint<Client>, call_type: CallType, habit: u8) {
    let Some(id) = client.start(Request::new("/demo.Echo/Call", call_type)) else { return };
    client.send(id, payload(habit, false), false);
    if habit & 0x80 != 0 {
        client.half_close(id);
    }
    if habit & 0x20 != 0 {
        client.recv(id);
    }
}

/// Checks the real core of one side against the other side's part in the program of a seed, with frames changed.
/// Every step is checked, and that the end of the transport ends everything.
///
/// # Panics
///
/// When a property does not hold.
#[must_use]
pub fn hostile(seed: u64) -> Vec<u8> {
    let program = Program::from_seed(seed);
    let tapes = record(&program).expect("an honest session");
    let mut rng = Rng::with_seed(seed);
    let honest = Side::BOTH[rng.usize(..2)];
    let frames = change(frames(&tapes[honest.peer().index()]), &mut rng);
    // Its output is read with a table of 4,096 bytes.
    let table = |mut config: Config| {
        config.limits.encoder_table = config.limits.encoder_table.min(4_096);
        config
    };
    let (config, habit) = (table(config(honest, &program)), rng.u8(..));
    match honest {
        Side::Server => {
            play(Endpoint::<Server>::new(config, false), &frames, &mut rng, |end| serve(end, habit))
        }
        Side::Client => {
            let mut end = Endpoint::<Client>::new(config, true);
            program.calls.iter().for_each(|call| ask(&mut end, call.call_type, habit));
            play(end, &frames, &mut rng, |end| listen(end, habit))
        }
    }
}
