//! A raw peer that attacks as fast as it can.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halfclose::frame::ErrorCode;

use super::floods::{Flood, Outcome};
use crate::wire::{Frame, PREFACE, Socket, kind, settings, settings_ack};

/// The bytes that are written at once.
const BATCH: usize = 16 * 1024;
/// The ids below belong to the start.
const FIRST_ID: u32 = 1001;

/// What an attacker did, and the answers that it received.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Told {
    /// Connections that it made.
    pub connections: usize,
    /// Bytes that it sent.
    pub bytes: usize,
    /// The codes and debug data of GOAWAY frames, and how many there were.
    pub goaways: BTreeMap<(u32, String), usize>,
}

impl Told {
    fn hear(&mut self, frame: &Frame) {
        if let (kind::GOAWAY, Some(code)) = (frame.kind, frame.code()) {
            let debug = String::from_utf8_lossy(frame.payload.get(8..).unwrap_or_default()).into_owned();
            *self.goaways.entry((code.0, debug)).or_default() += 1;
        }
    }

    /// Reads everything up to the end of the connection.
    pub(super) fn listen(&mut self, socket: &mut Socket) {
        self.connections += 1;
        read(socket, &AtomicBool::new(false)).iter().for_each(|frame| self.hear(frame));
    }

    /// Checks the result against the required one.
    ///
    /// # Errors
    ///
    /// The required and the actual result.
    pub fn check(&self, outcome: Outcome) -> Result<(), String> {
        let as_expected = match outcome {
            Outcome::Cut(code, text) => {
                let is_it = |(met, debug): &(u32, String)| *met == code.0 && debug.starts_with(text);
                !self.goaways.is_empty() && self.goaways.keys().all(is_it)
            }
            Outcome::Endured => self.goaways.is_empty(),
        };
        if as_expected {
            return Ok(());
        }
        Err(format!("{outcome:?} expected, met {:?} in {} bytes", self.goaways, self.bytes))
    }
}

/// The bounds of an attacker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The longest time.
    pub span: Duration,
    /// The most bytes, up to the next batch.
    pub bytes: usize,
    /// The most connections, one after the other.
    pub connections: usize,
}

impl Budget {
    /// Returns a budget of this time, any number of bytes and any number of connections.
    #[must_use]
    pub const fn of(span: Duration) -> Self {
        Self { span, bytes: usize::MAX, connections: usize::MAX }
    }

    /// Returns the budget with at most this many bytes.
    #[must_use]
    pub const fn and_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Returns the budget with at most this many connections.
    #[must_use]
    pub const fn and_connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }
}

/// Sends a flood to a server for this budget, on one connection after the other.
///
/// # Panics
///
/// If the server does not accept.
#[must_use]
pub fn attack(address: SocketAddr, flood: &Flood, budget: Budget) -> Told {
    let until = Instant::now() + budget.span;
    let mut told = Told::default();
    let is_left = |told: &Told| told.bytes < budget.bytes && told.connections < budget.connections;
    while Instant::now() < until && is_left(&told) {
        let mut socket = Socket::connect(address).expect("the server accepts");
        // A connection that is closed already has reported so.
        let _ = socket.write(&[PREFACE, &settings(&[]), &settings_ack(), &(flood.start)()].concat());
        let bytes = budget.bytes - told.bytes;
        send(&mut socket, flood.piece, flood.reads, (until, bytes), &mut told);
    }
    told
}

/// Sends pieces until the peer sends GOAWAY or ends the connection, or the budget is used up.
pub fn send(
    socket: &mut Socket,
    piece: impl Fn(u32) -> Vec<u8>,
    reads: bool,
    (until, most): (Instant, usize),
    told: &mut Told,
) {
    told.connections += 1;
    let mut writer = socket.writer().expect("an open socket");
    let cut = AtomicBool::new(false);
    let bytes = thread::scope(|scope| {
        let reader = reads.then(|| scope.spawn(|| read(socket, &cut)));
        let mut bytes = 0;
        let mut id = FIRST_ID;
        while !cut.load(Ordering::Relaxed) && Instant::now() < until && bytes < most && id < 1 << 30 {
            let mut batch = Vec::with_capacity(2 * BATCH);
            while batch.len() < BATCH {
                batch.extend(piece(id));
                id += 2;
            }
            if writer.write_all(&batch).is_err() {
                break;
            }
            bytes += batch.len();
        }
        // A peer that has gone needs no end.
        let _ = writer.shutdown(Shutdown::Write);
        let frames = reader.map(|reader| reader.join().expect("it reads to the end"));
        frames.unwrap_or_default().iter().for_each(|frame| told.hear(frame));
        bytes
    });
    told.bytes += bytes;
    if !reads {
        read(socket, &cut).iter().for_each(|frame| told.hear(frame));
    }
}

/// Reads to the end of the connection and records the GOAWAY frames.
fn read(socket: &mut Socket, cut: &AtomicBool) -> Vec<Frame> {
    let mut kept = Vec::new();
    while let Some(frame) = socket.next_frame() {
        if frame.kind == kind::GOAWAY {
            // A client's GOAWAY without an error code is no complaint.
            cut.store(true, Ordering::Relaxed);
            if frame.code() != Some(ErrorCode::NO_ERROR) {
                kept.push(frame);
            }
        }
    }
    kept
}
