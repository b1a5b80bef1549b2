//! Every limit on memory just below, at and just above its value.

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{CallType, Client, Limits, Metadata, Misuse, Needed, Recv, Request, Server, Status};
use halfclose_security::wire::{
    Block, END_STREAM, data, frames, headers, kind, message, prefixed, settings, update,
};
use halfclose_security::{Met, Side, Target};

#[test]
fn read_buffers_that_messages_keep() {
    for (limit, kept) in [(0, 0), (1, 1), (3, 3), (4, 4), (5, 4)] {
        let mut target = Target::with(|config| config.limits.kept_buffers = limit);
        target.answers = false;
        let id = target.open();
        let call = target.running[0];
        let mut buffers = Vec::new();
        for _ in 0..4 {
            // Memory that shows whether anything still refers to it.
            let whole = bytes::Bytes::from(data(id, 0, &message(&[7; 5_000])));
            let mut input = bytes::BytesMut::from(whole);
            assert_eq!(target.conn.receive(target.now, &mut input), Ok(Needed::More));
            buffers.push(input);
        }
        // A buffer that nothing else refers to returns all of its capacity.
        let free = |buffer: &mut bytes::BytesMut| buffer.try_reclaim(5_000);
        assert_eq!(buffers.iter_mut().filter_map(|buffer| (!free(buffer)).then_some(())).count(), kept);
        // Received messages free memory for as many.
        while let Ok(Recv::Message(message)) = target.conn.recv(call) {
            assert_eq!(message.payload, [7; 5_000].as_slice());
        }
        let mut input = bytes::BytesMut::from(data(id, 0, &message(&[7; 5_000])).as_slice());
        assert_eq!(target.conn.receive(target.now, &mut input), Ok(Needed::More));
        assert_eq!(free(&mut input), limit == 0);
    }
}

/// Creates a server with this memory and calls whose readers wait for messages of 5,000 bytes, of which the prefix
/// has arrived.
fn promised(memory: u64, calls: usize) -> (Target<Server>, Vec<u32>) {
    let length = 5_000;
    let mut target = Target::with(|config| {
        (config.initial_stream_window, config.max_stream_window) = (261, 261);
        config.limits.max_receive_message = length;
        config.limits.memory = memory;
        // Windows of streams that are to come leave nothing to promises here.
        config.limits.max_concurrent_streams = 3;
    });
    target.answers = false;
    let ids: Vec<u32> = (0..calls).map(|_| target.open()).collect();
    for (n, id) in ids.iter().enumerate() {
        assert!(matches!(target.conn.recv(target.running[n]), Ok(Recv::Pending)));
        target.send(&data(*id, 0, &prefixed(0, length, b"")));
    }
    (target, ids)
}

/// Returns how many of these calls got the window that their message needs.
fn granted(target: &Target<Server>, ids: &[u32]) -> usize {
    let given = |id: &&u32| target.credit.get(id).is_some_and(|credit| *credit >= 5_000 - 256);
    ids.iter().filter(given).count()
}

#[test]
fn bytes_of_messages() {
    // Two prefixes are here, and each message lacks 4,744 bytes of window, and 256 more for padding. With those of the
    // second one they are seven eighths: an eighth stays free where another message is on its way.
    assert_eq!((11_147 - 11_147 / 8, 11_146 - 11_146 / 8), (10 + 2 * 4_744 + 256, 10 + 2 * 4_744 + 255));
    for (memory, given) in [(11_146, 1), (11_147, 2)] {
        let (mut target, ids) = promised(memory, 3);
        assert_eq!(granted(&target, &ids), given, "{memory}");
        assert!(target.send(&data(ids[0], 0, &vec![1; 5_000])));
        let call = target.running[0];
        assert!(matches!(target.conn.recv(call), Ok(Recv::Message(_))));
        target.settle();
        assert_eq!(granted(&target, &ids), given + 1, "{memory}: what was taken makes room");
    }
    // What arrives is within it to the last byte.
    for (memory, alive) in [(10_010, true), (10_009, false)] {
        let mut target = Target::with(|config| {
            config.limits.max_receive_message = 5_000;
            config.limits.memory = memory;
        });
        target.answers = false;
        let ids = [target.open(), target.open()];
        for id in ids {
            target.send(&data(id, 0, &message(&[7; 5_000])));
        }
        let status = target.end_of(ids[1]).and_then(|fields| fields.get("grpc-status"));
        assert_eq!(status, (!alive).then_some("8"), "{memory}");
        assert_eq!(target.end_of(ids[0]), None, "the other one lives");
    }
}

