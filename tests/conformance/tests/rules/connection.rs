//! The life of a connection: shutdown, keepalive, credit and deadlines (P-82, P-86, P-90 to P-105).

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::grpc::encoding::Encoding;
use halfclose::{
    CallType, Cause, Client, CloseReason, Code, Config, Event, Metadata, Misuse, Recv, Seed, Server, Status,
    Time,
};
use halfclose_conformance::Peer;
use halfclose_conformance::ask::{request_of, request_with};
use halfclose_wire::{
    ACK, END_HEADERS, END_STREAM, Frame, PREFACE, REQUEST, RESPONSE, TRAILERS, TRAILERS_ONLY, block, data,
    frame, goaway, headers,
    kind::{CONTINUATION, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE},
    literal, message, settings, settings_ack, update,
};

fn find(sent: &[Frame], kind: u8) -> Option<&Frame> {
    sent.iter().find(|frame| frame.kind == kind)
}

/// Returns the credit given to a stream in these frames, in bytes.
fn credit(sent: &[Frame], stream: u32) -> u32 {
    let updates = sent.iter().filter(|frame| frame.kind == WINDOW_UPDATE && frame.stream == stream);
    updates.map(|frame| u32::from_be_bytes(frame.payload.as_slice().try_into().expect("four bytes"))).sum()
}

#[test]
fn p90_both_sides_speak_first() {
    let mut client = Peer::<Client>::silent(Config::client());
    let mut bytes = Vec::new();
    while let Some(out) = client.connection.take_transmit(Time::ZERO) {
        bytes.extend(out.segments().iter().flat_map(|segment| segment.to_vec()));
    }
    assert!(bytes.starts_with(PREFACE) && bytes[PREFACE.len() + 3] == SETTINGS);
    let mut server = Peer::<Server>::silent(Config::server());
    assert_eq!(server.sent().first().map(|frame| frame.kind), Some(SETTINGS));
}

#[test]
fn p95_a_ping_is_echoed() {
    let mut peer = Peer::server(Config::server());
    peer.feed(&frame(PING, 0, 0, b"question")).expect("a PING");
    assert_eq!(peer.sent(), [Frame { kind: PING, flags: ACK, stream: 0, payload: b"question".to_vec() }]);
}

#[test]
fn p93_goaway_splits_calls_by_what_was_processed() {
    let mut peer = Peer::client(Config::client());
    let calls = [1, 3].map(|_| {
        let call = peer.start(CallType::UNARY);
        peer.connection.half_close(call).expect("the first half-close");
        call
    });
    peer.sent();
    peer.feed(&goaway(1, ErrorCode::NO_ERROR)).expect("GOAWAY");
    assert!(matches!(peer.connection.recv(calls[0]), Ok(Recv::Pending)), "the first goes on");
    let Ok(Recv::End(outcome)) = peer.connection.recv(calls[1]) else { panic!("the second is over") };
    assert_eq!((outcome.status.code, outcome.not_processed()), (Code::Unavailable, true));
    assert_eq!(
        peer.connection.start(peer.now, halfclose::Request::new("/a/b", CallType::UNARY)),
        Err(Misuse::GoingAway)
    );
    peer.feed(&headers(1, END_STREAM, &block(&TRAILERS_ONLY))).expect("the first call's end");
    assert!(matches!(peer.events().last(), Some(Event::Closed(CloseReason::Graceful))));
}

#[test]
fn p94_a_server_shuts_down_in_two_steps() {
    let mut peer = Peer::server(Config::server());
    peer.open(1, END_STREAM);
    peer.connection.shutdown(peer.now);
    let sent = peer.sent();
    let announced = find(&sent, GOAWAY).expect("the first GOAWAY");
    assert_eq!(announced.payload[..4], 0x7fff_ffff_u32.to_be_bytes());
    let ping = find(&sent, PING).expect("a PING behind it").payload.clone();
    // What the client started before it received the GOAWAY is still served.
    peer.open(3, END_STREAM);
    peer.feed(&frame(PING, ACK, 0, &ping)).expect("its answer");
    let sent = peer.sent();
    assert_eq!(find(&sent, GOAWAY).expect("the second GOAWAY").payload[..4], 3_u32.to_be_bytes());
    peer.feed(&headers(5, END_STREAM, &block(&REQUEST))).expect("too late, and no error");
    assert!(peer.events().is_empty(), "it is not served");
}

