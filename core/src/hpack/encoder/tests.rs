#![allow(clippy::type_complexity, reason = "tables of cases")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::hpack::{BlockLimits, Decoder};

const WIDE: BlockLimits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 20 };

fn encode(encoder: &mut Encoder, list: &[(&[u8], &[u8], Indexing)]) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for &(name, value, indexing) in list {
        encoder.field(name, value, indexing, &mut block);
    }
    block
}

fn updates(encoder: &mut Encoder) -> Vec<u8> {
    encode(encoder, &[])
}

#[test]
fn size_updates() {
    const TO_0: &[u8] = &[0x20];
    const TO_100: &[u8] = &[0x3f, 0x45];
    const TO_100_THEN_4096: &[u8] = &[0x3f, 0x45, 0x3f, 0xe1, 0x1f];
    const TO_100_THEN_200: &[u8] = &[0x3f, 0x45, 0x3f, 0xa9, 0x01];
    const TO_8192: &[u8] = &[0x3f, 0xe1, 0x3f];
    let cases: &[(usize, &[u32], &[u8])] = &[
        (4096, &[], &[]),
        (4096, &[4096], &[]),
        (4096, &[u32::MAX], &[]),
        (4096, &[u32::MAX, 4096], &[]),
        (4096, &[100], TO_100),
        (4096, &[0], TO_0),
        (4096, &[100, 4096], TO_100_THEN_4096),
        (4096, &[300, 100, 200], TO_100_THEN_200),
        (4096, &[300, 200, 100], TO_100),
        (4096, &[100, u32::MAX], TO_100_THEN_4096),
        // Our own limit is announced once, and a peer that allows more changes nothing.
        (100, &[], TO_100),
        (100, &[u32::MAX], TO_100),
        (0, &[], TO_0),
        // More than the default only once the peer allows it.
        (8192, &[], &[]),
        (8192, &[8192], TO_8192),
        (8192, &[65_536], TO_8192),
    ];
    for (cap, sizes, wire) in cases {
        let mut encoder = Encoder::new(*cap);
        for &size in *sizes {
            let before = encoder.generation();
            let due = encoder.pending.is_some();
            encoder.set_peer_max_table_size(size);
            let changes = due || encoder.pending.is_some();
            assert_eq!(encoder.generation() != before, changes, "{cap} {sizes:?}");
        }
        let before = encoder.generation();
        assert_eq!(updates(&mut encoder), *wire, "{cap} {sizes:?}");
        assert_eq!(encoder.generation() != before, !wire.is_empty());
        assert!(updates(&mut encoder).is_empty(), "said but once");
    }
}

#[test]
fn the_table_obeys_the_smaller_bound() {
    let mut encoder = Encoder::new(4096);
    let mut decoder = Decoder::new(4096);
    for size in [4096, 100, 200, 0, 65_536, 33] {
        encoder.set_peer_max_table_size(size);
        decoder.set_max_table_size(size.min(4096) as usize);
        for turn in 0..200_u32 {
            let value = turn.to_string();
            let block = encode(&mut encoder, &[(b"n", value.as_bytes(), Indexing::Incremental)]);
            decoder.decode(&block, &WIDE, |field| assert_eq!(field.value, value.as_bytes())).unwrap();
            assert!(encoder.table_size() <= size.min(4096) as usize);
            assert_eq!(encoder.table_size(), decoder.table_size());
        }
    }
}

#[test]
fn what_is_indexed() {
    let mut encoder = Encoder::new(4096);
    let mut entries = 0;
    let cases: &[(&[u8], &[u8], Indexing, u8, bool)] = &[
        // In the static table, then with its name there.
        (b":method", b"POST", Indexing::Incremental, 0x83, false),
        (b":method", b"POST", Indexing::Without, 0x83, false),
        (b":method", b"POST", Indexing::Never, 0x13, false),
        (b":status", b"201", Indexing::Incremental, 0x48, true),
        (b":status", b"201", Indexing::Without, 0xbe, false),
        (b":status", b"202", Indexing::Without, 0x08, false),
        (b":status", b"201", Indexing::Never, 0x18, false),
        // In neither table, then in the dynamic one.
        (b"grpc-timeout", b"1S", Indexing::Without, 0x00, false),
        (b"grpc-timeout", b"1S", Indexing::Never, 0x10, false),
        (b"grpc-timeout", b"1S", Indexing::Incremental, 0x40, true),
        (b"grpc-timeout", b"1S", Indexing::Incremental, 0xbe, false),
        (b":status", b"201", Indexing::Incremental, 0xbf, false),
        (b"grpc-timeout", b"2S", Indexing::Without, 0x0f, false),
        (b"grpc-timeout", b"1S", Indexing::Never, 0x1f, false),
        (b"grpc-timeout", b"2S", Indexing::Incremental, 0x7e, true),
        (b"", b"", Indexing::Incremental, 0x40, true),
        (b"", b"", Indexing::Incremental, 0xbe, false),
    ];
    for &(name, value, indexing, first, inserts) in cases {
        let before = encoder.generation();
        let block = encode(&mut encoder, &[(name, value, indexing)]);
        assert_eq!(block[0], first, "{} {indexing:?}", name.escape_ascii());
        entries += u32::from(inserts);
        assert_eq!(encoder.table.len(), entries);
        assert_eq!(encoder.generation() != before, inserts);
    }
}

