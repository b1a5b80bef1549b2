//! The header compression of the h2 crate: `h2-hpack decode|encode FILE`, nanoseconds for each field. Built by
//! build.sh; the file is one that `hpack-bench --dump` writes.
use std::hint::black_box;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::hpack::{BytesStr, Decoder, Encoder, Header};
use http::header::HeaderName;

type Fields = Vec<Header<Option<HeaderName>>>;

struct Block {
    wire: BytesMut,
    fields: usize,
    list: Fields,
}

struct Story {
    warm: usize,
    blocks: Vec<Block>,
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn number(&mut self) -> usize {
        u32::from_le_bytes(self.bytes(4).try_into().expect("four bytes")) as usize
    }

    fn field(&mut self) -> Option<Header<Option<HeaderName>>> {
        let (name, value) = (self.number(), self.number());
        let (name, value) = (self.bytes(name), self.bytes(value));
        let text = || BytesStr::try_from(Bytes::copy_from_slice(value)).ok();
        Some(match name {
            b":authority" => Header::Authority(text()?),
            b":path" => Header::Path(text()?),
            b":scheme" => Header::Scheme(text()?),
            b":method" => Header::Method(value.try_into().ok()?),
            b":status" => Header::Status(value.try_into().ok()?),
            _ => Header::Field { name: Some(name.try_into().ok()?), value: value.try_into().ok()? },
        })
    }

    fn block(&mut self) -> Block {
        let (fields, wire) = (self.number(), self.number());
        let wire = BytesMut::from(self.bytes(wire));
        // The encoder's input leaves out fields for which h2 has no values.
        let list = (0..fields).filter_map(|_| self.field()).collect();
        Block { wire, fields, list }
    }

    fn story(&mut self) -> Story {
        let (blocks, warm) = (self.number(), self.number());
        Story { warm, blocks: (0..blocks).map(|_| self.block()).collect() }
    }
}

fn decode(story: &Story) -> usize {
    let mut decoder = Decoder::new(4096);
    let mut wire = BytesMut::new();
    let mut counted = 0;
    for (nth, block) in story.blocks.iter().enumerate() {
        let mut met = 0;
        wire.clear();
        wire.extend_from_slice(&block.wire);
        let decoded = decoder.decode(&mut Cursor::new(&mut wire), |header| {
            black_box(&header);
            met += 1;
            ControlFlow::Continue(())
        });
        decoded.expect("a block that h2 takes");
        assert_eq!(met, block.fields);
        counted += if nth < story.warm { 0 } else { met };
    }
    counted
}

/// Encodes the lists. h2 takes its input by value, so the copies of the lists are part of the measurement.
fn encode(story: &Story) -> usize {
    let mut encoder = Encoder::new(4096, 4096);
    let mut wire = BytesMut::new();
    let mut counted = 0;
    for (nth, block) in story.blocks.iter().enumerate() {
        wire.clear();
        encoder.encode(block.list.iter().cloned(), &mut wire);
        black_box(&wire);
        counted += if nth < story.warm { 0 } else { block.list.len() };
    }
    counted
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, work, file] = arguments.as_slice() else { panic!("usage: h2-hpack decode|encode FILE") };
    let work = if work == "encode" { encode } else { decode };
    let bytes = std::fs::read(file).expect("the file");
    let mut input = Input(&bytes);
    let mut stories = Vec::new();
    while !input.0.is_empty() {
        stories.push(input.story());
    }
    let start = Instant::now();
    let mut fields = 0;
    while fields < 400_000 {
        fields += stories.iter().map(work).sum::<usize>();
    }
    println!("ns_per_field={:.3}", start.elapsed().as_nanos() as f64 / fields as f64);
}