#[test]
fn p96_p97_a_peer_that_does_not_answer_is_dead() {
    let mut config = Config::client();
    config.keepalive.interval = Some(Duration::from_secs(30));
    let mut client = Peer::client(config);
    let call = client.start(CallType::UNARY);
    client.sent();
    client.now = Time::ZERO + Duration::from_secs(30);
    client.connection.handle_timeout(client.now);
    assert!(find(&client.sent(), PING).is_some());
    client.now = client.now + Duration::from_secs(20);
    client.connection.handle_timeout(client.now);
    let Ok(Recv::End(outcome)) = client.connection.recv(call) else { panic!("the call is over") };
    assert_eq!(outcome.status.code, Code::Unavailable);

    let mut server = Peer::server(Config::server());
    server.feed(&settings_ack()).expect("an answer to SETTINGS");
    server.now = Time::ZERO + Duration::from_secs(2 * 60 * 60);
    server.connection.handle_timeout(server.now);
    assert!(find(&server.sent(), PING).is_some());
    server.now = server.now + Duration::from_secs(20);
    server.connection.handle_timeout(server.now);
    assert!(matches!(server.events().last(), Some(Event::Closed(CloseReason::Error(_)))));
}

#[test]
fn p99_a_client_does_not_ping_without_end() {
    let mut config = Config::client();
    config.keepalive.interval = Some(Duration::from_secs(30));
    let mut peer = Peer::client(config);
    peer.start(CallType::BIDI);
    peer.sent();
    let mut pings = 0;
    for _ in 0..10 {
        peer.now = peer.now + Duration::from_secs(30);
        peer.connection.handle_timeout(peer.now);
        for ping in peer.sent().iter().filter(|frame| frame.kind == PING) {
            pings += 1;
            peer.feed(&frame(PING, ACK, 0, &ping.payload)).expect("its answer");
        }
    }
    assert_eq!(pings, 2, "P-99: without DATA or HEADERS between them");
}

#[test]
fn p100_idle_and_old_connections_shut_down() {
    let mut config = Config::server();
    config.max_idle = Some(Duration::from_secs(60));
    let mut idle = Peer::server(config.clone());
    idle.feed(&settings_ack()).expect("an answer to SETTINGS");
    idle.now = Time::ZERO + Duration::from_secs(60);
    idle.connection.handle_timeout(idle.now);
    assert!(find(&idle.sent(), GOAWAY).is_some());

    config.max_idle = None;
    config.max_age = Some(Duration::from_secs(1_000));
    let mut ages = Vec::new();
    for seed in 0..50 {
        let connection = halfclose::Connection::<Server>::new(config.clone(), Seed(seed), Time::ZERO);
        let mut peer = Peer::of(connection);
        peer.feed(&[PREFACE, &settings(&[]), &settings_ack()].concat()).expect("a good preface");
        let (at, _) = peer.connection.poll_timeout().expect("a timer");
        peer.sent();
        peer.now = at;
        peer.connection.handle_timeout(at);
        assert!(find(&peer.sent(), GOAWAY).is_some());
        ages.push(at.since_epoch().as_secs());
    }
    assert!(ages.iter().all(|age| (900..=1_100).contains(age)), "P-100: a tenth more or less: {ages:?}");
    assert!(ages.iter().max() > ages.iter().min(), "not all at once");
}

#[test]
fn p82_data_after_a_cancel_is_credited_and_its_headers_decoded() {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::BIDI);
    peer.sent();
    peer.connection.cancel(call).expect("an open call");
    peer.sent();
    // The block of the cancelled call puts an entry into the table (RFC 7541 §6.2.1) that the next call uses.
    let indexed = [vec![0x40, 6], b"x-name".to_vec(), vec![7], b"x-value".to_vec()].concat();
    peer.feed(&headers(1, 0, &[block(&RESPONSE), indexed].concat())).expect("under way before the reset");
    let mut owed = 0;
    for _ in 0..100 {
        peer.feed(&data(1, 0, &[0; 16_000])).expect("DATA under way");
        owed += 16_000;
    }
    let returned = credit(&peer.sent(), 0);
    assert!(owed - returned < 1 << 20, "{returned} of {owed} bytes returned to the connection");
    assert!(returned > 0);

    let next = peer.start(CallType::UNARY);
    peer.connection.half_close(next).expect("the first half-close");
    peer.sent();
    let fields = [block(&TRAILERS_ONLY), vec![0xbe]].concat();
    peer.feed(&headers(3, END_STREAM, &fields)).expect("the table is in step");
    let Ok(Recv::End(outcome)) = peer.connection.recv(next) else { panic!("the call is over") };
    assert_eq!(outcome.trailers.get_str("x-name"), Some("x-value"));
}

