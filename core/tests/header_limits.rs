//! Output keeps to the peer's header limit exactly: as many bytes as it allows, and never more (P-15, P-45).

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::Scripted;
use halfclose::{CallType, Client, Code, Config, Metadata, Misuse, Recv, Request, Server, Status, Time};
use halfclose_wire::{Frame, kind};

/// SETTINGS_MAX_HEADER_LIST_SIZE.
const LIMIT: u16 = 6;

/// Returns the size of a block's list (RFC 9113 §6.5.2), measured with an independent decoder.
fn list_size(frame: &Frame) -> u32 {
    let fields = hpack::Decoder::new().decode(&frame.payload).expect("a block");
    fields.iter().map(|(name, value)| u32::try_from(name.len() + value.len() + 32).unwrap()).sum()
}

/// Returns the size of the request that a client sends under this limit, or the outcome if it sends none.
fn request(limit: u32, timeout: Option<Duration>, value: &str) -> Result<u32, Code> {
    let mut peer = Scripted::<Client>::client(Config::client(), &[(LIMIT, limit)]);
    let mut request = Request::new("/demo.Echo/Call", CallType::UNARY);
    request.deadline = timeout.map(|timeout| Time::ZERO + timeout);
    if !value.is_empty() {
        request.metadata.append("x", value).unwrap();
    }
    let call = peer.core.start(peer.now, request).unwrap();
    match peer.sent().iter().find(|frame| frame.kind == kind::HEADERS) {
        Some(frame) => Ok(list_size(frame)),
        None => match peer.core.recv(call).unwrap() {
            Recv::End(outcome) => Err(outcome.status.code),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_request_is_counted_exactly() {
    let timeouts = [
        None,
        Some(Duration::from_nanos(1)),
        Some(Duration::from_secs(1)),
        Some(Duration::from_secs(99_999_999)),
    ];
    for timeout in timeouts {
        for value in ["", "a value"] {
            let size = request(u32::MAX, timeout, value).expect("no limit");
            assert_eq!(request(size, timeout, value), Ok(size), "{timeout:?}");
            assert_eq!(request(size - 1, timeout, value), Err(Code::Internal), "{timeout:?}");
        }
    }
}

#[test]
fn a_request_that_is_known_is_counted_exactly_too() {
    // The second request of its kind uses the templates.
    let size = request(u32::MAX, None, "").unwrap();
    for (limit, sent) in [(size, 3), (size - 1, 0)] {
        let mut peer = Scripted::<Client>::client(Config::client(), &[(LIMIT, limit)]);
        for _ in 0..3 {
            peer.core.start(peer.now, Request::new("/demo.Echo/Call", CallType::UNARY)).unwrap();
        }
        let headers = peer.sent().iter().filter(|frame| frame.kind == kind::HEADERS).count();
        assert_eq!(headers, sent, "{limit}");
    }
}

/// Returns the frames of a server's call under this limit.
fn answered(limit: u32, answer: impl FnOnce(&mut Scripted<Server>)) -> Vec<Frame> {
    let mut server = Scripted::<Server>::server(Config::server(), &[(LIMIT, limit)]);
    answer(&mut server);
    server.sent().into_iter().filter(|frame| frame.kind == kind::HEADERS).collect()
}

#[test]
fn response_headers_are_counted_exactly() {
    let mut metadata = Metadata::new();
    metadata.append("x-one", "a value").unwrap();
    metadata.append_bin("x-two-bin", b"another").unwrap();
    let send = |limit: u32, refused: bool| {
        let metadata = metadata.clone();
        answered(limit, move |server| {
            let call = server.open(1);
            match server.core.send_headers(call, metadata) {
                Ok(()) => assert!(!refused, "{limit}"),
                Err(Misuse::HeaderListTooLarge { .. }) => assert!(refused, "{limit}"),
                other => panic!("{other:?}"),
            }
        })
    };
    let size = list_size(&send(u32::MAX, false)[0]);
    assert_eq!(list_size(&send(size, false)[0]), size);
    assert!(send(size - 1, true).is_empty());
}

#[test]
fn a_status_is_cut_to_fit_exactly() {
    for message in [false, true] {
        let finish = |limit: u32| {
            let frames = answered(limit, |server| {
                let call = server.open(1);
                if message {
                    server.core.send_message(call, Bytes::from_static(b"m"), false).unwrap();
                }
                server.core.finish(call, Status::not_found("none-of-it"), Metadata::new()).unwrap();
            });
            list_size_of_last(&frames)
        };
        let size = finish(u32::MAX);
        for limit in size - 20..=size {
            // The message loses a byte for each byte of the limit until it is empty, and then its field is left out.
            let expected = if size - limit < 10 { limit } else { size - 10 - 44 };
            assert_eq!(finish(limit), expected, "{limit}");
        }
    }
}

/// Returns the size of the last block, with a decoder that has read the ones before it.
fn list_size_of_last(frames: &[Frame]) -> u32 {
    let mut decoder = hpack::Decoder::new();
    let sizes = frames.iter().map(|frame| {
        let fields = decoder.decode(&frame.payload).expect("a block");
        fields.iter().map(|(name, value)| u32::try_from(name.len() + value.len() + 32).unwrap()).sum()
    });
    sizes.last().expect("a block")
}
