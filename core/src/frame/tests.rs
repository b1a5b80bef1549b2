use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Returns a header and its payload from one run of bytes.
fn split(wire: &[u8]) -> (FrameHeader, &[u8]) {
    let (header, payload) = wire.split_first_chunk::<FRAME_HEADER_LEN>().unwrap();
    (FrameHeader::parse(header), payload)
}

fn header(kind: u8, flags: u8, stream: u32, length: usize) -> FrameHeader {
    FrameHeader {
        length: length as u32,
        kind: FrameType::from(kind),
        flags: Flags(flags),
        stream: StreamId::new(stream),
    }
}

/// One row: type, flags, stream, payload, and then the expected result.
type ErrorRow = (u8, u8, u32, &'static [u8], FrameError, Scope, ErrorCode, &'static str, &'static str);

const STREAM: Scope = Scope::Stream;
const CONN: Scope = Scope::Connection;
const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;

fn value(id: SettingId, value: u32, minimum: u32, maximum: u32) -> FrameError {
    FrameError::SettingValue { setting: Setting { id, value }, minimum, maximum }
}

fn zero(kind: FrameType) -> FrameError {
    FrameError::StreamZero { kind }
}

fn not_zero(kind: FrameType) -> FrameError {
    FrameError::StreamNotZero { kind, stream: StreamId::new(7) }
}

fn wrong(kind: FrameType, length: u32, expected: u32) -> FrameError {
    FrameError::WrongLength { kind, length, expected }
}

fn short(kind: FrameType, length: u32, minimum: u32) -> FrameError {
    FrameError::TooShort { kind, length, minimum }
}

fn padding(kind: FrameType, pad_len: u8, room: u32) -> FrameError {
    FrameError::Padding { kind, pad_len, room }
}

fn depends(kind: FrameType) -> FrameError {
    FrameError::SelfDependency { kind, stream: StreamId::new(3) }
}

#[rustfmt::skip]
fn rows() -> Vec<ErrorRow> {
    use FrameType::*;
    let max = "16777215";
    assert_eq!(MAX_MAX_FRAME_SIZE.to_string(), max);
    vec![
        (0, 0, 0, b"x", zero(Data), CONN, PROTOCOL, "RFC 9113 §6.1", "DATA on stream 0, must be on a stream"),
        (1, 0, 0, b"x", zero(Headers), CONN, PROTOCOL, "RFC 9113 §6.2", "HEADERS on stream 0, must be on a stream"),
        (2, 0, 0, &[0; 5], zero(Priority), CONN, PROTOCOL, "RFC 9113 §6.3", "PRIORITY on stream 0, must be on a stream"),
        (3, 0, 0, &[0; 4], zero(RstStream), CONN, PROTOCOL, "RFC 9113 §6.4", "RST_STREAM on stream 0, must be on a stream"),
        (5, 0, 0, &[0, 0, 0, 2], zero(PushPromise), CONN, PROTOCOL, "RFC 9113 §6.6", "PUSH_PROMISE on stream 0, must be on a stream"),
        (9, 0, 0, b"", zero(Continuation), CONN, PROTOCOL, "RFC 9113 §6.10", "CONTINUATION on stream 0, must be on a stream"),
        (4, 0, 7, b"", not_zero(Settings), CONN, PROTOCOL, "RFC 9113 §6.5", "SETTINGS on stream 7, must be on stream 0"),
        (6, 0, 7, &[0; 8], not_zero(Ping), CONN, PROTOCOL, "RFC 9113 §6.7", "PING on stream 7, must be on stream 0"),
        (7, 0, 7, &[0; 8], not_zero(GoAway), CONN, PROTOCOL, "RFC 9113 §6.8", "GOAWAY on stream 7, must be on stream 0"),

        (2, 0, 3, &[0; 4], wrong(Priority, 4, 5), STREAM, SIZE, "RFC 9113 §6.3", "PRIORITY of 4 bytes, must have 5"),
        (2, 0, 3, &[0; 6], wrong(Priority, 6, 5), STREAM, SIZE, "RFC 9113 §6.3", "PRIORITY of 6 bytes, must have 5"),
        (3, 0, 3, &[0; 3], wrong(RstStream, 3, 4), CONN, SIZE, "RFC 9113 §6.4", "RST_STREAM of 3 bytes, must have 4"),
        (3, 0, 3, &[0; 5], wrong(RstStream, 5, 4), CONN, SIZE, "RFC 9113 §6.4", "RST_STREAM of 5 bytes, must have 4"),
        (6, 0, 0, &[0; 7], wrong(Ping, 7, 8), CONN, SIZE, "RFC 9113 §6.7", "PING of 7 bytes, must have 8"),
        (6, 1, 0, &[0; 9], wrong(Ping, 9, 8), CONN, SIZE, "RFC 9113 §6.7", "PING of 9 bytes, must have 8"),
        (8, 0, 0, &[0; 3], wrong(WindowUpdate, 3, 4), CONN, SIZE, "RFC 9113 §6.9", "WINDOW_UPDATE of 3 bytes, must have 4"),
        (8, 0, 3, &[0; 5], wrong(WindowUpdate, 5, 4), CONN, SIZE, "RFC 9113 §6.9", "WINDOW_UPDATE of 5 bytes, must have 4"),

        (0, 0x08, 1, b"", short(Data, 0, 1), CONN, SIZE, "RFC 9113 §6.1", "DATA of 0 bytes, must have 1 or more"),
        (1, 0x08, 1, b"", short(Headers, 0, 1), CONN, SIZE, "RFC 9113 §6.2", "HEADERS of 0 bytes, must have 1 or more"),
        (1, 0x20, 1, &[0; 4], short(Headers, 4, 5), CONN, SIZE, "RFC 9113 §6.2", "HEADERS of 4 bytes, must have 5 or more"),
        (1, 0x28, 1, &[0; 5], short(Headers, 5, 6), CONN, SIZE, "RFC 9113 §6.2", "HEADERS of 5 bytes, must have 6 or more"),
        (5, 0, 1, &[0; 3], short(PushPromise, 3, 4), CONN, SIZE, "RFC 9113 §6.6", "PUSH_PROMISE of 3 bytes, must have 4 or more"),
        (5, 0x08, 1, &[0; 4], short(PushPromise, 4, 5), CONN, SIZE, "RFC 9113 §6.6", "PUSH_PROMISE of 4 bytes, must have 5 or more"),
        (7, 0, 0, &[0; 7], short(GoAway, 7, 8), CONN, SIZE, "RFC 9113 §6.8", "GOAWAY of 7 bytes, must have 8 or more"),

        (0, 0x08, 1, &[1], padding(Data, 1, 0), CONN, PROTOCOL, "RFC 9113 §6.1", "DATA with padding of 1 bytes, with space for 0"),
        (0, 0x08, 1, &[4, 0, 0, 0], padding(Data, 4, 3), CONN, PROTOCOL, "RFC 9113 §6.1", "DATA with padding of 4 bytes, with space for 3"),
        (1, 0x08, 1, &[2, 0], padding(Headers, 2, 1), CONN, PROTOCOL, "RFC 9113 §6.2", "HEADERS with padding of 2 bytes, with space for 1"),
        (1, 0x28, 1, &[2, 0, 0, 0, 3, 0, 0], padding(Headers, 2, 1), CONN, PROTOCOL, "RFC 9113 §6.2", "HEADERS with padding of 2 bytes, with space for 1"),
        (5, 0x08, 1, &[255, 0, 0, 0, 2, 0], padding(PushPromise, 255, 1), CONN, PROTOCOL, "RFC 9113 §6.6", "PUSH_PROMISE with padding of 255 bytes, with space for 1"),

        (2, 0, 3, &[0x80, 0, 0, 3, 9], depends(Priority), STREAM, PROTOCOL, "RFC 7540 §5.3.1", "PRIORITY makes stream 3 depend on itself"),
        (1, 0x20, 3, &[0, 0, 0, 3, 9], depends(Headers), STREAM, PROTOCOL, "RFC 7540 §5.3.1", "HEADERS makes stream 3 depend on itself"),

        (4, 0, 0, &[0; 5], FrameError::SettingsLength { length: 5 }, CONN, SIZE, "RFC 9113 §6.5", "SETTINGS of 5 bytes, must be a multiple of 6"),
        (4, 0, 0, &[0; 7], FrameError::SettingsLength { length: 7 }, CONN, SIZE, "RFC 9113 §6.5", "SETTINGS of 7 bytes, must be a multiple of 6"),
        (4, 1, 0, &[0; 6], FrameError::SettingsAck { length: 6 }, CONN, SIZE, "RFC 9113 §6.5", "SETTINGS with ACK of 6 bytes, must have 0"),
        (4, 0, 0, &[0, 2, 0, 0, 0, 2], value(SettingId::ENABLE_PUSH, 2, 0, 1), CONN, PROTOCOL, "RFC 9113 §6.5.2", "SETTINGS_ENABLE_PUSH of 2, must be 0 to 1"),
        (4, 0, 0, &[0, 1, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 0], value(SettingId::INITIAL_WINDOW_SIZE, 1 << 31, 0, MAX_WINDOW), CONN, ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE of 2147483648, must be 0 to 2147483647"),
        (4, 0, 0, &[0, 5, 0, 0, 0x3f, 0xff], value(SettingId::MAX_FRAME_SIZE, 16_383, 16_384, MAX_MAX_FRAME_SIZE), CONN, PROTOCOL, "RFC 9113 §6.5.2", "SETTINGS_MAX_FRAME_SIZE of 16383, must be 16384 to 16777215"),
        (4, 0, 0, &[0, 5, 1, 0, 0, 0], value(SettingId::MAX_FRAME_SIZE, 1 << 24, 16_384, MAX_MAX_FRAME_SIZE), CONN, PROTOCOL, "RFC 9113 §6.5.2", "SETTINGS_MAX_FRAME_SIZE of 16777216, must be 16384 to 16777215"),

        (5, 0, 1, &[0, 0, 0, 0], FrameError::PromisedStream { promised: StreamId::ZERO }, CONN, PROTOCOL, "RFC 9113 §5.1.1", "PUSH_PROMISE of stream 0, must be even and not 0"),
        (5, 0, 1, &[0x80, 0, 0, 3], FrameError::PromisedStream { promised: StreamId::new(3) }, CONN, PROTOCOL, "RFC 9113 §5.1.1", "PUSH_PROMISE of stream 3, must be even and not 0"),
        (8, 0, 0, &[0x80, 0, 0, 0], FrameError::ZeroIncrement { stream: StreamId::ZERO }, CONN, PROTOCOL, "RFC 9113 §6.9", "WINDOW_UPDATE by 0 on stream 0, must be 1 to 2147483647"),
        (8, 0, 3, &[0, 0, 0, 0], FrameError::ZeroIncrement { stream: StreamId::new(3) }, STREAM, PROTOCOL, "RFC 9113 §6.9", "WINDOW_UPDATE by 0 on stream 3, must be 1 to 2147483647"),
    ]
}

/// Runs `Frame::parse`, and then the one check that it leaves to its caller.
fn parse_fully<'a>(header: &FrameHeader, payload: &'a [u8]) -> Result<Frame<'a>, FrameError> {
    let frame = Frame::parse(header, payload)?;
    if let Frame::Headers(headers) = &frame {
        headers.check_priority()?;
    }
    Ok(frame)
}

