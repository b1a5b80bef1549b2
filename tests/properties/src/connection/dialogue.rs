//! Scripts: frames, commands and time in any order, step by step.

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::grpc::encoding::Encoding;
use halfclose::{Client, Config, Event, Role, Server};

use super::caller::{call_type, config, metadata, payload, request, status};
use super::endpoint::Endpoint;
use super::script::Peer;
use super::wire::finish;

/// Returns the steps of a script: a byte of length, then the step; 255 means all that is left.
pub(super) fn steps(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = data.split_first()?;
        let length = if length == 255 { rest.len() } else { rest.len().min(usize::from(length)) };
        let (step, rest) = rest.split_at(length);
        data = rest;
        Some(step)
    })
}

/// Returns the arguments of a step; missing bytes are 0.
fn bytes<const N: usize>(step: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = step.split_at(step.len().min(N));
    let mut bytes = [0; N];
    bytes[..head.len()].copy_from_slice(head);
    (bytes, rest)
}

struct Dialogue<R: Role> {
    end: Endpoint<R>,
    peer: Peer,
    split: usize,
}

impl<R: Role> Dialogue<R> {
    /// Runs a step that does not depend on the role. Returns `false` for any other step.
    fn common(&mut self, what: u8, step: &[u8]) -> bool {
        let end = &mut self.end;
        match what {
            0x00..0x10 => {
                let ([flags, stream], payload) = bytes(step);
                let bytes = self.peer.frame(what, flags, stream, payload);
                end.feed(&bytes, self.split);
            }
            0x10..0x18 => {
                let ([flags, stream], lines) = bytes(step);
                let bytes = self.peer.head(flags, stream, what, lines);
                end.feed(&bytes, self.split);
            }
            0x18..0x1c => {
                let ([flags, stream], lines) = bytes(step);
                let bytes = self.peer.block(flags, stream, lines);
                end.feed(&bytes, self.split);
            }
            0x1c..0x24 => {
                let ([flags, stream], payload) = bytes(step);
                let bytes = self.peer.message(flags, stream, what & 3, payload);
                end.feed(&bytes, self.split);
            }
            0x24 => end.feed(step, self.split),
            0x25 => self.split = usize::from(bytes::<1>(step).0[0]),
            0x26..0x2a => {
                let ([units], _) = bytes(step);
                let unit = [1, 100, 1_000, 60_000][usize::from(what - 0x26)];
                end.advance(end.now + Duration::from_millis(u64::from(units) * unit));
            }
            0x2a..0x2c => {
                end.flush(usize::from(bytes::<1>(step).0[0]).max(1));
            }
            0x2c => end.core.shrink(),
            0x2d => end.core.shutdown(end.now),
            0x2e => {
                let ([code], _) = bytes(step);
                end.core.close(end.now, ErrorCode(u32::from(code)), "end");
            }
            0x2f => match bytes::<1>(step).0 {
                [0..0xc0] => end.core.receive_eof(end.now),
                _ => end.core.transport_failed(end.now),
            },
            _ => return false,
        }
        true
    }

    /// Runs a command on one call. Returns `false` for any other step.
    fn about_a_call(&mut self, what: u8, step: &[u8]) -> bool {
        let ([call, argument], _) = bytes(step);
        let end = &mut self.end;
        let Some(id) = end.pick(call) else { return what < 0x50 };
        match what {
            0x30..0x38 => {
                end.send(id, payload(argument, what & 1 != 0), what & 2 != 0);
            }
            0x38..0x40 => {
                end.recv(id);
            }
            0x40..0x42 => end.cancel(id),
            _ => return false,
        }
        true
    }
}

/// Reads events up to and including the connection's end, and ignores them.
fn hear<R: Role>(end: &mut Endpoint<R>) {
    while end.event().is_some() {}
    end.check();
}

/// Checks a server against a script of client frames and of commands of its caller.
///
/// The first three bytes are the limits, whether the client starts correctly, and its window; the rest is the script.
pub fn server_dialogue(data: &[u8]) {
    let Some((&[profile, begins, window], script)) = data.split_first_chunk() else { return };
    let end = Endpoint::<Server>::new(config(Config::server(), profile), false);
    let mut dialogue = Dialogue { end, peer: Peer::new(true), split: usize::MAX };
    if begins & 1 == 0 {
        let bytes = dialogue.peer.prologue(u32::from(window) * 64);
        dialogue.end.feed(&bytes, usize::MAX);
    }
    for step in steps(script) {
        let Some((&what, step)) = step.split_first() else {
            hear(&mut dialogue.end);
            continue;
        };
        if !dialogue.common(what, step) && !dialogue.about_a_call(what, step) {
            server_order(&mut dialogue.end, what, step);
        }
        dialogue.end.check();
    }
    hear(&mut dialogue.end);
    finish(&mut dialogue.end, hear);
}

fn server_order(server: &mut Endpoint<Server>, what: u8, step: &[u8]) {
    let ([call, argument], _) = bytes(step);
    let Some(id) = server.pick(call) else { return };
    match what {
        0x42..0x48 => server.finish(id, status(argument), metadata(what)),
        0x48..0x4a => server.set_headers(id, metadata(argument)),
        0x4a..0x4c => server.send_headers(id, metadata(argument)),
        0x4c..0x4e => server.accept(id, call_type(argument)),
        _ => server.set_encoding(id, Encoding::ALL[usize::from(argument) % 4]),
    }
}

/// Checks a client against a script of server frames and of commands of its caller.
///
/// The first three bytes are the limits, whether the server starts correctly, and its window; the rest is the script.
pub fn client_dialogue(data: &[u8]) {
    let Some((&[profile, begins, window], script)) = data.split_first_chunk() else { return };
    let end = Endpoint::<Client>::new(config(Config::client(), profile), true);
    let mut dialogue = Dialogue { end, peer: Peer::new(false), split: usize::MAX };
    if begins & 1 == 0 {
        let bytes = dialogue.peer.prologue(u32::from(window) * 64);
        dialogue.end.feed(&bytes, usize::MAX);
    }
    for step in steps(script) {
        let Some((&what, step)) = step.split_first() else {
            while let Some(event) = dialogue.end.event() {
                if let Event::Response(id) = event {
                    assert!(dialogue.end.core.response(id).is_some());
                }
            }
            continue;
        };
        if !dialogue.common(what, step) && !dialogue.about_a_call(what, step) {
            client_order(&mut dialogue.end, what, step);
        }
        dialogue.end.check();
    }
    hear(&mut dialogue.end);
    finish(&mut dialogue.end, hear);
}

fn client_order(client: &mut Endpoint<Client>, what: u8, step: &[u8]) {
    let ([call, argument], _) = bytes(step);
    match what {
        0x42..0x48 => {
            if let Some(id) = client.pick(call) {
                client.half_close(id);
            }
        }
        0x48..0x4a => {
            if let Some(id) = client.pick(call) {
                client.release(id);
            }
        }
        _ => {
            client.start(request(argument, client.now));
        }
    }
}