#[test]
fn time_that_a_message_waits_for_memory() {
    let limit = Limits::server().memory_timeout;
    let (mut target, ids) = promised(0, 2);
    assert_eq!(granted(&target, &ids), 1);
    // The first one progresses, and so is not the one that ends.
    for _ in 0..limit.as_secs() {
        assert_eq!(target.end_of(ids[1]), None);
        target.send(&data(ids[0], 0, &[1; 100]));
        target.wait(Duration::from_secs(1));
    }
    let end = target.end_of(ids[1]).expect("an end");
    assert_eq!(end.get("grpc-status"), Some("8"));
    assert!(end.get("grpc-message").is_some_and(|text| text.contains("memory")), "{end:?}");
    assert_eq!(target.end_of(ids[0]), None, "the other one lives");
}

#[test]
fn time_that_a_call_may_stall_while_memory_is_short() {
    let limit = Limits::server().stall_timeout;
    let (mut target, ids) = promised(0, 1);
    target.send(&data(ids[0], 0, &[1; 1_000]));
    target.wait(limit * 10);
    assert_eq!(target.end_of(ids[0]), None, "nobody else needs what it holds");
    target.send(&data(ids[0], 0, &[1; 1_000]));
    let second = target.open();
    assert!(matches!(target.conn.recv(target.running[1]), Ok(Recv::Pending)));
    target.send(&data(second, 0, &prefixed(0, 5_000, b"")));
    target.wait(limit - Duration::from_millis(1));
    assert_eq!((target.end_of(ids[0]), granted(&target, &[second])), (None, 0));
    target.wait(limit / 4);
    let end = target.end_of(ids[0]).expect("an end");
    assert_eq!(end.get("grpc-status"), Some("8"));
    assert!(end.get("grpc-message").is_some_and(|text| text.contains("memory")), "{end:?}");
    assert_eq!(granted(&target, &[second]), 1, "what it held is another one's now");
}

#[test]
fn bytes_of_one_sent_message() {
    for (length, sent) in [(999, true), (1000, true), (1001, false)] {
        let mut target = Target::with(|config| config.limits.max_send_message = 1000);
        target.answers = false;
        target.open();
        let call = target.running[0];
        let result = target.conn.send_message(call, vec![0; length].into(), false);
        let refused = Misuse::MessageTooLarge { size: length, limit: 1000 };
        assert_eq!(result.map(drop), if sent { Ok(()) } else { Err(refused) }, "{length}");
        // A refused message changes nothing: another one can be sent.
        assert!(target.conn.send_message(call, vec![0; 1000].into(), false).is_ok());
    }
}

/// Returns the size update at the start of a header block (RFC 7541 §6.3).
fn size_update(block: &[u8]) -> Option<usize> {
    let first = usize::from(*block.first()? & 0x3f);
    match first {
        0x3f => {
            let digits = block[1..].iter().zip((0..).step_by(7));
            let (mut value, mut open) = (31, true);
            digits
                .take_while(|(byte, _)| std::mem::replace(&mut open, *byte & 0x80 != 0))
                .for_each(|(byte, shift)| value += usize::from(byte & 0x7f) << shift);
            Some(value)
        }
        0x20..0x3f => Some(first - 0x20),
        _ => None,
    }
}

#[test]
fn bytes_of_our_own_header_table() {
    // The limit, what the peer allows, and the size that our encoder tells: the smaller of the two, unless it is the
    // 4,096 bytes that both sides begin with (RFC 9113 §6.5.2).
    let cases = [
        (4_095, None, Some(4_095)),
        (4_096, None, None),
        (4_097, None, None),
        (4_096, Some(4_095), Some(4_095)),
        (8_192, Some(8_191), Some(8_191)),
        (8_192, Some(8_192), Some(8_192)),
        (8_192, Some(8_193), Some(8_192)),
        (4_096, Some(u32::MAX), None),
        (0, Some(u32::MAX), Some(0)),
    ];
    for (limit, peer, told) in cases {
        let mut target = Target::with(|config| config.limits.encoder_table = limit);
        (target.answers, target.reads) = (false, false);
        target.read();
        if let Some(size) = peer {
            target.send(&settings(&[(1, size)]));
        }
        target.open();
        target.conn.finish(target.running[0], Status::ok(), Metadata::new()).expect("open");
        let out = target.conn.take_transmit(target.now).expect("an answer");
        let frames = frames(&out.segments().concat());
        let answer = frames.iter().find(|frame| frame.kind == kind::HEADERS).expect("an answer");
        assert_eq!(size_update(&answer.payload), told, "{limit} {peer:?}");
    }
}

#[test]
fn bytes_of_the_peers_header_table() {
    for (limit, size, alive) in [
        (4_096, 4_095, true),
        (4_096, 4_096, true),
        (4_096, 4_097, false),
        (1_000, 1_000, true),
        (1_000, 1_001, false),
        (8_192, 8_192, true),
        (8_192, 8_193, false),
        (0, 0, true),
        (0, 1, false),
    ] {
        let mut target = Target::with(|config| config.limits.decoder_table = limit);
        let id = target.id();
        let block = Block::new().resize(size).raw(&Block::request().0);
        target.send(&headers(id, END_STREAM, &block.0));
        let expected = if alive { None } else { Some(ErrorCode::COMPRESSION_ERROR) };
        let met = match target.met() {
            Met::Closed(code, _) => Some(code),
            _ => None,
        };
        assert_eq!(met, expected, "{size} of {limit}");
    }
}