#[test]
fn each_error_by_the_bytes_that_provoke_it() {
    for (kind, flags, stream, payload, error, scope, code, section, text) in rows() {
        let header = header(kind, flags, stream, payload.len());
        assert_eq!(parse_fully(&header, payload), Err(error), "{text}");
        assert_eq!(error.scope(), scope, "{text}");
        assert_eq!(error.code(), code, "{text}");
        assert_eq!(error.section(), section, "{text}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn the_table_has_every_error() {
    let too_large = FrameError::TooLarge { kind: FrameType::Data, length: 16_385, limit: 16_384 };
    let mut met = [false; 12];
    for error in rows().iter().map(|row| row.4).chain([too_large]) {
        let index = match error {
            FrameError::TooLarge { .. } => 0,
            FrameError::TooShort { .. } => 1,
            FrameError::WrongLength { .. } => 2,
            FrameError::StreamZero { .. } => 3,
            FrameError::StreamNotZero { .. } => 4,
            FrameError::Padding { .. } => 5,
            FrameError::SelfDependency { .. } => 6,
            FrameError::SettingsLength { .. } => 7,
            FrameError::SettingsAck { .. } => 8,
            FrameError::SettingValue { .. } => 9,
            FrameError::PromisedStream { .. } => 10,
            FrameError::ZeroIncrement { .. } => 11,
        };
        met[index] = true;
    }
    assert_eq!(met, [true; 12]);
    assert_eq!(too_large.to_string(), "DATA of 16385 bytes, over the limit of 16384");
    assert_eq!((too_large.scope(), too_large.code(), too_large.section()), (CONN, SIZE, "RFC 9113 §4.2"));
    let (header, _) = split(b"\x00\x40\x01\0\0\0\0\0\x01");
    assert_eq!(header.check_length(DEFAULT_MAX_FRAME_SIZE), Err(too_large));
    assert_eq!(header.check_length(16_385), Ok(()));
}

#[test]
fn limits_are_inclusive() {
    let accepted: &[(u8, u8, u32, &[u8])] = &[
        (0, 0x08, 1, &[0]),
        (0, 0x08, 1, &[3, 0, 0, 0]),
        (1, 0x28, 1, &[1, 0, 0, 0, 3, 0, 0]),
        (5, 0x08, 1, &[0, 0, 0, 0, 2]),
        (
            4,
            0,
            0,
            &[0, 4, 0x7f, 0xff, 0xff, 0xff, 0, 5, 0, 0, 0x40, 0, 0, 5, 0, 0xff, 0xff, 0xff, 0, 2, 0, 0, 0, 1],
        ),
        (4, 0, 0, &[0xfe, 3, 0xff, 0xff, 0xff, 0xff]),
        (4, 1, 0, b""),
        (8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        (0xfa, 0xff, 0, b"anything"),
        (0xfa, 0, 7, b""),
    ];
    for (kind, flags, stream, payload) in accepted {
        let header = header(*kind, *flags, *stream, payload.len());
        parse_fully(&header, payload).unwrap();
    }
}

#[test]
fn self_dependency_leaves_the_field_block_readable() {
    let payload = [0, 0, 0, 3, 9, 0x82];
    let headers = Headers::parse(&header(1, 0x20, 3, payload.len()), &payload).unwrap();
    assert_eq!(headers.fragment, [0x82]);
    assert!(headers.check_priority().is_err());
}

#[test]
fn nothing_is_written_of_a_frame_that_its_length_cannot_say() {
    let payload = vec![0; MAX_MAX_FRAME_SIZE as usize + 1];
    let stream = StreamId::new(1);
    let too_large = |kind, length| Err(FrameError::TooLarge { kind, length, limit: MAX_MAX_FRAME_SIZE });
    let mut out = Vec::new();
    let data = |data, pad_len| Data { stream, data, pad_len, end_stream: false };
    assert_eq!(data(&payload, None).write(&mut out), too_large(FrameType::Data, 1 << 24));
    assert_eq!(data(&payload[2..], Some(1)).write(&mut out), too_large(FrameType::Data, 1 << 24));
    let continuation = Continuation { stream, fragment: &payload, end_headers: true };
    assert_eq!(continuation.write(&mut out), too_large(FrameType::Continuation, 1 << 24));
    assert!(out.is_empty());

    GoAway { last_stream: stream, code: ErrorCode::NO_ERROR, debug: &payload }.write(&mut out);
    let (header, written) = split(&out);
    assert_eq!((header.length, written.len()), (MAX_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE as usize));
}

#[test]
fn a_setting_out_of_range_is_not_written() {
    let mut out = Vec::new();
    let bad = Setting { id: SettingId::MAX_FRAME_SIZE, value: 1 };
    assert!(write_settings(&[bad], &mut out).is_err());
    assert!(out.is_empty());
    write_settings(&[], &mut out).unwrap();
    assert_eq!(out, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
}

#[test]
fn kinds_and_codes_have_their_names() {
    for byte in 0..=u8::MAX {
        let kind = FrameType::from(byte);
        assert_eq!(u8::from(kind), byte);
        assert_eq!(matches!(kind, FrameType::Unknown(_)), byte > 9);
    }
    assert_eq!(FrameType::from(0x0a).to_string(), "frame of type 0x0a");
    assert_eq!(ErrorCode::HTTP_1_1_REQUIRED, ErrorCode(0xd));
    assert_eq!(
        format!("{:?} {}", ErrorCode::ENHANCE_YOUR_CALM, ErrorCode(0xe)),
        "ENHANCE_YOUR_CALM error code 0xe"
    );
    let settings = [
        (SettingId(0x1), "SETTINGS_HEADER_TABLE_SIZE"),
        (SettingId(0x2), "SETTINGS_ENABLE_PUSH"),
        (SettingId(0x3), "SETTINGS_MAX_CONCURRENT_STREAMS"),
        (SettingId(0x4), "SETTINGS_INITIAL_WINDOW_SIZE"),
        (SettingId(0x5), "SETTINGS_MAX_FRAME_SIZE"),
        (SettingId(0x6), "SETTINGS_MAX_HEADER_LIST_SIZE"),
        (SettingId(0x8), "SETTINGS_ENABLE_CONNECT_PROTOCOL"),
        (SettingId(0x9), "SETTINGS_NO_RFC7540_PRIORITIES"),
        (SettingId(0xfe03), "setting 0xfe03"),
    ];
    for (id, name) in settings {
        assert_eq!(id.to_string(), name);
        assert_eq!(format!("{id:?}"), name);
    }
}

#[test]
fn flags_are_added_once() {
    let both = Flags(0x09);
    assert_eq!(Flags::PADDED | Flags::END_STREAM, both);
    assert_eq!(both | Flags::PADDED, both);
    for (condition, with) in [(true, both), (false, Flags::PADDED)] {
        assert_eq!(Flags::PADDED.with(Flags::END_STREAM, condition), with);
        assert_eq!(both.with(Flags::END_STREAM, condition), both);
    }
}

#[test]
fn settings_come_in_order_and_know_how_many_they_are() {
    let header = header(4, 0, 0, 12);
    let frame = Settings::parse(&header, &[0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]).unwrap();
    let ids: Vec<SettingId> = frame.into_iter().map(|setting| setting.id).collect();
    assert_eq!(ids, [SettingId::HEADER_TABLE_SIZE, SettingId::ENABLE_PUSH]);
    let mut settings = frame.iter();
    for left in [2, 1, 0] {
        assert_eq!((settings.len(), settings.size_hint()), (left, (left, Some(left))));
        settings.next();
    }
}

#[test]
fn stream_ids_by_who_opens_them() {
    for (id, connection, client, server) in [
        (0, true, false, false),
        (1, false, true, false),
        (2, false, false, true),
        (u32::MAX, false, true, false),
    ] {
        let id = StreamId::new(id);
        assert_eq!(
            (id.is_connection(), id.is_client(), id.is_server()),
            (connection, client, server),
            "{id}"
        );
    }
    assert_eq!(StreamId::new(u32::MAX), StreamId::MAX);
    assert_eq!(format!("{:?}", StreamId::new(7)), "StreamId(7)");
}

/// The contents of a frame, with owned payloads.
#[derive(Debug, Clone)]
enum Made {
    Data(u32, Vec<u8>, Option<u8>, bool),
    Headers(u32, Vec<u8>, Option<(u32, bool, u8)>, Option<u8>, bool, bool),
    Priority(u32, (u32, bool, u8)),
    RstStream(u32, u32),
    Settings(Vec<(u16, u32)>),
    SettingsAck,
    PushPromise(u32, u32, Vec<u8>, Option<u8>, bool),
    Ping(bool, [u8; 8]),
    GoAway(u32, u32, Vec<u8>),
    WindowUpdate(u32, u32),
    Continuation(u32, Vec<u8>, bool),
    Unknown(u8, u8, u32, Vec<u8>),
}

fn any_made() -> impl Strategy<Value = Made> {
    let id = || 1..=StreamId::MAX.get();
    let bytes = || vec(any::<u8>(), 0..300);
    let priority = || (0..=StreamId::MAX.get(), any::<bool>(), any::<u8>());
    let pad = any::<Option<u8>>;
    // Values that every setting allows, and any value for the ids that have no range.
    let setting = prop_oneof![
        (1..=9u16, 0..=1u32).prop_filter("has a higher minimum", |(id, _)| *id != 5),
        (Just(5u16), DEFAULT_MAX_FRAME_SIZE..=MAX_MAX_FRAME_SIZE),
        (Just(4u16), 0..=MAX_WINDOW),
        (10..=u16::MAX, any::<u32>()),
    ];
    prop_oneof![
        (id(), bytes(), pad(), any::<bool>()).prop_map(|(a, b, c, d)| Made::Data(a, b, c, d)),
        (id(), bytes(), proptest::option::of(priority()), pad(), any::<bool>(), any::<bool>())
            .prop_map(|(a, b, c, d, e, f)| Made::Headers(a, b, c, d, e, f)),
        (id(), priority())
            .prop_filter("depends on itself", |(id, (on, ..))| id != on)
            .prop_map(|(a, b)| Made::Priority(a, b)),
        (id(), any::<u32>()).prop_map(|(a, b)| Made::RstStream(a, b)),
        vec(setting, 0..12).prop_map(Made::Settings),
        Just(Made::SettingsAck),
        (id(), 1..(1u32 << 30), bytes(), pad(), any::<bool>()).prop_map(|(a, b, c, d, e)| Made::PushPromise(
            a,
            b * 2,
            c,
            d,
            e
        )),
        (any::<bool>(), any::<[u8; 8]>()).prop_map(|(a, b)| Made::Ping(a, b)),
        (0..=StreamId::MAX.get(), any::<u32>(), bytes()).prop_map(|(a, b, c)| Made::GoAway(a, b, c)),
        (0..=StreamId::MAX.get(), 1..=MAX_WINDOW).prop_map(|(a, b)| Made::WindowUpdate(a, b)),
        (id(), bytes(), any::<bool>()).prop_map(|(a, b, c)| Made::Continuation(a, b, c)),
        (10..=u8::MAX, any::<u8>(), 0..=StreamId::MAX.get(), bytes())
            .prop_map(|(a, b, c, d)| Made::Unknown(a, b, c, d)),
    ]
}

fn priority((depends_on, exclusive, weight): (u32, bool, u8)) -> Priority {
    Priority { depends_on: StreamId::new(depends_on), exclusive, weight }
}

/// Returns the frame that `made` describes. `settings` holds the payload of SETTINGS.
fn frame_of<'a>(made: &'a Made, settings: &'a mut Vec<u8>) -> Frame<'a> {
    match made {
        Made::Data(stream, data, pad_len, end_stream) => {
            let (stream, pad_len, end_stream) = (StreamId::new(*stream), *pad_len, *end_stream);
            Frame::Data(Data { stream, data, pad_len, end_stream })
        }
        Made::Headers(stream, fragment, fields, pad_len, end_stream, end_headers) => {
            Frame::Headers(Headers {
                stream: StreamId::new(*stream),
                fragment,
                priority: fields.map(priority),
                pad_len: *pad_len,
                end_stream: *end_stream,
                end_headers: *end_headers,
            })
        }
        Made::Priority(stream, fields) => {
            Frame::Priority(PriorityFrame { stream: StreamId::new(*stream), priority: priority(*fields) })
        }
        Made::RstStream(stream, code) => {
            Frame::RstStream(RstStream { stream: StreamId::new(*stream), code: ErrorCode(*code) })
        }
        Made::Settings(list) => {
            let list: Vec<_> =
                list.iter().map(|(id, value)| Setting { id: SettingId(*id), value: *value }).collect();
            write_settings(&list, settings).unwrap();
            let (header, payload) = split(settings);
            let read = Settings::parse(&header, payload).unwrap();
            assert_eq!(read.iter().collect::<Vec<_>>(), list);
            Frame::Settings(read)
        }
        Made::SettingsAck => Frame::Settings(Settings::ACK),
        Made::PushPromise(stream, promised, fragment, pad_len, end_headers) => {
            Frame::PushPromise(PushPromise {
                stream: StreamId::new(*stream),
                promised: StreamId::new(*promised),
                fragment,
                pad_len: *pad_len,
                end_headers: *end_headers,
            })
        }
        Made::Ping(ack, data) => Frame::Ping(Ping { ack: *ack, data: *data }),
        Made::GoAway(last_stream, code, debug) => {
            Frame::GoAway(GoAway { last_stream: StreamId::new(*last_stream), code: ErrorCode(*code), debug })
        }
        Made::WindowUpdate(stream, increment) => {
            Frame::WindowUpdate(WindowUpdate { stream: StreamId::new(*stream), increment: *increment })
        }
        Made::Continuation(stream, fragment, end_headers) => {
            let (stream, end_headers) = (StreamId::new(*stream), *end_headers);
            Frame::Continuation(Continuation { stream, fragment, end_headers })
        }
        Made::Unknown(kind, flags, stream, payload) => {
            Frame::Unknown { header: header(*kind, *flags, *stream, payload.len()), payload }
        }
    }
}

proptest! {
    #[test]
    fn a_frame_reads_back_as_it_was_written(made in any_made(), before in vec(any::<u8>(), 0..4)) {
        let mut room = Vec::new();
        let frame = frame_of(&made, &mut room);
        let mut wire = before.clone();
        frame.write(&mut wire).unwrap();
        let (kept, wire) = wire.split_at(before.len());
        prop_assert_eq!(kept, before);
        let (header, payload) = split(wire);
        prop_assert_eq!(header.length as usize, payload.len());
        prop_assert_eq!(Frame::parse(&header, payload), Ok(frame));
        if let Frame::Data(data) = frame {
            prop_assert_eq!(data.flow_controlled_len(), header.length);
            prop_assert_eq!(&payload[data_range(&header, payload).unwrap()], data.data);
            let padding = &payload[payload.len() - data.pad_len.map_or(0, usize::from)..];
            prop_assert!(padding.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn reserved_bits_change_nothing(made in any_made()) {
        let mut room = Vec::new();
        let frame = frame_of(&made, &mut room);
        let mut wire = Vec::new();
        frame.write(&mut wire).unwrap();
        prop_assert_eq!(wire[5] & 0x80, 0);
        wire[5] |= 0x80;
        // A reserved bit also precedes the promised stream, the last stream and the increment.
        let reserved = match &made {
            Made::PushPromise(_, _, _, pad_len, _) => Some(FRAME_HEADER_LEN + usize::from(pad_len.is_some())),
            Made::GoAway(..) | Made::WindowUpdate(..) => Some(FRAME_HEADER_LEN),
            _ => None,
        };
        if let Some(at) = reserved {
            prop_assert_eq!(wire[at] & 0x80, 0);
            wire[at] |= 0x80;
        }
        let (header, payload) = split(&wire);
        prop_assert_eq!(Frame::parse(&header, payload), Ok(frame));
    }

    #[test]
    fn flags_without_meaning_change_nothing(made in any_made(), extra in any::<u8>()) {
        let meant = match &made {
            Made::Data(..) => 0x09,
            Made::Headers(..) => 0x2d,
            Made::Settings(..) | Made::SettingsAck | Made::Ping(..) => 0x01,
            Made::PushPromise(..) => 0x0c,
            Made::Continuation(..) => 0x04,
            Made::Unknown(..) => 0xff,
            _ => 0x00,
        };
        let mut room = Vec::new();
        let frame = frame_of(&made, &mut room);
        let mut wire = Vec::new();
        frame.write(&mut wire).unwrap();
        prop_assert_eq!(wire[4] & !meant, 0);
        wire[4] |= extra & !meant;
        let (header, payload) = split(&wire);
        prop_assert_eq!(Frame::parse(&header, payload), Ok(frame));
    }

    #[test]
    fn no_bytes_make_it_panic(kind in 0..12u8, flags in any::<u8>(), stream in 0..4u32, payload in vec(any::<u8>(), 0..40)) {
        let header = header(kind, flags, stream, payload.len());
        let range = data_range(&header, &payload);
        let data = Data::parse(&header, &payload);
        prop_assert_eq!(range.map(|range| &payload[range]), data.map(|data| data.data));
        match parse_fully(&header, &payload) {
            Ok(frame) => {
                // What was read can be written, and is read as the same again.
                let mut wire = Vec::new();
                frame.write(&mut wire).unwrap();
                let (header, again) = split(&wire);
                prop_assert_eq!(again.len(), payload.len());
                prop_assert_eq!(Frame::parse(&header, again), Ok(frame));
            }
            Err(error) => prop_assert!(error.section().starts_with("RFC ") && !error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_nine_bytes_are_a_head(bytes in any::<[u8; FRAME_HEADER_LEN]>()) {
        let mut expected = bytes;
        expected[5] &= 0x7f;
        prop_assert_eq!(FrameHeader::parse(&bytes).encode(), expected);
    }
}
