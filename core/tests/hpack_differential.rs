//! Our encoder against the decoder of crate `hpack`, and the reverse.
//!
//! That crate panics on some malformed blocks, so it reads only what our encoder wrote. Its static table has a slip in
//! entry 15 ("accept-" for "accept-charset"), so no list here has either name.

use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use proptest::collection::vec;
use proptest::prelude::*;

const WIDE: BlockLimits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 20 };

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        ":authority",
        ":method",
        ":path",
        ":scheme",
        ":status",
        "accept-encoding",
        "cookie",
        "content-type",
        "te",
        "user-agent",
        "www-authenticate",
        "grpc-timeout",
        "x",
    ];
    prop_oneof![
        3 => prop::sample::select(known.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..40),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "",
        "GET",
        "POST",
        "/",
        "/index.html",
        "200",
        "204",
        "https",
        "trailers",
        "application/grpc",
        "gzip, deflate",
    ];
    prop_oneof![
        3 => prop::sample::select(known.to_vec()).prop_map(|value| value.as_bytes().to_vec()),
        2 => "[a-zA-Z0-9/=;: .-]{0,80}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
    ]
}

fn lists() -> impl Strategy<Value = Vec<Fields>> {
    let one = vec((name(), value()), 0..20).prop_filter("entry 15", |list| {
        list.iter().all(|(name, _)| name != b"accept-" && name != b"accept-charset")
    });
    vec(one, 1..8)
}

fn encode(encoder: &mut Encoder, list: &Fields, indexing: Indexing) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value) in list {
        encoder.field(name, value, indexing, &mut block);
    }
    block
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn its_decoder_reads_our_blocks(
        lists in lists(),
        size in prop_oneof![Just(4096), 0..500_u32],
        indexing in prop::sample::select(vec![Indexing::Incremental, Indexing::Without, Indexing::Never]),
    ) {
        let mut ours = Encoder::new(4096);
        let mut theirs = hpack::Decoder::new();
        ours.set_peer_max_table_size(size);
        for list in lists {
            let block = encode(&mut ours, &list, indexing);
            prop_assert_eq!(theirs.decode(&block).map_err(|error| format!("{error:?}")), Ok(list));
        }
    }

    #[test]
    fn our_decoder_reads_its_blocks(lists in lists()) {
        let mut theirs = hpack::Encoder::new();
        let mut ours = Decoder::new(4096);
        for list in lists {
            let block = theirs.encode(list.iter().map(|(name, value)| (&name[..], &value[..])));
            let mut got = Vec::new();
            let stats = ours.decode(&block, &WIDE, |field| got.push((field.name.to_vec(), field.value.to_vec())));
            prop_assert_eq!(stats.map(|stats| stats.fields), Ok(list.len()));
            prop_assert_eq!(got, list);
        }
    }
}

/// Checks every symbol of the Huffman code, next to every other length of code.
#[test]
fn its_huffman_decoder_reads_every_symbol() {
    let mut theirs = hpack::Decoder::new();
    let mut ours = Encoder::new(4096);
    for byte in 0..=255_u8 {
        // Enough short codes that the Huffman code is the shorter.
        let value = [&[b'0'; 60][..], &[byte, b'a', byte, b'~', byte]].concat();
        let list = vec![(b"name".to_vec(), value)];
        let block = encode(&mut ours, &list, Indexing::Without);
        assert!(block.len() < 65, "not in the Huffman code");
        assert_eq!(theirs.decode(&block).unwrap(), list);
    }
}