#[test]
fn large_fields_leave_the_table_alone() {
    // Three quarters of 4096 are 3072.
    for (len, kept) in [(3038, true), (3039, true), (3040, false), (4063, false), (10_000, false)] {
        let mut encoder = Encoder::new(4096);
        encode(&mut encoder, &[(b"a", b"b", Indexing::Incremental)]);
        let block = encode(&mut encoder, &[(b"n", &vec![b'v'; len], Indexing::Incremental)]);
        assert_eq!(encoder.table.len(), 1 + u32::from(kept), "{len}");
        assert_eq!(block[0] == 0x40, kept);
    }
}

#[test]
fn the_shorter_string() {
    // '0' takes 5 bits, '&' 8, '~' 13.
    let cases: [(&[u8], &[u8]); 5] = [
        (b"", &[0x00]),
        (b"0", &[0x01, b'0']),
        (b"00", &[0x02, b'0', b'0']),
        (b"000", &[0x82, 0x00, 0x01]),
        (b"&&&", &[0x03, b'&', b'&', b'&']),
    ];
    for (text, wire) in cases {
        let mut out = Vec::new();
        string(text, &mut out);
        assert_eq!(out, wire, "{}", text.escape_ascii());
    }
}

#[test]
fn owns_nothing_until_the_first_entry() {
    let mut encoder = Encoder::new(4096);
    encode(
        &mut encoder,
        &[(b":path", b"/x", Indexing::Without), (b":method", b"POST", Indexing::Incremental)],
    );
    assert!(format!("{encoder:?}").contains("store: [], base: 0, head: 0, ring: []"));
    assert!(format!("{encoder:?}").contains("fields: [], names: [], links: []"));
}

#[test]
fn shrinking_keeps_the_entries_and_gives_back_the_rest() {
    let field: &[(&[u8], &[u8], Indexing)] = &[(b"name", b"value", Indexing::Incremental)];
    let mut encoder = Encoder::new(4096);
    encode(&mut encoder, field);
    encoder.shrink();
    assert_eq!(encode(&mut encoder, field), [0xbe]);
    encoder.set_peer_max_table_size(0);
    updates(&mut encoder);
    encoder.shrink();
    let debug = format!("{encoder:?}");
    assert!(debug.contains("store: []") && debug.contains("ring: []"), "{debug}");
    assert!(debug.contains("fields: [], names: [], links: []"), "{debug}");
}

#[test]
fn every_entry_is_found_while_the_index_grows() {
    let mut encoder = Encoder::new(4096);
    let name = |nth: usize| format!("n{nth}");
    for nth in 0..100 {
        assert_eq!(encode(&mut encoder, &[(name(nth).as_bytes(), b"v", Indexing::Incremental)])[0], 0x40);
        for back in 0..=nth {
            let known = name(nth - back);
            let mut wire = Vec::new();
            integer::encode(62 + back, 0x7f, 0x80, &mut wire);
            assert_eq!(encode(&mut encoder, &[(known.as_bytes(), b"v", Indexing::Without)]), wire, "{nth}");
        }
    }
}

/// Names of one length that differ in the middle have the same hash.
#[test]
fn a_name_is_compared_byte_by_byte() {
    let mut encoder = Encoder::new(4096);
    encode(&mut encoder, &[(b"same-head-1-same-tail", b"v", Indexing::Incremental)]);
    let known = encode(&mut encoder, &[(b"same-head-1-same-tail", b"w", Indexing::Without)]);
    assert_eq!(known[..2], [0x0f, 62 - 15]);
    let other = encode(&mut encoder, &[(b"same-head-2-same-tail", b"w", Indexing::Without)]);
    assert_eq!(other[0], 0x00);
}

