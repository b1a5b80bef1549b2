//! Messages that are sent in several pieces.

use bytes::{Buf, Bytes};
use halfclose::{
    CallType, Client, Config, Connection, MessagePayload, Metadata, Recv, Request, Seed, Status, Time,
};
use proptest::prelude::*;

mod common;
use common::Pair;

/// Returns what the server receives when `payload` is a unary call's request.
fn received(payload: MessagePayload) -> Bytes {
    let mut pair = Pair::new();
    let request = Request::new("/demo.Echo/Say", CallType::UNARY);
    let call = pair.client.start(pair.now, request).expect("a call");
    let mut payload = payload;
    pair.client.send_message_from(call, &mut payload, false).expect("an empty queue");
    assert!(payload.is_empty(), "the connection has taken it");
    pair.client.half_close(call).expect("an open call");
    take(&mut pair)
}

fn take(pair: &mut Pair) -> Bytes {
    let mut message = None;
    for _ in 0..64 {
        pair.exchange();
        while let Some(event) = pair.server.poll_event() {
            if let halfclose::Event::Request(call) = event {
                pair.server.accept(call, CallType::UNARY).expect("a new call");
                message = Some(call);
            }
        }
        if let Some(call) = message
            && let Ok(Recv::Message(message)) = pair.server.recv(call)
        {
            let _ = pair.server.finish(call, Status::ok(), Metadata::new());
            return message.payload;
        }
    }
    panic!("no message came");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_arrive_as_one_message(sizes in proptest::collection::vec(0..40_000usize, 0..8)) {
        let pieces: Vec<Bytes> =
            sizes.iter().enumerate().map(|(n, size)| Bytes::from(vec![n as u8; *size])).collect();
        let mut payload = MessagePayload::default();
        for piece in &pieces {
            payload.push(piece.clone());
        }
        prop_assert_eq!(payload.len(), sizes.iter().sum::<usize>());
        prop_assert_eq!(received(payload), pieces.concat());
    }
}

#[test]
fn a_large_piece_goes_out_by_reference() {
    let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
    drop(client.take_transmit(Time::ZERO));
    // With the prefix and the first piece it fills one frame.
    let field = Bytes::from(vec![7; 16 * 1024 - 9]);
    let mut payload = MessagePayload::from(Bytes::from_static(b"\x0a\x80\x80\x01"));
    payload.push(field.clone());
    let call = client.start(Time::ZERO, Request::new("/demo.Echo/Say", CallType::UNARY)).expect("a call");
    client.send_message_from(call, &mut payload, false).expect("an empty queue");
    let transmit = client.take_transmit(Time::ZERO).expect("a request");
    let by_reference: usize = transmit
        .segments()
        .iter()
        .filter(|segment| field.as_ptr_range().contains(&segment.as_ptr()))
        .map(|segment| segment.remaining())
        .sum();
    assert_eq!(by_reference, field.len(), "every byte of the field is the caller's own");
}

#[test]
fn an_empty_payload_is_an_empty_message() {
    assert_eq!(received(MessagePayload::default()), "");
    let mut empty = MessagePayload::default();
    empty.push(Bytes::new());
    assert!(empty.is_empty() && empty.pieces().count() == 1);
}
