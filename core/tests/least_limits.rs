//! Limits of zero: each counts as the least value with which a connection works, or means that nothing of its kind is
//! allowed. Ordinary calls work in either case, with each limit at 0 alone and with all of them at once.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Pair, message};
use halfclose::{CallType, Config, Event, Limits, Metadata, Rate, Recv, Request, Status};

const NONE: Rate = Rate { burst: 0, per_second: 0 };

/// A limit, and how it is set to zero.
type Zero = (&'static str, fn(&mut Limits));

/// The limits that are raised to their least value.
const RAISED: [Zero; 22] = [
    ("max_concurrent_streams", |limits| limits.max_concurrent_streams = 0),
    ("max_frame_size", |limits| limits.max_frame_size = 0),
    ("max_header_list", |limits| limits.max_header_list = 0),
    ("max_header_block", |limits| limits.max_header_block = 0),
    ("settings_entries", |limits| limits.settings_entries = 0),
    ("queued_replies", |limits| limits.queued_replies = 0),
    ("control_frames", |limits| limits.control_frames = NONE),
    ("resets", |limits| limits.resets = NONE),
    ("pending_resets", |limits| limits.pending_resets = 0),
    ("internal_resets", |limits| limits.internal_resets = NONE),
    ("empty_data", |limits| limits.empty_data = NONE),
    ("small_data", |limits| limits.small_data = NONE),
    ("glitches", |limits| limits.glitches = NONE),
    ("memory", |limits| limits.memory = 0),
    ("memory_timeout", |limits| limits.memory_timeout = Duration::ZERO),
    ("stall_timeout", |limits| limits.stall_timeout = Duration::ZERO),
    ("queued_calls", |limits| limits.queued_calls = 0),
    ("frames_per_turn", |limits| limits.frames_per_turn = 0),
    ("bytes_per_turn", |limits| limits.bytes_per_turn = 0),
    ("preface_timeout", |limits| limits.preface_timeout = Duration::ZERO),
    ("settings_timeout", |limits| limits.settings_timeout = Duration::ZERO),
    ("header_block_timeout", |limits| limits.header_block_timeout = Duration::ZERO),
];

/// The limits whose zero is meant: nothing of the kind.
const NOTHING: [Zero; 9] = [
    ("max_continuations", |limits| limits.max_continuations = 0),
    ("decoder_table", |limits| limits.decoder_table = 0),
    ("encoder_table", |limits| limits.encoder_table = 0),
    ("kept_buffers", |limits| limits.kept_buffers = 0),
    ("send_buffer", |limits| limits.send_buffer = 0),
    ("non_grpc_body", |limits| limits.non_grpc_body = 0),
    ("non_grpc_body_timeout", |limits| limits.non_grpc_body_timeout = Duration::ZERO),
    ("unread_timeout", |limits| limits.unread_timeout = Duration::ZERO),
    ("half_close_timeout", |limits| limits.half_close_timeout = Duration::ZERO),
];

/// The limits of messages, which refuse every message that is not empty.
const MESSAGES: [Zero; 2] = [
    ("max_receive_message", |limits| limits.max_receive_message = 0),
    ("max_send_message", |limits| limits.max_send_message = 0),
];

#[test]
fn every_limit_has_its_place_here() {
    let text = format!("{:?}", Limits::server());
    let fields = text.split(", ").filter(|part| !part.starts_with("per_second"));
    let mut fields: Vec<_> = fields
        .filter_map(|part| part.trim_start_matches("Limits { ").split_once(": "))
        .map(|(name, _)| name)
        .collect();
    let zeros = RAISED.iter().chain(&NOTHING).chain(&MESSAGES);
    let mut placed: Vec<_> = zeros.map(|(name, _)| *name).collect();
    fields.sort_unstable();
    placed.sort_unstable();
    assert_eq!(fields, placed);
}

/// Runs two calls as any application makes them, one of them cancelled, with deadline, metadata and a message of this
/// size each way.
fn works(name: &str, zero: impl Fn(&mut Limits), size: usize) {
    for at_client in [true, false] {
        let (mut client, mut server) = (Config::client(), Config::server());
        zero(if at_client { &mut client.limits } else { &mut server.limits });
        let mut pair = Pair::with(client, server);
        for _ in 0..3 {
            call(&mut pair, name, size);
            pair.now = pair.now + Duration::from_secs(1);
            pair.client.handle_timeout(pair.now);
            pair.server.handle_timeout(pair.now);
        }
        cancelled(&mut pair, name);
        call(&mut pair, name, size);
        assert!(!pair.client.is_closed() && !pair.server.is_closed(), "{name}");
    }
}

fn request(pair: &Pair) -> Request {
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = Some(pair.now + Duration::from_secs(60));
    request.metadata.append("x-request", "of an ordinary application").unwrap();
    request
}

fn served(pair: &mut Pair, name: &str) -> halfclose::CallId {
    pair.exchange();
    loop {
        match pair.server.poll_event() {
            Some(Event::Request(call)) => return call,
            Some(_) => {}
            None => panic!("{name}: no request"),
        }
    }
}

fn call(pair: &mut Pair, name: &str, size: usize) {
    let payload = Bytes::from(vec![7; size]);
    let request = request(pair);
    let call = pair.client.start(pair.now, request).unwrap_or_else(|misuse| panic!("{name}: {misuse}"));
    pair.client.send_message(call, payload.clone(), false).unwrap();
    pair.client.half_close(call).unwrap();
    let at_server = served(pair, name);
    assert_eq!(message(pair.server.recv(at_server).unwrap()), payload, "{name}");
    pair.server.send_message(at_server, payload.clone(), false).unwrap();
    pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert_eq!(message(pair.client.recv(call).unwrap()), payload, "{name}");
    assert!(pair.outcome(call).status.is_ok(), "{name}");
}

fn cancelled(pair: &mut Pair, name: &str) {
    let request = request(pair);
    let call = pair.client.start(pair.now, request).unwrap();
    let at_server = served(pair, name);
    pair.client.cancel(call).unwrap();
    pair.exchange();
    let events: Vec<_> = std::iter::from_fn(|| pair.server.poll_event()).collect();
    assert!(
        events.iter().any(|event| matches!(event, Event::Ended(ended, _) if *ended == at_server)),
        "{name}"
    );
    assert!(matches!(pair.client.recv(call), Ok(Recv::End(_))), "{name}");
}

#[test]
fn a_connection_works_with_each_limit_at_nothing() {
    for (name, zero) in RAISED.iter().chain(&NOTHING) {
        for size in [0, 1_000] {
            works(name, zero, size);
        }
    }
    for (name, zero) in MESSAGES {
        works(name, zero, 0);
    }
}

#[test]
fn a_connection_works_with_all_limits_at_nothing() {
    let all = |limits: &mut Limits| RAISED.iter().chain(&NOTHING).for_each(|(_, zero)| zero(limits));
    works("all", all, 1_000);
    works(
        "all, and messages",
        |limits| {
            all(limits);
            MESSAGES.iter().for_each(|(_, zero)| zero(limits));
        },
        0,
    );
}