#[test]
fn bytes_of_one_message() {
    for (length, status) in [(999, "0"), (1000, "0"), (1001, "8")] {
        let mut target = Target::with(|config| config.limits.max_receive_message = 1000);
        let id = target.open();
        target.send(&data(id, END_STREAM, &message(&vec![1; length])));
        let met = target.end_of(id).and_then(|fields| fields.get("grpc-status"));
        assert_eq!(met, Some(status), "{length}");
    }
}

#[test]
fn bytes_of_one_message_after_decompression() {
    use std::io::Write;
    for (length, status) in [(999, "0"), (1000, "0"), (1001, "8")] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; length]).unwrap();
        let packed = encoder.finish().unwrap();
        let mut target = Target::with(|config| config.limits.max_receive_message = 1000);
        let id = target.id();
        target.send(&headers(id, 0, &Block::request().field(b"grpc-encoding", b"gzip").0));
        target.send(&data(id, END_STREAM, &prefixed(1, u32::try_from(packed.len()).unwrap(), &packed)));
        let met = target.end_of(id).and_then(|fields| fields.get("grpc-status"));
        assert_eq!(met, Some(status), "{length}");
    }
}

#[test]
fn send_buffers() {
    let mut target = Target::with(|config| config.limits.send_buffer = 1_000);
    (target.answers, target.reads) = (false, false);
    for _ in 0..19 {
        target.open();
    }
    let calls = target.running.clone();
    let send = |target: &mut Target<Server>, call: usize, bytes: usize| {
        target.conn.send_message(calls[call], vec![0; bytes].into(), false)
    };
    // A message counts its prefix and 48 bytes more.
    assert!(matches!(send(&mut target, 0, 999 - 53), Ok(halfclose::Sent::Ready)));
    assert!(matches!(send(&mut target, 0, 0), Ok(halfclose::Sent::Full)));
    let refused = Misuse::NotWritable { queued: 999 + 53, limit: 1_000 };
    assert_eq!(send(&mut target, 0, 0).unwrap_err(), refused);
    // Sixteen of these are what the transport is given to do; beyond it calls queue one message at a time.
    for call in 1..16 {
        assert!(matches!(send(&mut target, call, 935), Ok(halfclose::Sent::Ready)));
    }
    let queued = 1_052 + 15 * 988;
    assert!(matches!(send(&mut target, 16, 16_000 - queued - 53 - 1), Ok(halfclose::Sent::Ready)));
    assert!(matches!(send(&mut target, 17, 0), Ok(halfclose::Sent::Full)));
    let refused = Misuse::NotWritable { queued: 16_052, limit: 16_000 };
    assert_eq!(send(&mut target, 16, 0).unwrap_err(), refused);
    assert!(matches!(send(&mut target, 18, 1 << 20), Ok(halfclose::Sent::Full)));
}

#[test]
fn calls_that_wait_for_a_stream() {
    let mut config = Client::config();
    config.limits.queued_calls = 5;
    let mut target = Client::target(config);
    target.send(&settings(&[(3, 0)]));
    let start = |target: &mut Target<Client>| {
        target.conn.start(target.now, Request::new("/sec.Test/Call", CallType::UNARY)).map(drop)
    };
    (0..5).for_each(|_| assert_eq!(start(&mut target), Ok(())));
    assert_eq!(start(&mut target), Err(Misuse::TooManyQueuedCalls { queued: 5, limit: 5 }));
}

#[test]
fn a_strict_server_serves_messages_up_to_its_limit() {
    let limit = 128 * 1024;
    for (length, status) in [(1, "0"), (4_096, "0"), (limit - 1, "0"), (limit, "0"), (limit + 1, "8")] {
        let mut target = Target::with(|config| *config = config.clone().strict());
        target.send(&settings(&[(4, 1 << 20)]));
        target.send(&update(0, 1 << 20));
        let id = target.open();
        // The prefix alone fits into the window of 4 KiB; what it promises is granted to a reader that waits.
        target.send(&data(id, 0, &prefixed(0, length, b"")));
        let payload = vec![7; length as usize];
        if status == "0" {
            let granted = 4_096 + target.credit.get(&id).copied().unwrap_or(0);
            assert!(granted >= u64::from(length) + 5, "{granted} bytes for {length}");
            payload.chunks(16_000).for_each(|piece| assert!(target.send(&data(id, 0, piece))));
        }
        target.send(&data(id, END_STREAM, b""));
        let met = target.end_of(id).and_then(|fields| fields.get("grpc-status"));
        assert_eq!(met, Some(status), "{length}");
        let echoed = target.data.get(&id).map_or(0, |(_, bytes)| bytes.len());
        assert_eq!(echoed, if status == "0" { payload.len() + 5 } else { 0 });
    }
}
