//! The http2jp/http2-frame-test-case corpus: every normal case is read as described and written again unchanged;
//! every error case ends with a code that the case allows.

use halfclose::frame::{
    DEFAULT_MAX_FRAME_SIZE, ErrorCode, FRAME_HEADER_LEN, Frame, FrameError, FrameHeader, Priority, Settings,
};
use halfclose_wire::{bytes_of, corpus, json_files};
use serde_json::{Value, json};

fn text(bytes: &[u8]) -> Value {
    Value::from(std::str::from_utf8(bytes).unwrap())
}

/// Returns the pad length as the corpus counts it, with the padding itself, which a frame does not keep.
fn padding(pad_len: Option<u8>, payload: &[u8]) -> [Value; 2] {
    match pad_len {
        Some(length) => [json!(length), text(&payload[payload.len() - usize::from(length)..])],
        None => [Value::Null, Value::Null],
    }
}

/// Dependency, exclusive flag and weight (1 to 256) as the corpus has them.
fn priority(priority: Option<Priority>) -> [Value; 3] {
    match priority {
        Some(fields) => {
            [json!(fields.depends_on.get()), json!(fields.exclusive), json!(u32::from(fields.weight) + 1)]
        }
        None => [Value::Null, Value::Null, Value::Null],
    }
}

fn settings(settings: Settings<'_>) -> Value {
    settings.iter().map(|setting| json!([setting.id.0, setting.value])).collect()
}

/// Returns `frame_payload` as the corpus describes this frame.
fn described(frame: &Frame<'_>, payload: &[u8]) -> Value {
    match frame {
        Frame::Data(data) => {
            let [padding_length, padding] = padding(data.pad_len, payload);
            json!({ "data": text(data.data), "padding_length": padding_length, "padding": padding })
        }
        Frame::Headers(headers) => {
            let [padding_length, padding] = padding(headers.pad_len, payload);
            let [stream_dependency, exclusive, weight] = priority(headers.priority);
            json!({
                "stream_dependency": stream_dependency, "exclusive": exclusive, "weight": weight,
                "header_block_fragment": text(headers.fragment),
                "padding_length": padding_length, "padding": padding,
            })
        }
        Frame::Priority(frame) => {
            let [stream_dependency, exclusive, weight] = priority(Some(frame.priority));
            json!({
                "stream_dependency": stream_dependency, "exclusive": exclusive, "weight": weight,
                "padding_length": null, "padding": null,
            })
        }
        Frame::RstStream(frame) => json!({ "error_code": frame.code.0 }),
        Frame::Settings(frame) => json!({ "settings": settings(*frame) }),
        Frame::PushPromise(promise) => {
            let [padding_length, padding] = padding(promise.pad_len, payload);
            json!({
                "promised_stream_id": promise.promised.get(), "header_block_fragment": text(promise.fragment),
                "padding_length": padding_length, "padding": padding,
            })
        }
        Frame::Ping(ping) => json!({ "opaque_data": text(&ping.data) }),
        Frame::GoAway(frame) => json!({
            "last_stream_id": frame.last_stream.get(), "error_code": frame.code.0,
            "additional_debug_data": text(frame.debug),
        }),
        Frame::WindowUpdate(frame) => json!({ "window_size_increment": frame.increment }),
        Frame::Continuation(frame) => json!({ "header_block_fragment": text(frame.fragment) }),
        Frame::Unknown { .. } => Value::Null,
    }
}

fn read(wire: &[u8]) -> Result<(FrameHeader, Frame<'_>), FrameError> {
    let (header, payload) = wire.split_first_chunk::<FRAME_HEADER_LEN>().unwrap();
    let header = FrameHeader::parse(header);
    header.check_length(DEFAULT_MAX_FRAME_SIZE)?;
    assert_eq!(header.length as usize, payload.len());
    Ok((header, Frame::parse(&header, payload)?))
}

fn check_normal(path: &str, wire: &[u8], expected: &Value) {
    let (header, frame) = read(wire).unwrap_or_else(|error| panic!("{path}: {error}"));
    let payload = &wire[FRAME_HEADER_LEN..];
    let met = json!({
        "length": header.length, "type": u8::from(header.kind), "flags": header.flags.0,
        "stream_identifier": header.stream.get(), "frame_payload": described(&frame, payload),
    });
    assert_eq!(&met, expected, "{path}");

    // The corpus pads with text, a sender with zeros (RFC 9113 §6.1).
    let mut zeroed = wire.to_vec();
    if let Some(length) = expected["frame_payload"]["padding_length"].as_u64() {
        let start = zeroed.len() - usize::try_from(length).unwrap();
        zeroed[start..].fill(0);
    }
    let mut written = Vec::new();
    frame.write(&mut written).unwrap();
    assert_eq!(written, zeroed, "{path}");
}

fn check_error(path: &str, wire: &[u8], allowed: &[Value]) {
    let error = read(wire).expect_err(path);
    let ErrorCode(code) = error.code();
    assert!(allowed.contains(&json!(code)), "{path}: {error} has {code}, allowed are {allowed:?}");
}

#[test]
fn every_case_of_the_corpus() {
    let Some(corpus) = corpus("http2-frame-test-case") else { return };
    let (mut kinds, mut errors) = ([false; 10], 0);
    for (path, case) in json_files(&corpus) {
        let wire = bytes_of(case["wire"].as_str().unwrap());
        if let Some(allowed) = case["error"].as_array() {
            check_error(&path, &wire, allowed);
            errors += 1;
        } else {
            check_normal(&path, &wire, &case["frame"]);
            kinds[usize::from(wire[3])] = true;
        }
    }
    assert_eq!(kinds, [true; 10], "a normal case of each kind");
    assert!(errors >= 22, "{errors} error cases");
}
