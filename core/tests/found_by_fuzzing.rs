//! What the fuzz targets and the simulation found, each as the shortest exchange that shows it.

use bytes::{Buf, BytesMut};
use halfclose::frame::{
    ErrorCode, FRAME_HEADER_LEN, Flags, Frame, FrameHeader, FrameType, PREFACE, SettingId, StreamId,
};
use halfclose::hpack::{Encoder, Indexing};
use halfclose::{
    CallType, Client, Config, Connection, Event, Misuse, Needed, Recv, Request, Role, Seed, Server, Time,
};

const NOW: Time = Time::ZERO;

fn frame(kind: FrameType, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut wire = Vec::new();
    FrameHeader { length, kind, flags: Flags(flags), stream: StreamId::new(stream) }.write(&mut wire);
    wire.extend_from_slice(payload);
    wire
}

/// Returns the headers of a call, followed by fields of the test's own.
fn request(flags: u8, stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/demo.Echo/Call"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    let mut block = Vec::new();
    let mut encoder = Encoder::new(4096);
    encoder.begin(&mut block);
    for (name, value) in head.iter().chain(more) {
        encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut block);
    }
    frame(FrameType::Headers, flags | Flags::END_HEADERS.0, stream, &block)
}

fn server() -> Connection<Server> {
    let mut server = Connection::new(Config::server(), Seed(1), NOW);
    feed(&mut server, PREFACE);
    feed(&mut server, &frame(FrameType::Settings, 0, 0, &[]));
    feed(&mut server, &frame(FrameType::Settings, Flags::ACK.0, 0, &[]));
    written(&mut server);
    while server.poll_event().is_some() {}
    server
}

fn client() -> Connection<Client> {
    let mut client = Connection::new(Config::client(), Seed(1), NOW);
    feed(&mut client, &frame(FrameType::Settings, 0, 0, &[]));
    written(&mut client);
    while client.poll_event().is_some() {}
    client
}

fn feed<R: Role>(core: &mut Connection<R>, bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    while let Ok(Needed::Again | Needed::Drain) = core.receive(NOW, &mut input) {}
}

/// Returns the frames that a core writes: kind, stream and error code, if the kind has one.
fn written<R: Role>(core: &mut Connection<R>) -> Vec<(FrameType, u32, Option<ErrorCode>)> {
    let mut wire = Vec::new();
    while let Some(mut out) = core.poll_transmit(NOW) {
        let count = out.chunk().len();
        wire.extend_from_slice(out.chunk());
        out.advance(count);
    }
    let mut rest = wire.strip_prefix(PREFACE).unwrap_or(&wire);
    let mut frames = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() {
        let head = FrameHeader::parse(head);
        let (payload, next) = after.split_at(head.length as usize);
        let code = match Frame::parse(&head, payload).unwrap() {
            Frame::RstStream(reset) => Some(reset.code),
            Frame::GoAway(goaway) => Some(goaway.code),
            _ => None,
        };
        frames.push((head.kind, head.stream.get(), code));
        rest = next;
    }
    frames
}

/// Checks `Event::Ended`, "its id is invalid from here on", while the library's own answer waits to be written.
#[test]
fn an_ended_calls_id_is_stale_before_its_answer_is_written() {
    let mut server = server();
    feed(&mut server, &request(0, 1, &[]));
    let Some(Event::Request(call)) = server.poll_event() else { panic!("no request") };
    // P-50: a flag that is neither 0 nor 1; the library answers with INTERNAL.
    feed(&mut server, &frame(FrameType::Data, 0, 1, &[2, 0, 0, 0, 0]));
    assert!(matches!(server.poll_event(), Some(Event::Ended(ended, _)) if ended == call));
    assert_eq!(server.states(call), Err(Misuse::UnknownCall));
    assert_eq!(server.cancel(call), Err(Misuse::UnknownCall));
    let frames = written(&mut server);
    assert_eq!(frames[0], (FrameType::Headers, 1, None), "the answer goes out all the same: {frames:?}");
    assert!(server.is_idle());
}

/// Checks that RST_STREAM is not sent for an idle stream (RFC 9113 §6.4). The fault ends the connection instead
/// (§5.4).
#[test]
fn a_fault_on_an_idle_stream_is_not_answered_by_rst_stream() {
    // RFC 9113 §6.3: a PRIORITY of another length than 5. §6.9: an increment of 0.
    let faults = [
        (FrameType::Priority, &[0_u8; 4][..], ErrorCode::FRAME_SIZE_ERROR),
        (FrameType::WindowUpdate, &[0; 4], ErrorCode::PROTOCOL_ERROR),
    ];
    for (kind, payload, code) in faults {
        let mut server = server();
        feed(&mut server, &frame(kind, 0, 7, payload));
        assert_eq!(written(&mut server), [(FrameType::GoAway, 0, Some(code))], "{kind}");
        let mut client = client();
        feed(&mut client, &frame(kind, 0, 7, payload));
        assert_eq!(written(&mut client), [(FrameType::GoAway, 0, Some(code))], "{kind}");
        assert_eq!(client.start(NOW, Request::new("/a/b", CallType::UNARY)), Err(Misuse::Closed));
    }
}

/// Checks P-72 on a call that is over: `recv` returns nothing, and `Event::Ended` gives the reason. The connection
/// used to loop for ever, refusing a call that could not be refused any more.
#[test]
fn recv_on_a_reset_call_without_its_message_returns() {
    let mut server = server();
    feed(&mut server, &request(Flags::END_STREAM.0, 1, &[]));
    let Some(Event::Request(call)) = server.poll_event() else { panic!("no request") };
    server.accept(call, CallType::UNARY).unwrap();
    feed(&mut server, &frame(FrameType::RstStream, 0, 1, &ErrorCode::CANCEL.0.to_be_bytes()));
    assert!(matches!(server.recv(call), Ok(Recv::Pending)));
    assert!(matches!(server.poll_event(), Some(Event::Ended(ended, _)) if ended == call));
    assert!(server.is_idle());
}

/// Checks P-55: the library's own answer drops what was queued, so no window delays it, not even the connection's.
#[test]
fn an_answer_does_not_wait_for_the_connections_window() {
    let mut server = server();
    // RFC 9113 §6.9.2: streams get a window that is larger than the connection's.
    let mut setting = SettingId::INITIAL_WINDOW_SIZE.0.to_be_bytes().to_vec();
    setting.extend_from_slice(&(1_u32 << 20).to_be_bytes());
    feed(&mut server, &frame(FrameType::Settings, 0, 0, &setting));
    feed(&mut server, &request(0, 1, &[]));
    let call = std::iter::from_fn(|| server.poll_event()).find_map(|event| match event {
        Event::Request(call) => Some(call),
        _ => None,
    });
    let call = call.expect("a request");
    server.send_message(call, vec![7; 70_000].into(), false).unwrap();
    let data =
        |frames: &[(FrameType, u32, Option<ErrorCode>)]| frames.iter().any(|it| it.0 == FrameType::Data);
    assert!(data(&written(&mut server)), "as much as the connection's window takes");
    // P-50: a flag that is neither 0 nor 1.
    feed(&mut server, &frame(FrameType::Data, 0, 1, &[2, 0, 0, 0, 0]));
    let frames = written(&mut server);
    let expected = [(FrameType::Headers, 1, None), (FrameType::RstStream, 1, Some(ErrorCode::NO_ERROR))];
    assert_eq!(frames, expected, "the status and P-31");
}
