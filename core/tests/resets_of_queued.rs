//! What waits for the transport is dropped with its call: nothing follows a reset, and nothing of a call goes out whose
//! HEADERS did not.

mod common;

use common::Scripted;
use halfclose::frame::ErrorCode;
use halfclose::{Client, Config, Metadata, Server, Status};
use halfclose_wire::{kind, reset};

#[test]
fn nothing_follows_a_reset() {
    // Response headers, a message and a status wait when the client resets the call, or the server cancels it.
    for by_client in [true, false] {
        let mut peer = Scripted::<Server>::server(Config::server(), &[]);
        let call = peer.open(1);
        peer.core.send_headers(call, Metadata::new()).unwrap();
        peer.core.send_message(call, vec![7; 10_000].into(), false).unwrap();
        peer.core.finish(call, Status::ok(), Metadata::new()).unwrap();
        if by_client {
            peer.feed(&reset(1, ErrorCode::CANCEL)).unwrap();
        } else {
            peer.core.cancel(call).unwrap();
        }
        let sent = peer.sent();
        assert!(sent.iter().all(|frame| frame.kind == kind::RST_STREAM), "{sent:?}");
        assert_eq!(sent.len(), usize::from(!by_client));
    }
    // The same where a part had gone: nothing more does.
    let mut peer = Scripted::<Server>::server(Config::server(), &[(4, 100)]);
    let call = peer.open(1);
    peer.core.send_message(call, vec![7; 10_000].into(), false).unwrap();
    assert_eq!(peer.sent().len(), 2, "headers, and as much as the window allows");
    peer.feed(&[reset(1, ErrorCode::CANCEL), halfclose_wire::settings(&[(4, 65_535)])].concat()).unwrap();
    assert!(peer.sent().iter().all(|frame| frame.stream == 0));
}

#[test]
fn nothing_goes_out_for_a_call_whose_headers_did_not() {
    let mut peer = Scripted::<Client>::client(Config::client(), &[(3, 0)]);
    let call = peer.start();
    peer.core.send_message(call, vec![7; 10_000].into(), false).unwrap();
    peer.core.half_close(call).unwrap();
    assert_eq!(peer.sent(), []);
    peer.core.cancel(call).unwrap();
    peer.feed(&halfclose_wire::settings(&[(3, 100)])).unwrap();
    assert!(peer.sent().iter().all(|frame| frame.stream == 0));
}