#[test]
fn p102_an_unread_stream_starves_nobody() {
    let mut peer = Peer::server(Config::server());
    peer.open(1, 0);
    let read = peer.open(3, 0);
    // Stream 1 is not read: its own window stays closed, and the connection's is credited.
    for _ in 0..4 {
        peer.feed(&data(1, 0, &message(&[0; 16_000]))).expect("DATA within the window");
    }
    let mut sent = peer.sent();
    // Far more than the connection's window passes on the stream that is read.
    for _ in 0..400 {
        peer.feed(&data(3, 0, &message(&[0; 8_000]))).expect("DATA within the window");
        assert!(matches!(peer.connection.recv(read), Ok(Recv::Message(_))));
        sent.extend(peer.sent());
    }
    assert_eq!(credit(&sent, 1), 0);
    assert!(credit(&sent, 0) > 2_000_000 && credit(&sent, 3) > 3_000_000, "P-102");
}

#[test]
fn p103_a_large_message_passes_a_small_window() {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(1, 0);
    let whole = message(&vec![5; 3_000_000]);
    let (mut window, mut at) = (65_535_usize, 0);
    assert!(matches!(peer.connection.recv(call), Ok(Recv::Pending)));
    while at < whole.len() {
        let size = (whole.len() - at).min(window).min(16_384);
        assert!(size > 0, "P-103: the sender stalls after {at} bytes");
        peer.feed(&data(1, 0, &whole[at..at + size])).expect("DATA within the window");
        at += size;
        window = window - size + credit(&peer.sent(), 1) as usize;
    }
    let Ok(Recv::Message(message)) = peer.connection.recv(call) else { panic!("the message is whole") };
    assert_eq!(message.payload.len(), 3_000_000);
}

#[test]
fn p105_a_connection_error_ends_every_call() {
    let mut client = Peer::client(Config::client());
    let calls = [1, 2].map(|_| client.start(CallType::UNARY));
    client.sent();
    client.feed(&frame(PING, 0, 0, b"short")).expect_err("a PING has eight bytes");
    for call in calls {
        let Ok(Recv::End(outcome)) = client.connection.recv(call) else { panic!("the call is over") };
        assert_eq!((outcome.status.code, outcome.cause), (Code::Unavailable, Cause::Connection));
    }
    let mut server = Peer::server(Config::server());
    let call = server.open(1, 0);
    server.connection.receive_eof(server.now);
    let events = server.events();
    assert_eq!(events.first(), Some(&Event::Ended(call, Cause::Connection)));
    assert!(matches!(events.last(), Some(Event::Closed(_))), "Closed comes last");
}

#[test]
fn p86_a_server_ends_a_call_at_its_deadline() {
    let mut peer = Peer::server(Config::server());
    peer.feed(&headers(1, 0, &block(&request_with(&[("grpc-timeout", "1S")])))).expect("a good request");
    let Some(Event::Request(call)) = peer.connection.poll_event() else { panic!("a request") };
    assert_eq!(peer.connection.deadline(call), Some(peer.now + Duration::from_secs(1)), "P-86");
    peer.feed(&settings_ack()).expect("an answer to SETTINGS");
    (peer.now, _) = peer.connection.poll_timeout().expect("the deadline");
    assert!(peer.now - Time::ZERO < Duration::from_millis(1_010), "at once, as far as clients can tell");
    peer.connection.handle_timeout(peer.now);
    let sent = peer.sent();
    let status = find(&sent, HEADERS).expect("a status");
    assert!(status.ends_stream(), "Trailers-Only, as from C-core");
    // The request continues, so its sender is asked to stop (P-31).
    assert_eq!(find(&sent, RST_STREAM).and_then(Frame::code), Some(ErrorCode::NO_ERROR));
    assert_eq!(peer.events(), [Event::Ended(call, Cause::Deadline)]);
}

#[test]
fn p60_a_server_compresses_only_what_its_client_accepts() {
    let accepts = request_with(&[("grpc-accept-encoding", "identity,gzip")]);
    let (mut peer, call) = request_of(Config::server(), &accepts, &message(b"m"));
    let call = call.expect("a good request");
    let connection = &mut peer.connection;
    assert_eq!(connection.set_encoding(call, Some(Encoding::Zstd)), Err(Misuse::UnsupportedEncoding));
    connection.set_encoding(call, Some(Encoding::Gzip)).expect("the client accepts it");
    connection.send_message(call, vec![b'a'; 1_000].into(), true).expect("a message");
    connection.send_message(call, "as it is".into(), false).expect("a message");
    connection.finish(call, Status::ok(), Metadata::new()).expect("the first status");
    let sent = peer.sent();
    let body: Vec<u8> =
        sent.iter().filter(|frame| frame.kind == 0).flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(body[0], 1);
    assert!(body.ends_with(&message(b"as it is")), "P-60: and per message");
}

