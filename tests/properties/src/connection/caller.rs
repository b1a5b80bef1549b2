//! Callers whose actions a byte selects, so that every path of the API meets every input.

use std::time::Duration;

use bytes::Bytes;
use halfclose::Code;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallId, CallType, Client, Config, Event, Metadata, Recv, Request, Server, Status};

use super::endpoint::Endpoint;

const SHAPES: [CallType; 4] =
    [CallType::UNARY, CallType::CLIENT_STREAMING, CallType::SERVER_STREAMING, CallType::BIDI];

/// Returns a configuration: the defaults, or small limits that a short input can reach.
pub(super) fn config(base: Config, profile: u8) -> Config {
    let mut config = base;
    if profile & 1 != 0 {
        let limits = &mut config.limits;
        limits.max_concurrent_streams = 2;
        limits.max_header_list = 1_024;
        limits.max_header_block = 1_024;
        limits.max_continuations = 2;
        limits.settings_entries = 8;
        limits.queued_replies = 8;
        limits.max_receive_message = 300;
        limits.send_buffer = 15;
        limits.queued_calls = 2;
        limits.frames_per_turn = 3;
        limits.bytes_per_turn = 100;
        limits.memory = 700;
        config.initial_stream_window = 200;
        config.max_stream_window = 800;
        config.drain_timeout = Some(Duration::from_secs(3));
        config.max_idle = Some(Duration::from_secs(5));
        config.max_age = Some(Duration::from_secs(60));
    }
    if profile & 2 != 0 {
        for rate in [
            &mut config.limits.control_frames,
            &mut config.limits.resets,
            &mut config.limits.internal_resets,
            &mut config.limits.empty_data,
            &mut config.limits.small_data,
            &mut config.limits.glitches,
        ] {
            (rate.burst, rate.per_second) = (4, 1);
        }
        config.limits.pending_resets = 2;
        config.keepalive.interval = Some(Duration::from_secs(10));
        config.require_te = true;
    }
    config
}

/// Returns a payload of a few bytes, or of many.
pub(super) fn payload(seed: u8, many: bool) -> Bytes {
    let count = if many { 3000 + usize::from(seed) * 300 } else { usize::from(seed) % 40 };
    (0..count).map(|i| (i % 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

pub(super) fn call_type(byte: u8) -> CallType {
    SHAPES[usize::from(byte) % 4]
}

pub(super) fn metadata(byte: u8) -> Metadata {
    let mut metadata = Metadata::new();
    for number in 0..byte % 4 {
        metadata.append("x-number", &number.to_string()).expect("legal");
        metadata.append_bin("x-bytes-bin", &[number; 3]).expect("legal");
    }
    metadata
}

pub(super) fn status(byte: u8) -> Status {
    let code = Code::from_u32(u32::from(byte % 18));
    let text = if byte & 0x20 == 0 { String::new() } else { "50 %\n☺".to_owned() };
    let details = if byte & 0x40 == 0 { Bytes::new() } else { payload(byte, false) };
    Status::new(code, text).with_details(details)
}

pub(super) fn request(byte: u8, now: halfclose::Time) -> Request {
    let mut request = Request::new("/demo.Echo/Call", call_type(byte));
    request.metadata = metadata(byte >> 2);
    request.deadline = (byte & 0x10 != 0).then(|| now + Duration::from_secs(u64::from(byte % 4)));
    request.encoding = (byte & 0x20 != 0).then(|| Encoding::ALL[usize::from(byte % 4)]);
    request
}

/// Runs a server's handler, which acts the same for every call, as the byte says.
///
/// Bits 0 and 1 are the call type, bits 2 to 4 what it does at once, bit 5 whether it reads, bit 6 whether it writes
/// large messages.
pub(super) fn serve(server: &mut Endpoint<Server>, habit: u8) {
    while let Some(event) = server.event() {
        match event {
            Event::Request(id) => answer(server, id, habit),
            Event::Readable(id) if habit & 0x20 != 0 => echo(server, id, habit),
            Event::Writable(id) => {
                server.send(id, payload(habit, false), false);
            }
            _ => {}
        }
    }
    server.check();
}

fn answer(server: &mut Endpoint<Server>, id: CallId, habit: u8) {
    server.accept(id, call_type(habit));
    match (habit >> 2) & 7 {
        0 => {}
        1 => {
            server.set_headers(id, metadata(habit >> 3));
            server.finish(id, status(habit), metadata(habit));
        }
        2 => server.cancel(id),
        3 => server.send_headers(id, metadata(habit)),
        4 => {
            server.send(id, payload(habit, habit & 0x40 != 0), false);
            server.finish(id, Status::ok(), metadata(1));
        }
        5 => {
            server.set_encoding(id, Encoding::Gzip);
            server.send_headers(id, metadata(habit));
            while server.send(id, payload(habit, habit & 0x40 != 0), true) && habit & 2 != 0 {}
        }
        6 => {
            server.core.shutdown(server.now);
            server.core.shrink();
        }
        _ => server.core.close(server.now, halfclose::frame::ErrorCode::NO_ERROR, "enough"),
    }
    if habit & 0x20 != 0 && server.call(id).is_some() && server.core.states(id).is_ok() {
        echo(server, id, habit);
    }
}

/// Sends back what was received, and ends with the peer's half-close.
fn echo(server: &mut Endpoint<Server>, id: CallId, habit: u8) {
    loop {
        match server.recv(id) {
            Recv::Message(message) => {
                server.send(id, message.payload, message.compressed);
            }
            Recv::HalfClosed => return server.finish(id, status(habit), metadata(habit)),
            _ => return,
        }
    }
}

/// Runs a client's caller: starts calls, then reads what its events report.
///
/// Bits 0 and 1 are the call type, bits 2 and 3 the number of additional calls, bit 4 a deadline, bit 5 whether it
/// reads, bit 6 large messages, bit 7 whether it half-closes.
pub(super) fn ask(client: &mut Endpoint<Client>, habit: u8) {
    for number in 0..=(habit >> 2) & 3 {
        let Some(id) = client.start(request(habit ^ number, client.now)) else { return };
        client.send(id, payload(habit, habit & 0x40 != 0), habit & 1 != 0);
        if habit & 0x80 != 0 {
            client.half_close(id);
        }
        if habit & 0x20 != 0 {
            client.recv(id);
        }
    }
}

pub(super) fn listen(client: &mut Endpoint<Client>, habit: u8) {
    while let Some(event) = client.event() {
        match event {
            Event::Readable(id) => while matches!(client.recv(id), Recv::Message(_)) {},
            Event::Response(id) => {
                assert!(client.core.response(id).is_some());
                if habit & 0x60 == 0x60 {
                    client.cancel(id);
                }
            }
            Event::Writable(id) => {
                client.send(id, payload(habit, false), false);
            }
            Event::GoAway { .. } if habit & 0x60 == 0x40 => ask(client, habit & 3),
            _ => {}
        }
    }
    client.check();
}
