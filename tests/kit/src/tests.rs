use bytes::Bytes;
use halfclose::machine::{ClientRecv, ClientSend, ServerRecv, ServerSend};
use halfclose::{Code, Config, Shape, Status};

use crate::pair::Pair;
use crate::peer::Peer;
use crate::seen::{Seen, value};
use crate::states::{client_in, server_in};
use crate::transcript::{Cut, EchoServer, Entry, Pace, Plan, ScriptedClient, Split, Step, run};
use crate::wire::{Wire, integer};

#[test]
fn integers_match_rfc_7541_c_1() {
    assert_eq!(integer(10, 5, 0), [0b01010]);
    assert_eq!(integer(1337, 5, 0), [0b11111, 0b1001_1010, 0b0000_1010]);
    assert_eq!(integer(42, 8, 0), [42]);
}

#[test]
fn a_server_answers_a_scripted_client() {
    let mut peer = Peer::server(Config::server());
    let call = peer.open(1, true);
    peer.core.finish(call, Status::not_found("no"), halfclose::Metadata::new()).unwrap();
    let frames = peer.frames();
    let [Seen::Headers { stream: 1, fields, end: true }] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!(value(fields, "grpc-status"), Some("5"));
}

#[test]
fn a_client_hears_a_scripted_server() {
    let mut peer = Peer::client(Config::client());
    let call = peer.start(Shape::BIDI);
    peer.must_feed(Wire::new().response(1).message(1, b"hello", false).trailers(1, 0));
    let (messages, outcome) = peer.finish(call);
    assert_eq!(messages, [b"hello"]);
    assert_eq!(outcome.status.code, Code::Ok);
}

#[test]
fn every_state_of_a_half_can_be_brought_about() {
    use ClientRecv as CR;
    use ClientSend as CS;
    let recvs = [CR::AwaitHeaders, CR::Body, CR::Ended, CR::Reset, CR::Abandoned];
    let sends = [CS::Queued, CS::QueuedClosing, CS::Open, CS::Closing, CS::HalfClosed, CS::Ended];
    for send in sends {
        assert!(recvs.iter().any(|recv| client_in(send, *recv).is_some()), "{send:?}");
    }
    for recv in recvs {
        assert!(sends.iter().any(|send| client_in(*send, recv).is_some()), "{recv:?}");
    }
    use ServerRecv as SR;
    use ServerSend as SS;
    let recvs = [SR::Body, SR::Ended, SR::Reset, SR::Abandoned];
    let sends = [SS::AwaitHeaders, SS::Body, SS::Closing, SS::Ended];
    for send in sends {
        assert!(recvs.iter().any(|recv| server_in(send, *recv).is_some()), "{send:?}");
    }
    for recv in recvs {
        assert!(sends.iter().any(|send| server_in(*send, recv).is_some()), "{recv:?}");
    }
}

#[test]
fn a_pair_makes_a_call() {
    let (messages, outcome) = Pair::default().unary(Bytes::from_static(b"x"), Status::ok());
    assert_eq!((messages, outcome.status.code), (vec![Bytes::from_static(b"x")], Code::Ok));
}

#[test]
fn a_client_and_a_server_transcript_fit_each_other() {
    let plans = vec![
        Plan::new("/t.T/Unary", Shape::UNARY, &[b"one"]),
        Plan::new("/t.T/Bidi", Shape::BIDI, &[b"a", b"b"]),
    ];
    let first = run(Config::client(), &[], &Cut::WHOLE, &mut ScriptedClient::new(plans.clone()));
    let at_server =
        run(Config::server(), &[Step::Feed(first.output.clone())], &Cut::WHOLE, &mut EchoServer::new());
    let steps = [Step::Feed(at_server.output.clone())];
    let whole = run(Config::client(), &steps, &Cut::WHOLE, &mut ScriptedClient::new(plans.clone()));
    assert!(whole.entries.contains(&Entry::Message { call: 0, payload: b"one".to_vec() }), "{whole:?}");
    assert!(whole.entries.contains(&Entry::Message { call: 1, payload: b"b".to_vec() }), "{whole:?}");
    assert_eq!(whole.entries.iter().filter(|entry| matches!(entry, Entry::Outcome(..))).count(), 2);
    for pace in [Pace::Settled, Pace::Eager] {
        let cut = Cut { split: Split::Every(1), output: vec![1, 3], pace };
        let split = run(Config::client(), &steps, &cut, &mut ScriptedClient::new(plans.clone()));
        assert_eq!(split.summary(), whole.summary());
        assert!(pace == Pace::Eager || split == whole);
    }
}
