//! Answers that are not gRPC's: a bounded part of their text goes into the status (P-28, P-29).

mod common;

use common::{Scripted, credit};
use halfclose::frame::ErrorCode;
use halfclose::{CallId, Cause, Client, Code, Config, Outcome, Recv};
use halfclose_wire::{END_STREAM, Frame, block, data, headers, kind};

/// How much of the text is kept.
const MOST: usize = 1024;

fn answered(config: Config) -> (Scripted<Client>, CallId) {
    let mut peer = Scripted::<Client>::client(config, &[]);
    let call = peer.start();
    peer.core.half_close(call).unwrap();
    peer.sent();
    peer.feed(&headers(1, 0, &block(&[(":status", "503"), ("content-type", "text/html")]))).unwrap();
    (peer, call)
}

fn end(peer: &mut Scripted<Client>, call: CallId) -> Option<Outcome> {
    match peer.core.recv(call).unwrap() {
        Recv::End(outcome) => Some(outcome),
        Recv::Pending => None,
        other => panic!("{other:?}"),
    }
}

fn text(outcome: &Outcome) -> usize {
    outcome.status.message().chars().filter(|letter| *letter == 'x').count()
}

#[test]
fn the_call_ends_with_the_answer_or_once_its_text_is_full() {
    // Bytes of each DATA frame, whether the last one ends the stream, and what of it is kept: none where it goes on.
    let table: [(&[usize], bool, Option<usize>); 9] = [
        (&[10], false, None),
        (&[10], true, Some(10)),
        (&[MOST - 1], false, None),
        (&[MOST - 1, 1], false, Some(MOST)),
        (&[MOST], false, Some(MOST)),
        (&[MOST + 1], true, Some(MOST)),
        (&[600, 600], false, Some(MOST)),
        (&[600, 0], true, Some(600)),
        (&[0], true, Some(0)),
    ];
    for (frames, ends, kept) in table {
        let (mut peer, call) = answered(Config::client());
        for (n, bytes) in frames.iter().enumerate() {
            let flags = if ends && n + 1 == frames.len() { END_STREAM } else { 0 };
            peer.feed(&data(1, flags, &vec![b'x'; *bytes])).unwrap();
        }
        let outcome = end(&mut peer, call);
        assert_eq!(outcome.as_ref().map(text), kept, "{frames:?}");
        let reset = peer.sent().iter().find(|frame| frame.kind == kind::RST_STREAM).and_then(Frame::code);
        assert_eq!(reset, (kept.is_some() && !ends).then_some(ErrorCode::CANCEL), "{frames:?}");
        if let Some(outcome) = outcome {
            assert_eq!((outcome.status.code, outcome.cause), (Code::Unavailable, Cause::Http(503)));
        }
    }
}

#[test]
fn what_cannot_be_printed_is_escaped() {
    let (mut peer, call) = answered(Config::client());
    peer.feed(&data(1, END_STREAM, b"<p>\n\xff")).unwrap();
    let outcome = end(&mut peer, call).unwrap();
    let message = outcome.status.message();
    assert!(message.ends_with(": <p>\\n\u{fffd}"), "{message:?}");
}

#[test]
fn the_text_is_credited_as_it_comes() {
    let mut config = Config::client();
    (config.initial_stream_window, config.max_stream_window) = (100, 100);
    let (mut peer, call) = answered(config);
    let mut credited = 0;
    for _ in 0..10 {
        peer.feed(&data(1, 0, &[b'x'; 100])).unwrap();
        credited += credit(&peer.sent(), 1);
    }
    assert_eq!(credited, 1_000);
    assert!(end(&mut peer, call).is_none());
}
