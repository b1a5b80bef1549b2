//! Each message filled, against the bytes that Python's protobuf 7.36 makes of the same value. Both directions, so
//! that a wrong tag, type or default shows.

use std::fmt::Write as _;

use prost::Message;

use super::*;

fn check<M: Message + Default + PartialEq + std::fmt::Debug>(value: &M, want: &str) {
    let bytes = value.encode_to_vec();
    let hex = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    });
    assert_eq!(hex, want);
    assert_eq!(&M::decode(bytes.as_slice()).expect("its own encoding"), value);
}

fn payload() -> Option<Payload> {
    Some(Payload {
        r#type: PayloadType::Compressable.into(),
        body: bytes::Bytes::from_static(b"\x00\x01\xfe\xff"),
    })
}

fn boolean(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

#[test]
fn empty() {
    check(&Empty {}, "");
}

#[test]
fn bool_value() {
    check(&BoolValue { value: true }, "0801");
}

#[test]
fn payload_of_four_bytes() {
    check(&payload().expect("is Some"), "12040001feff");
}

#[test]
fn echo_status() {
    check(&EchoStatus { code: 2, message: "test \u{263a}".into() }, "080212087465737420e298ba");
}

#[test]
fn simple_request() {
    let value = SimpleRequest {
        response_type: 0,
        response_size: 314_159,
        payload: payload(),
        fill_username: true,
        fill_oauth_scope: true,
        response_compressed: boolean(true),
        response_status: Some(EchoStatus { code: 2, message: "m".into() }),
        expect_compressed: boolean(false),
        fill_server_id: true,
        fill_grpclb_route_type: true,
    };
    check(&value, "10af96131a0612040001feff20012801320208013a05080212016d420048015001");
}

#[test]
fn simple_response() {
    let value = SimpleResponse {
        payload: payload(),
        username: "u".into(),
        oauth_scope: "s".into(),
        server_id: "id".into(),
        grpclb_route_type: GrpclbRouteType::Backend.into(),
        hostname: "h".into(),
    };
    check(&value, "0a0612040001feff1201751a0173220269642802320168");
}

#[test]
fn streaming_input_call_request() {
    let value = StreamingInputCallRequest { payload: payload(), expect_compressed: boolean(true) };
    check(&value, "0a0612040001feff12020801");
}

#[test]
fn streaming_input_call_response() {
    check(&StreamingInputCallResponse { aggregated_payload_size: 74_922 }, "08aac904");
}

#[test]
fn response_parameters() {
    let value = ResponseParameters { size: 31_415, interval_us: -1, compressed: boolean(true) };
    check(&value, "08b7f50110ffffffffffffffffff011a020801");
}

#[test]
fn streaming_output_call_request() {
    let value = StreamingOutputCallRequest {
        response_type: 0,
        response_parameters: vec![
            ResponseParameters { size: 9, ..Default::default() },
            ResponseParameters { size: 0, interval_us: 1000, compressed: boolean(false) },
        ],
        payload: payload(),
        response_status: Some(EchoStatus { code: 16, message: String::new() }),
    };
    check(&value, "12020809120510e8071a001a0612040001feff3a020810");
}

#[test]
fn streaming_output_call_response() {
    check(&StreamingOutputCallResponse { payload: payload() }, "0a0612040001feff");
}

#[test]
fn an_unknown_payload_type_survives_decoding() {
    // proto3 enums are open: the server has to see the number to refuse it.
    let request = SimpleRequest::decode([0x08, 0x07].as_slice()).expect("well-formed");
    assert_eq!(request.response_type, 7);
    assert!(PayloadType::try_from(request.response_type).is_err());
}
