//! Frames in flight when their stream was given up (P-82, RFC 9113 §5.1).

mod common;

use bytes::Bytes;
use common::{Pair, Scripted, message};
use halfclose::frame::ErrorCode;
use halfclose::{
    CallId, CallType, Config, ConnectionError, Event, Metadata, Recv, Server, Status, Violation,
};
use halfclose_wire::{
    ACK, Block, END_STREAM, REQUEST, block, data, frame, headers, kind, message as framed, reset, update,
};

const MANY: usize = 500;

fn roomy() -> Pair {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = 1_000;
    config.limits.send_buffer = 1 << 20;
    config.connection_window = 16 << 20;
    Pair::with(Config::client(), config)
}

fn healthy_call(pair: &mut Pair) {
    let call = pair.start(CallType::UNARY);
    pair.client.send_message(call, Bytes::from_static(b"still here"), false).unwrap();
    pair.client.half_close(call).unwrap();
    pair.exchange();
    let at_server = loop {
        match pair.server.poll_event() {
            Some(Event::Request(call)) => break call,
            Some(_) => {}
            None => panic!("no request"),
        }
    };
    let request = message(pair.server.recv(at_server).unwrap());
    pair.server.send_message(at_server, request, false).unwrap();
    pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert_eq!(message(pair.client.recv(call).unwrap()), "still here");
    assert!(pair.outcome(call).status.is_ok());
    assert!(!pair.client.is_closed() && !pair.server.is_closed());
}

fn requests(pair: &mut Pair) -> Vec<CallId> {
    std::iter::from_fn(|| pair.server.poll_event())
        .filter_map(|event| if let Event::Request(call) = event { Some(call) } else { None })
        .collect()
}

#[test]
fn answers_to_many_cancelled_calls_do_not_cost_the_connection() {
    let mut pair = roomy();
    let calls: Vec<CallId> = (0..MANY).map(|_| pair.start(CallType::BIDI)).collect();
    pair.carry_up();
    for call in requests(&mut pair) {
        pair.server.send_message(call, Bytes::from_static(&[7; 1000]), false).unwrap();
        pair.server.finish(call, Status::ok(), Metadata::new()).unwrap();
    }
    // The server's answers cross the client's cancellations.
    pair.down = common::written(&mut pair.server, pair.now);
    for call in calls {
        pair.client.cancel(call).unwrap();
        assert!(matches!(pair.client.recv(call), Ok(Recv::End(_))));
    }
    pair.exchange();
    healthy_call(&mut pair);
}

#[test]
fn messages_to_many_calls_that_the_server_ended_early_do_not_cost_the_connection() {
    let mut pair = roomy();
    let calls: Vec<CallId> = (0..MANY).map(|_| pair.start(CallType::CLIENT_STREAMING)).collect();
    pair.carry_up();
    // The server's early statuses (P-31) cross the client's messages.
    for call in requests(&mut pair) {
        pair.server.finish(call, Status::permission_denied("no"), Metadata::new()).unwrap();
    }
    pair.down = common::written(&mut pair.server, pair.now);
    for call in &calls {
        pair.client.send_message(*call, Bytes::from_static(&[7; 1000]), false).unwrap();
    }
    pair.carry_up();
    pair.exchange();
    for call in calls {
        assert!(!pair.outcome(call).status.is_ok());
    }
    pair.exchange();
    healthy_call(&mut pair);
}

/// Creates a server that has received the end of stream 1.
fn after_a_reset() -> Scripted<Server> {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    peer.open(1);
    peer.feed(&reset(1, ErrorCode::CANCEL)).expect("a good reset");
    peer.events();
    peer
}

#[test]
fn an_update_for_a_stream_that_is_over_costs_nothing_and_one_without_a_number_the_connection() {
    // RFC 9113 §6.9: an increment of zero would be a stream error, and there is no stream; a length other than four
    // bytes is a connection error on any stream.
    for (payload, good) in [(&[0, 0, 0, 1][..], true), (&[0; 4], true), (&[0; 3], false), (&[0; 5], false)] {
        let mut peer = after_a_reset();
        let fed = peer.feed(&frame(kind::WINDOW_UPDATE, 0, 1, payload));
        let code = match fed {
            Ok(()) => None,
            Err(ConnectionError::Violation(violation)) => Some(violation.code()),
            Err(other) => panic!("no violation: {other:?}"),
        };
        assert_eq!(code, (!good).then_some(ErrorCode::FRAME_SIZE_ERROR), "{payload:?}");
    }
}

