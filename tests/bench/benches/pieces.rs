//! The hot pieces by themselves, measured by wall-clock time: for inspection, not as a gate.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use halfclose::CallType;
use halfclose::frame::{Data, FRAME_HEADER_LEN, Flags, Frame, FrameHeader, FrameType, Headers, StreamId};
use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use halfclose::internals::{Arena, MessageBuffer, PREFIX_LEN, Payload};
use halfclose::internals::{RequestHeadersBuilder, ResponseHeadersBuilder};
use halfclose_bench::blocks::{List, grpc};
use halfclose_bench::memory::{OPEN, Pair};

const LIMITS: BlockLimits = BlockLimits { max_string: 65_536, max_list_size: 1 << 20 };

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    let stream = StreamId::new(1);
    let headers = Headers {
        stream,
        fragment: &[0x82; 7],
        priority: None,
        pad_len: None,
        end_stream: false,
        end_headers: true,
    };
    let data = Data { stream, data: &[0; 27], pad_len: None, end_stream: true };
    let mut call = Vec::new();
    group.bench_function("encode HEADERS and DATA of a call", |bencher| {
        bencher.iter(|| {
            call.clear();
            headers.write(&mut call).unwrap();
            data.write(&mut call).unwrap();
            black_box(call.len())
        });
    });
    group.bench_function("decode HEADERS and DATA of a call", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(call.as_slice());
            let mut met = 0;
            while let Some((head, payload)) = rest.split_first_chunk::<FRAME_HEADER_LEN>() {
                let head = FrameHeader::parse(head);
                let (payload, after) = payload.split_at(head.length as usize);
                met += usize::from(Frame::parse(&head, payload).is_ok());
                rest = after;
            }
            assert_eq!(met, 2);
        });
    });
    group.bench_function("encode a head", |bencher| {
        let head = FrameHeader { length: 27, kind: FrameType::Data, flags: Flags::END_STREAM, stream };
        bencher.iter(|| black_box(&head).encode());
    });
    group.finish();
}

/// Returns a block of strings that Huffman coding makes shorter, none of them indexed.
fn huffman_block() -> (Vec<u8>, usize) {
    let list = [
        ("x-request-id", "5f0c1a2e-7b64-4a53-9a0e-2f1c6d8b7e90"),
        ("user-agent", "grpc-rust/1.0.0 (linux; x86_64) halfclose"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let mut block = Vec::new();
    let mut encoder = Encoder::new(0);
    encoder.begin(&mut block);
    for (name, value) in list {
        encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut block);
    }
    (block, list.len())
}

fn decode(decoder: &mut Decoder, block: &[u8], fields: usize) {
    let decoded = decoder.decode(black_box(block), &LIMITS, |field| {
        black_box((field.name, field.value));
    });
    assert_eq!(decoded.map(|stats| stats.fields), Ok(fields));
}

fn header_blocks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header blocks");
    for corpus in grpc() {
        let [first, second, ..] = corpus.stories[0].as_slice() else { panic!("a story of many blocks") };
        let mut decoder = Decoder::new(4096);
        decode(&mut decoder, &first.wire, first.list.len());
        group.bench_function(format!("decode {}", corpus.name), |bencher| {
            bencher.iter(|| decode(&mut decoder, &second.wire, second.list.len()));
        });
        let (mut encoder, mut wire) = (Encoder::new(4096), Vec::new());
        group.bench_function(format!("encode {}", corpus.name), |bencher| {
            bencher.iter(|| encode(&mut encoder, &second.list, &mut wire));
        });
    }
    let (block, fields) = huffman_block();
    let mut decoder = Decoder::new(4096);
    group.throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("decode Huffman literals", |bencher| {
        bencher.iter(|| decode(&mut decoder, &block, fields));
    });
    group.finish();
}

fn encode(encoder: &mut Encoder, list: &List, wire: &mut Vec<u8>) {
    wire.clear();
    encoder.begin(wire);
    for (name, value) in black_box(list) {
        encoder.field(name, value, Indexing::Incremental, wire);
    }
}

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("heads");
    let request = &grpc()[0].stories[0][0].list;
    let mut builder = RequestHeadersBuilder::new(8192);
    group.bench_function("parse a request", |bencher| {
        bencher.iter(|| {
            request.iter().for_each(|(name, value)| builder.field(name, value));
            builder.finish(false).unwrap()
        });
    });
    let mut builder = ResponseHeadersBuilder::new(8192);
    group.bench_function("parse a response", |bencher| {
        bencher.iter(|| {
            builder.field(b":status", b"200");
            builder.field(b"content-type", b"application/grpc");
            builder.finish(false).unwrap()
        });
    });
    group.finish();
}

/// Returns one message with its prefix.
fn framed(bytes: usize) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(bytes).unwrap().to_be_bytes());
    message.resize(PREFIX_LEN + bytes, 7);
    message
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("messages");
    let (mut arena, mut buffer) = (Arena::new(), MessageBuffer::new());
    let mut take = |payload: Payload<'_>, whole: bool| {
        buffer.push(payload, 4 << 20, &mut arena).unwrap();
        let taken = buffer.pop().inspect(|message| {
            black_box(&message.payload);
        });
        assert_eq!(taken.is_some(), whole);
    };
    let small = framed(22);
    group.bench_function("one small message", |bencher| {
        bencher.iter(|| take(Payload::Borrowed(black_box(&small)), true));
    });
    let large = Bytes::from(framed(64 * 1024));
    let pieces: Vec<Bytes> =
        (0..large.len()).step_by(16_384).map(|at| large.slice(at..large.len().min(at + 16_384))).collect();
    group.throughput(Throughput::Bytes(large.len() as u64));
    group.bench_function("64 KiB in frames of 16 KiB", |bencher| {
        bencher.iter(|| {
            for (nth, piece) in pieces.iter().enumerate() {
                take(Payload::Owned(piece.clone()), nth + 1 == pieces.len());
            }
        });
    });
    let many = BytesMut::from(small.repeat(100).as_slice()).freeze();
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 small messages in one frame", |bencher| {
        bencher.iter(|| {
            let (mut arena, mut buffer) = (Arena::new(), MessageBuffer::new());
            buffer.push(Payload::Owned(many.clone()), 4 << 20, &mut arena).unwrap();
            let taken = std::iter::from_fn(|| buffer.pop()).inspect(|message| {
                black_box(&message.payload);
            });
            assert_eq!(taken.count(), 100);
        });
    });
    group.finish();
}

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("in memory, both sides");
    group.throughput(Throughput::Elements(OPEN as u64));
    for (name, shape) in [
        ("unary", CallType::UNARY),
        ("client streaming", CallType::CLIENT_STREAMING),
        ("server streaming", CallType::SERVER_STREAMING),
        ("bidi", CallType::BIDI),
    ] {
        let mut pair = Pair::new(shape);
        group.bench_function(name, |bencher| bencher.iter(|| pair.run(1)));
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for group in [frames, header_blocks, heads, messages, calls] {
        group(&mut criterion);
    }
    criterion.final_summary();
}