/// Checks entries with equal hashes in one chain, and chains that continue after eviction.
#[test]
fn finds_what_only_the_middle_tells_apart() {
    let mut encoder = Encoder::new(4096);
    let value = |nth: usize| format!("/same-head/{nth:04}/same-tail");
    for nth in 0..500 {
        let path = value(nth);
        let first = encode(&mut encoder, &[(b"x-path", path.as_bytes(), Indexing::Incremental)]);
        assert!(first.len() > 2);
        for back in [0, 1, 20, 40] {
            let known = value(nth.saturating_sub(back));
            let again = encode(&mut encoder, &[(b"x-path", known.as_bytes(), Indexing::Incremental)]);
            let mut wire = Vec::new();
            integer::encode(62 + back.min(nth), 0x7f, 0x80, &mut wire);
            assert_eq!(again, wire);
        }
    }
}

#[derive(Clone, Debug)]
enum EncoderOp {
    Field(usize, usize, Indexing),
    Random(Vec<u8>, Vec<u8>, Indexing),
    Size(u32),
    Block,
    Shrink,
}

fn indexing() -> impl Strategy<Value = Indexing> {
    prop_oneof![3 => Just(Indexing::Incremental), 1 => Just(Indexing::Without), 1 => Just(Indexing::Never)]
}

fn order() -> impl Strategy<Value = EncoderOp> {
    prop_oneof![
        8 => (0..NAMES.len(), 0..30_usize, indexing()).prop_map(|(name, value, how)| EncoderOp::Field(name, value, how)),
        2 => (vec(any::<u8>(), 0..30), vec(any::<u8>(), 0..90), indexing())
            .prop_map(|(name, value, how)| EncoderOp::Random(name, value, how)),
        1 => prop_oneof![0..600_u32, Just(4096), Just(u32::MAX)].prop_map(EncoderOp::Size),
        3 => Just(EncoderOp::Block),
        1 => Just(EncoderOp::Shrink),
    ]
}

const NAMES: [&[u8]; 8] = [
    b":path",
    b":status",
    b"cookie",
    b"x",
    b"",
    b"accept-charset",
    b"a-name-of-its-own",
    b"a-name-of-Its-own",
];

/// Both sides, and the block in progress.
struct CoderPair {
    encoder: Encoder,
    decoder: Decoder,
    block: Vec<u8>,
    list: Vec<(Vec<u8>, Vec<u8>, bool)>,
}

impl CoderPair {
    fn add(&mut self, name: &[u8], value: &[u8], indexing: Indexing) {
        if self.list.is_empty() {
            self.encoder.begin(&mut self.block);
        }
        self.encoder.field(name, value, indexing, &mut self.block);
        self.list.push((name.to_vec(), value.to_vec(), indexing == Indexing::Never));
    }

    fn finish(&mut self) {
        if self.list.is_empty() {
            return;
        }
        let mut got = Vec::new();
        let sink = |field: crate::hpack::Field<'_>| {
            got.push((field.name.to_vec(), field.value.to_vec(), field.sensitive));
        };
        self.decoder.decode(&self.block, &WIDE, sink).unwrap();
        assert_eq!(got, std::mem::take(&mut self.list));
        assert_eq!(self.encoder.table_size(), self.decoder.table_size());
        self.block.clear();
    }

    fn resize(&mut self, size: u32) {
        self.finish();
        self.encoder.set_peer_max_table_size(size);
        self.decoder.set_max_table_size(size as usize);
    }
}

proptest! {
    #[test]
    fn the_decoder_gives_it_back(orders in vec(order(), 0..150)) {
        let (encoder, decoder) = (Encoder::new(4096), Decoder::new(4096));
        let mut pair = CoderPair { encoder, decoder, block: Vec::new(), list: Vec::new() };
        for order in orders {
            match order {
                EncoderOp::Field(name, value, how) => pair.add(NAMES[name], value.to_string().repeat(value).as_bytes(), how),
                EncoderOp::Random(name, value, how) => pair.add(&name, &value, how),
                EncoderOp::Size(size) => pair.resize(size),
                EncoderOp::Block => pair.finish(),
                EncoderOp::Shrink => {
                    pair.encoder.shrink();
                    pair.decoder.shrink();
                }
            }
        }
        pair.finish();
    }
}