#[test]
fn updates_for_a_stream_that_is_over_are_counted_empty_ones_too() {
    for increment in [0_u32, 1] {
        let mut peer = after_a_reset();
        let update = frame(kind::WINDOW_UPDATE, 0, 1, &increment.to_be_bytes());
        let fed = (0..20_000).find_map(|_| peer.feed(&update).err());
        let Some(ConnectionError::Violation(violation)) = fed else { panic!("{increment}: {fed:?}") };
        assert!(matches!(violation, Violation::Flood { .. }), "{violation:?}");
    }
}

/// Returns everything that may belong to a request: its rest, its trailers with a field that enters the table, and
/// its end.
fn rest_of(stream: u32) -> Vec<u8> {
    let trailers = Block::new().indexing(b"x-trailer", stream.to_string().as_bytes()).index(62).0;
    let frames = [
        data(stream, 0, &framed(b"the rest")),
        update(stream, 10),
        headers(stream, END_STREAM, &trailers),
        reset(stream, ErrorCode::CANCEL),
    ];
    frames.concat()
}

/// Checks that the call on stream 1 continues and is answered.
fn goes_on(peer: &mut Scripted<Server>, call: CallId) {
    peer.feed(&data(1, END_STREAM, &framed(b"last"))).unwrap();
    assert_eq!(message(peer.core.recv(call).unwrap()), "last");
    assert!(matches!(peer.core.recv(call), Ok(Recv::HalfClosed)));
    peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
    let sent = peer.sent();
    assert!(sent.iter().any(|frame| frame.kind == kind::HEADERS && frame.stream == 1), "{sent:?}");
}

/// Checks that the table holds what the trailers of this stream added: the next request uses it.
fn is_in_step(peer: &mut Scripted<Server>, stream: u32) {
    peer.feed(&headers(stream + 2, 0, &Block::request().index(62).0)).unwrap();
    let request = peer.events().into_iter().find_map(|event| match event {
        Event::Request(call) => Some(call),
        _ => None,
    });
    let headers = peer.core.take_request(request.expect("a request")).unwrap();
    assert_eq!(headers.metadata.get_str("x-trailer"), Some(stream.to_string().as_str()));
}

#[test]
fn requests_that_the_last_goaway_refused_are_discarded_to_their_trailers() {
    // RFC 9113 §6.8.
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(1);
    peer.core.shutdown(peer.now);
    peer.feed(&frame(kind::PING, ACK, 0, b"hc-drain")).unwrap();
    peer.sent();
    for n in 1..200 {
        let stream = 2 * n + 1;
        peer.feed(&[headers(stream, 0, &block(&REQUEST)), rest_of(stream)].concat()).unwrap();
        // And once more, with nothing to do.
        peer.feed(&rest_of(stream)).unwrap();
    }
    assert!(peer.sent().is_empty());
    goes_on(&mut peer, call);
    assert!(matches!(peer.events().last(), Some(Event::Closed(_))), "it was the last call");
}

#[test]
fn trailers_of_requests_that_were_reset_long_ago_cost_nothing() {
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    let call = peer.open(1);
    for stream in (3..400).step_by(2) {
        let cancelled = peer.open(stream);
        peer.core.cancel(cancelled).unwrap();
        peer.events();
    }
    (3..400).step_by(2).for_each(|stream| peer.feed(&rest_of(stream)).unwrap());
    goes_on(&mut peer, call);
    is_in_step(&mut peer, 399);
}

#[test]
fn trailers_of_requests_over_the_limit_cost_nothing() {
    let mut config = Config::server();
    config.limits.max_concurrent_streams = 1;
    let mut peer = Scripted::<Server>::server(config, &[]);
    let call = peer.open(1);
    for stream in (3..400).step_by(2) {
        peer.feed(&headers(stream, 0, &block(&REQUEST))).unwrap();
        assert_eq!(peer.sent().len(), 1, "it is refused");
    }
    (3..400).step_by(2).for_each(|stream| peer.feed(&rest_of(stream)).unwrap());
    goes_on(&mut peer, call);
    is_in_step(&mut peer, 399);
}

#[test]
fn an_id_that_was_passed_over_is_no_stream_that_was_reset() {
    // RFC 9113 §5.1.1.
    let mut peer = Scripted::<Server>::server(Config::server(), &[]);
    peer.open(9);
    let Err(ConnectionError::Violation(violation)) = peer.feed(&headers(7, END_STREAM, &block(&REQUEST)))
    else {
        panic!("a lower id than the last")
    };
    assert_eq!(violation.code(), ErrorCode::PROTOCOL_ERROR);
}
