//! The four call types between a client and a server core, in memory.

mod common;

use bytes::Bytes;
use common::{Pair, message};
use halfclose::{CallType, Cause, Code, Event, Metadata, Recv, Request, Sent, Status, Time};

const NOW: Time = Time::ZERO;

#[test]
fn unary() {
    let mut pair = Pair::new();
    for i in 0..300_u32 {
        let call = pair.client.start(NOW, Request::new("/demo.Echo/Unary", CallType::UNARY)).unwrap();
        pair.client.send_message(call, Bytes::from(format!("hello {i}")), false).unwrap();
        pair.client.half_close(call).unwrap();
        assert!(matches!(pair.client.recv(call), Ok(Recv::Pending)));
        let at_server = pair.accept(CallType::UNARY);
        assert_eq!(pair.server.request(at_server).unwrap().path(), "/demo.Echo/Unary");
        let request = message(pair.server.recv(at_server).unwrap());
        assert!(matches!(pair.server.recv(at_server), Ok(Recv::HalfClosed)));
        pair.server.send_message(at_server, request, false).unwrap();
        pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
        pair.exchange();
        assert_eq!(pair.server.poll_event(), Some(Event::Ended(at_server, Cause::Trailers)));
        assert_eq!(pair.client.poll_event(), Some(Event::Response(call)));
        assert_eq!(pair.client.poll_event(), Some(Event::Readable(call)));
        assert_eq!(message(pair.client.recv(call).unwrap()), format!("hello {i}"));
        let Recv::End(outcome) = pair.client.recv(call).unwrap() else { panic!("no end") };
        assert_eq!(outcome.status, Status::ok());
        assert_eq!(outcome.cause, Cause::Trailers);
        assert!(pair.client.recv(call).is_err(), "the id is stale");
        assert!(pair.client.is_idle() && pair.server.is_idle());
    }
}

#[test]
fn large_messages_pass_windows_both_ways() {
    let mut pair = Pair::new();
    let large: Bytes = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    let call = pair.client.start(NOW, Request::new("/demo.Echo/Unary", CallType::UNARY)).unwrap();
    assert_eq!(pair.client.send_message(call, large.clone(), false), Ok(Sent::Full));
    pair.client.half_close(call).unwrap();
    let at_server = pair.accept(CallType::UNARY);
    assert_eq!(message(pair.server.recv(at_server).unwrap()), large);
    pair.server.send_message(at_server, large.clone(), false).unwrap();
    pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert_eq!(message(pair.client.recv(call).unwrap()), large);
    assert!(matches!(pair.client.recv(call), Ok(Recv::End(_))));
}

#[test]
fn bidi_streaming_with_trailers() {
    let mut pair = Pair::new();
    let mut request = Request::new("/demo.Echo/Bidi", CallType::BIDI);
    request.metadata.append("x-trace", "7").unwrap();
    request.deadline = Some(NOW + std::time::Duration::from_secs(3));
    let call = pair.client.start(NOW, request).unwrap();
    let at_server = pair.accept(CallType::BIDI);
    let head = pair.server.request(at_server).unwrap();
    assert_eq!(head.metadata.get_str("x-trace"), Some("7"));
    assert_eq!(head.timeout, Some(std::time::Duration::from_secs(3)));
    for round in 0..50 {
        pair.client.send_message(call, Bytes::from(vec![round; 100]), false).unwrap();
        pair.exchange();
        let met = message(pair.server.recv(at_server).unwrap());
        assert!(matches!(pair.server.recv(at_server), Ok(Recv::Pending)));
        pair.server.send_message(at_server, met, false).unwrap();
        pair.exchange();
        assert_eq!(message(pair.client.recv(call).unwrap()), vec![round; 100]);
    }
    pair.client.half_close(call).unwrap();
    pair.exchange();
    assert!(matches!(pair.server.recv(at_server), Ok(Recv::HalfClosed)));
    let mut trailers = Metadata::new();
    trailers.append_bin("x-sum-bin", &[1, 2, 3]).unwrap();
    pair.server.finish(at_server, Status::not_found("nothing there: ☺"), trailers).unwrap();
    pair.exchange();
    let Recv::End(outcome) = pair.client.recv(call).unwrap() else { panic!("no end") };
    assert_eq!(outcome.status.code, Code::NotFound);
    assert_eq!(outcome.status.message(), "nothing there: ☺");
    assert_eq!(outcome.trailers.get_bin("x-sum-bin"), Some([1, 2, 3].as_slice()));
}

#[test]
fn early_status_stops_the_client() {
    let mut pair = Pair::new();
    let call = pair.client.start(NOW, Request::new("/demo.Echo/Up", CallType::CLIENT_STREAMING)).unwrap();
    let at_server = pair.accept(CallType::CLIENT_STREAMING);
    pair.server.finish(at_server, Status::permission_denied("no"), Metadata::new()).unwrap();
    pair.exchange();
    let Recv::End(outcome) = pair.client.recv(call).unwrap() else { panic!("no end") };
    assert_eq!(outcome.cause, Cause::TrailersOnly);
    assert_eq!(outcome.status.code, Code::PermissionDenied);
    assert_eq!(pair.server.poll_event(), Some(Event::Ended(at_server, Cause::TrailersOnly)));
    assert!(pair.client.is_idle() && pair.server.is_idle());
}

#[test]
fn graceful_shutdown_lets_calls_finish() {
    let mut pair = Pair::new();
    let call = pair.client.start(NOW, Request::new("/demo.Echo/Unary", CallType::UNARY)).unwrap();
    pair.client.send_message(call, Bytes::from_static(b"x"), false).unwrap();
    pair.client.half_close(call).unwrap();
    let at_server = pair.accept(CallType::UNARY);
    pair.server.shutdown(NOW);
    pair.exchange();
    assert!(!pair.server.is_closed() && !pair.client.is_closed());
    assert!(pair.client.start(NOW, Request::new("/demo.Echo/Unary", CallType::UNARY)).is_err());
    pair.server.send_message(at_server, Bytes::from_static(b"y"), false).unwrap();
    pair.server.finish(at_server, Status::ok(), Metadata::new()).unwrap();
    pair.exchange();
    assert_eq!(message(pair.client.recv(call).unwrap()), "y");
    assert!(pair.server.is_closed() && pair.client.is_closed());
}