#[test]
fn p55_a_message_over_the_send_limit_is_misuse() {
    let mut config = Config::client();
    config.limits.max_send_message = 10;
    let mut peer = Peer::client(config);
    let call = peer.start(CallType::BIDI);
    let refused = peer.connection.send_message(call, vec![0; 11].into(), false);
    assert_eq!(refused, Err(Misuse::MessageTooLarge { size: 11, limit: 10 }));
    peer.connection.send_message(call, vec![0; 10].into(), false).expect("at the limit");
}

#[test]
fn rfc9113_6_10_a_header_block_in_many_pieces_is_one() {
    let mut peer = Peer::server(Config::server());
    let fields = [block(&REQUEST), literal(b"x-late", b"1")].concat();
    let mut bytes = frame(HEADERS, END_STREAM, 1, &fields[..1]);
    let pieces: Vec<&[u8]> = fields[1..].chunks(fields.len() / 7 + 1).collect();
    for (number, piece) in pieces.iter().enumerate() {
        let flags = if number + 1 == pieces.len() { END_HEADERS } else { 0 };
        bytes.extend(frame(CONTINUATION, flags, 1, piece));
    }
    peer.feed(&bytes).expect("a good request");
    let Some(Event::Request(call)) = peer.connection.poll_event() else { panic!("a request") };
    assert_eq!(
        peer.connection.request(call).expect("the call is there").metadata.get_str("x-late"),
        Some("1")
    );
}

#[test]
fn p59_trailers_may_follow_messages_in_one_read() {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::SERVER_STREAMING);
    peer.connection.half_close(call).expect("the first half-close");
    peer.sent();
    let bytes = [
        headers(1, 0, &block(&RESPONSE)),
        data(1, 0, &message(b"one")),
        data(1, 0, &message(b"two")),
        headers(1, END_STREAM, &block(&TRAILERS)),
    ];
    peer.feed(&bytes.concat()).expect("a whole response");
    let mut taken = Vec::new();
    loop {
        match peer.connection.recv(call).expect("the call is there") {
            Recv::Message(message) => taken.push(message.payload),
            Recv::End(outcome) => break assert_eq!(outcome.status.code, Code::Ok),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, ["one", "two"]);
}

#[test]
fn p15_a_request_over_the_servers_header_limit_is_not_sent() {
    let mut peer = Peer::client(Config::client());
    // SETTINGS_MAX_HEADER_LIST_SIZE.
    peer.feed(&settings(&[(6, 100)])).expect("a setting");
    peer.sent();
    let call = peer.start(CallType::UNARY);
    peer.connection.half_close(call).expect("the first half-close");
    assert_eq!(peer.sent(), Vec::new());
    let Ok(Recv::End(outcome)) = peer.connection.recv(call) else { panic!("the call is over") };
    assert_eq!((outcome.status.code, outcome.cause), (Code::Internal, Cause::NeverSent));
}

#[test]
fn p104_a_window_below_zero_is_filled_before_it_opens() {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::BIDI);
    let sends = |peer: &mut Peer<Client>, bytes: usize| -> usize {
        peer.connection.send_message(call, vec![0; bytes - 5].into(), false).expect("room");
        peer.sent().iter().map(|frame| if frame.kind == 0 { frame.payload.len() } else { 0 }).sum()
    };
    assert_eq!(sends(&mut peer, 100), 100);
    // SETTINGS_INITIAL_WINDOW_SIZE: of 50 bytes 100 are used.
    peer.feed(&settings(&[(4, 50)])).expect("a setting");
    assert_eq!(sends(&mut peer, 30), 0);
    for (increment, sent) in [(49, 0), (1, 0), (1, 1), (100, 29)] {
        peer.feed(&update(1, increment)).expect("an update");
        let bytes: usize =
            peer.sent().iter().filter(|frame| frame.kind == 0).map(|frame| frame.payload.len()).sum();
        assert_eq!(bytes, sent, "after {increment} more");
    }
}

#[test]
fn p107_a_client_says_that_it_takes_no_push() {
    let mut peer = Peer::<Client>::silent(Config::client());
    let sent = peer.sent();
    let settings = find(&sent, SETTINGS).expect("SETTINGS");
    let enable_push = [0, 2, 0, 0, 0, 0];
    assert!(settings.payload.chunks(6).any(|setting| setting == enable_push), "{settings:?}");
}

#[test]
fn rfc9113_6_5_3_the_last_value_of_a_setting_counts() {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(CallType::BIDI);
    peer.feed(&settings(&[(4, 0), (4, 7), (0xfafa, 1), (4, 10)])).expect("settings");
    peer.connection.send_message(call, vec![0; 100].into(), false).expect("room");
    let sent = peer.sent();
    assert_eq!(find(&sent, 0).expect("DATA").payload.len(), 10);
}
