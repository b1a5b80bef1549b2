#![allow(clippy::type_complexity, reason = "tables of cases")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::hpack::{Encoder, Indexing};

const WIDE: BlockLimits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 20 };

type Owned = (Vec<u8>, Vec<u8>, bool);

fn decode(decoder: &mut Decoder, block: &[u8], limits: &BlockLimits) -> Result<Vec<Owned>, DecodeError> {
    let mut list = Vec::new();
    decoder.decode(block, limits, |field| {
        list.push((field.name.to_vec(), field.value.to_vec(), field.sensitive));
    })?;
    Ok(list)
}

fn owned(list: &[(&str, &str)]) -> Vec<Owned> {
    list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec(), false)).collect()
}

fn fresh(block: &[u8]) -> Result<Vec<Owned>, DecodeError> {
    decode(&mut Decoder::new(4096), block, &WIDE)
}

#[test]
fn malformed_blocks() {
    use DecodeError::*;
    let index = |index, table_len| InvalidIndex { index, table_len };
    let cases: &[(&[u8], DecodeError)] = &[
        // Integers and strings that end early.
        (&[0xff], Truncated),
        (&[0xff, 0x80], Truncated),
        (&[0x3f], Truncated),
        (&[0x40], Truncated),
        (&[0x40, 0x01], Truncated),
        (&[0x40, 0x01, b'a'], Truncated),
        (&[0x40, 0x01, b'a', 0x02, b'b'], Truncated),
        (&[0x40, 0x81], Truncated),
        (&[0x00, 0x7f], Truncated),
        (&[0x41, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07], Truncated),
        // Integers over 32 bits or five continuation bytes, in every place where an integer is allowed.
        (&[0xff, 0x80, 0xff, 0xff, 0xff, 0x0f], index(u32::MAX, 61)),
        (&[0xff, 0x81, 0xff, 0xff, 0xff, 0x0f], IntegerOverflow { value: 1 << 32 }),
        (&[0x3f, 0xff, 0xff, 0xff, 0xff, 0x7f], IntegerOverflow { value: 31 + (1 << 35) - 1 }),
        (&[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], IntegerOverflow { value: 127 + (1 << 35) - 1 }),
        (&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80], IntegerTooLong),
        (&[0x0f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], IntegerTooLong),
        (&[0x41, 0xff, 0x80, 0x80, 0x80, 0x80, 0x80], IntegerTooLong),
        // Indices at the ends of the tables.
        (&[0x80], index(0, 61)),
        (&[0xbe], index(62, 61)),
        (&[0x40, 0x01, b'a', 0x01, b'b', 0xbf], index(63, 62)),
        (&[0x7e, 0x01, b'a'], index(62, 61)),
        (&[0x0f, 0x2f, 0x01, b'a'], index(62, 61)),
        (&[0x1f, 0x2f, 0x01, b'a'], index(62, 61)),
        // Huffman strings, as a name and as a value.
        (&[0x41, 0x84, 0xff, 0xff, 0xff, 0xff], HuffmanEos),
        (&[0x40, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00], HuffmanEos),
        (&[0x41, 0x82, 0x1f, 0xff], HuffmanPadding),
        (&[0x41, 0x81, 0x1e], HuffmanPadding),
        // Size updates.
        (&[0x3f, 0xe2, 0x1f], SizeUpdateTooLarge { limit: 4096, met: 4097 }),
        (&[0x82, 0x20], SizeUpdateLate),
        (&[0x20, 0x82, 0x3f, 0xe1, 0x1f], SizeUpdateLate),
        (&[0x20, 0x20, 0x20], TooManySizeUpdates),
    ];
    for (block, error) in cases {
        assert_eq!(fresh(block), Err(*error), "{block:02x?}");
        assert!(!error.is_limit());
    }
}

#[test]
fn well_formed_blocks_next_to_the_malformed() {
    let cases: &[(&[u8], &[(&str, &str)])] = &[
        (&[], &[]),
        (&[0x81], &[(":authority", "")]),
        (&[0xbd], &[("www-authenticate", "")]),
        (&[0xbc, 0xbd], &[("via", ""), ("www-authenticate", "")]),
        (&[0x40, 0x00, 0x00], &[("", "")]),
        (&[0x40, 0x80, 0x80], &[("", "")]),
        (&[0x40, 0x01, b'a', 0x01, b'b', 0xbe], &[("a", "b"), ("a", "b")]),
        (&[0x20, 0x40, 0x01, b'a', 0x00], &[("a", "")]),
        (&[0x3f, 0xe1, 0x1f, 0x82], &[(":method", "GET")]),
        (&[0x20, 0x3f, 0xe1, 0x1f, 0x82], &[(":method", "GET")]),
        (&[0x20, 0x20], &[]),
        (&[0x3f, 0xe1, 0x9f, 0x80, 0x80, 0x00], &[]),
    ];
    for (block, list) in cases {
        assert_eq!(fresh(block), Ok(owned(list)), "{block:02x?}");
    }
}

#[test]
fn string_limit() {
    let limits = BlockLimits { max_string: 5, max_list_size: 1 << 20 };
    // "a" in the Huffman code is 00011; five of them end in 7 bits of padding, six in 2.
    let huffman: [&[u8]; 3] = [&[0x18, 0xc6, 0x3f], &[0x18, 0xc6, 0x31, 0xff], &[0x18, 0xc6, 0x31, 0x8f]];
    for (len, coded) in (4..=6).zip(huffman) {
        let text = vec![b'a'; len];
        let plain = [&[len as u8][..], &text].concat();
        let coded = [&[0x80 | coded.len() as u8][..], coded].concat();
        for string in [plain, coded] {
            let expected = |name: &[u8], value: &[u8]| {
                let field = (name.to_vec(), value.to_vec(), false);
                if len <= 5 {
                    Ok(vec![field])
                } else {
                    Err(DecodeError::StringTooLong { limit: 5, met: len })
                }
            };
            let value = [&[0x00, 0x01, b'n'][..], &string].concat();
            assert_eq!(decode(&mut Decoder::new(4096), &value, &limits), expected(b"n", &text));
            let name = [&[0x00][..], &string, &[0x01, b'v']].concat();
            assert_eq!(decode(&mut Decoder::new(4096), &name, &limits), expected(&text, b"v"));
        }
    }
}

#[test]
fn list_limit() {
    // ":method: GET" is 42 bytes by its index and as a literal; "a: b", then from the table, is 34.
    let blocks: [&[u8]; 3] =
        [&[0x82, 0x82], &[0x02, 0x03, b'G', b'E', b'T', 0x82], &[0x40, 0x01, b'a', 0x01, b'b', 0xbe]];
    for (block, size) in blocks.into_iter().zip([84, 84, 68]) {
        for max_list_size in [0, size / 2 - 1, size / 2, size - 1, size, size + 1] {
            let limits = BlockLimits { max_string: 100, max_list_size };
            let mut seen = 0;
            let result = Decoder::new(4096).decode(block, &limits, |_| seen += 1);
            if max_list_size >= size {
                assert_eq!(result, Ok(BlockStats { list_size: size, fields: 2 }));
            } else {
                let met = if max_list_size < size / 2 { size / 2 } else { size };
                assert_eq!(result, Err(DecodeError::ListTooLarge { limit: max_list_size, met }));
                assert!(result.unwrap_err().is_limit());
            }
            assert_eq!(seen, (max_list_size / (size / 2)).min(2));
        }
    }
}

/// Checks that repeated references to one large entry cost no more than the limit.
#[test]
fn bomb_of_one_entry() {
    let mut block = vec![0x40, 0x01, b'a', 0x7f, 0x81, 0x1d];
    block.resize(block.len() + 3840, b'b');
    block.resize(block.len() + 11_000, 0xbe);
    let limits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 16 };
    let mut bytes = 0;
    let error = Decoder::new(4096).decode(&block, &limits, |field| bytes += field.value.len()).unwrap_err();
    assert_eq!(error, DecodeError::ListTooLarge { limit: 1 << 16, met: 17 * 3873 });
    assert_eq!(bytes, 16 * 3840);
}

#[test]
fn a_reduction_must_be_answered() {
    use DecodeError::{MissingSizeUpdate, SizeUpdateTooLarge};
    const NONE: &[u8] = &[0x82];
    const TO_99: &[u8] = &[0x3f, 0x44, 0x82];
    const TO_100: &[u8] = &[0x3f, 0x45, 0x82];
    const TO_101: &[u8] = &[0x3f, 0x46, 0x82];
    const TO_100_THEN_4096: &[u8] = &[0x3f, 0x45, 0x3f, 0xe1, 0x1f, 0x82];
    const TO_4096_THEN_100: &[u8] = &[0x3f, 0xe1, 0x1f, 0x3f, 0x45, 0x82];
    let missing = |met| Err(MissingSizeUpdate { limit: 100, met });
    let large = |met| Err(SizeUpdateTooLarge { limit: 100, met });
    let cases: &[(&[usize], &[u8], Result<(), DecodeError>)] = &[
        (&[4096], NONE, Ok(())),
        (&[8192], NONE, Ok(())),
        (&[100], NONE, missing(4096)),
        (&[100], &[], missing(4096)),
        (&[100], TO_99, Ok(())),
        (&[100], TO_100, Ok(())),
        (&[100], TO_101, large(101)),
        (&[100], TO_100_THEN_4096, large(4096)),
        (&[100, 4096], NONE, missing(4096)),
        (&[100, 4096], TO_100, Ok(())),
        (&[100, 4096], TO_101, missing(101)),
        (&[100, 4096], TO_100_THEN_4096, Ok(())),
        (&[100, 4096], TO_4096_THEN_100, missing(4096)),
        (&[200, 100, 300], TO_100, Ok(())),
        (&[100, 200, 4096], TO_101, missing(101)),
    ];
    for (sizes, block, result) in cases {
        let mut decoder = Decoder::new(4096);
        for &size in *sizes {
            decoder.set_max_table_size(size);
        }
        assert_eq!(decode(&mut decoder, block, &WIDE).map(drop), *result, "{sizes:?} {block:02x?}");
        if result.is_ok() {
            assert_eq!(decode(&mut decoder, NONE, &WIDE).map(drop), Ok(()), "asked for but once");
        }
    }
}

#[test]
fn a_reduction_below_what_the_peer_uses_alone_needs_an_answer() {
    let mut decoder = Decoder::new(4096);
    // The peer has chosen 64 itself.
    decode(&mut decoder, &[0x3f, 0x21], &WIDE).unwrap();
    for (size, needed) in [(65, false), (64, false), (63, true)] {
        decoder.set_max_table_size(size);
        assert_eq!(decode(&mut decoder, &[0x82], &WIDE).is_err(), needed, "{size}");
    }
}

#[test]
fn updates_evict() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &[0x40, 0x01, b'a', 0x00, 0x40, 0x01, b'b', 0x01, b'c'], &WIDE).unwrap();
    assert_eq!(decoder.table_size(), 67);
    for (size, left) in [(67, 67), (66, 34), (34, 34), (33, 0)] {
        let generation = decoder.generation();
        let block = [0x3f, (size - 31) as u8];
        decode(&mut decoder, &block, &WIDE).unwrap();
        assert_eq!(decoder.table_size(), left, "{size}");
        assert_ne!(decoder.generation(), generation, "{size}");
        decode(&mut decoder, &block, &WIDE).unwrap();
    }
}

/// Checks RFC 7541 §4.4: an entry larger than the table empties it, and one as large as the table fills it.
#[test]
fn entries_as_large_as_the_table() {
    for (value_len, size) in [(66, 99), (67, 100), (68, 0)] {
        let mut decoder = Decoder::new(100);
        decode(&mut decoder, &[0x40, 0x01, b'x', 0x00], &WIDE).unwrap();
        // The name is that of the entry about to be evicted.
        let block = [&[0x7e, value_len as u8][..], &vec![b'v'; value_len]].concat();
        let list = decode(&mut decoder, &block, &WIDE).unwrap();
        assert_eq!(list, [(b"x".to_vec(), vec![b'v'; value_len], false)]);
        assert_eq!(decoder.table_size(), size);
        let again = decode(&mut decoder, &[0xbe], &WIDE);
        if size > 0 { assert_eq!(again, Ok(list)) } else { assert!(again.is_err()) }
    }
}

#[test]
fn generation_tells_what_a_block_changed() {
    let mut decoder = Decoder::new(4096);
    // A literal with incremental indexing inserts; the other literals, indexed fields and errors do not.
    let blocks: [(&[u8], bool); 7] = [
        (&[0x40, 0x01, b'a', 0x01, b'b'], true),
        (&[0xbe, 0x82], false),
        (&[0x00, 0x01, b'a', 0x01, b'b'], false),
        (&[0x10, 0x01, b'a', 0x01, b'b'], false),
        (&[0x3f, 0xe1, 0x1f], false),
        (&[0x3f, 0xe0, 0x1f], true),
        (&[0x7e, 0x01, b'c'], true),
    ];
    for (block, changes) in blocks {
        let before = decoder.generation();
        decode(&mut decoder, block, &WIDE).unwrap();
        assert_eq!(decoder.generation() != before, changes, "{block:02x?}");
    }
    let before = decoder.generation();
    decoder.set_max_table_size(8192);
    assert_eq!(decoder.generation(), before);
    decoder.set_max_table_size(100);
    assert_ne!(decoder.generation(), before, "the next block must say more than the last");
}

#[test]
fn memory_follows_what_was_received() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &[0x82, 0x04, 0x01, b'/'], &WIDE).unwrap();
    assert_eq!(decoder.scratch.capacity(), 0);
    // A length of 2^31 bytes, none of which arrived.
    decode(&mut decoder, &[0x04, 0xff, 0x81, 0xff, 0xff, 0xff, 0x07], &WIDE).unwrap_err();
    assert_eq!(decoder.scratch.capacity(), 0);
    decode(&mut decoder, &[0x04, 0x81, 0x1f], &WIDE).unwrap();
    assert!(decoder.scratch.capacity() > 0);
    decoder.shrink();
    assert_eq!(decoder.scratch.capacity(), 0);
}

fn block_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), Just(0x40), Just(0xbe), Just(0x81), Just(0x20), Just(0xff), 0..8_u8];
    vec(byte, 0..80)
}

proptest! {
    #[test]
    fn no_bytes_do_harm(blocks in vec(block_like(), 1..6), sizes in vec(0..300_usize, 6)) {
        let mut decoder = Decoder::new(200);
        let limits = BlockLimits { max_string: 50, max_list_size: 400 };
        for (block, size) in blocks.iter().zip(sizes) {
            let (mut fields, mut list_size) = (0, 0);
            let result = decoder.decode(block, &limits, |field| {
                fields += 1;
                list_size += field.name.len() + field.value.len() + 32;
            });
            prop_assert!(list_size <= 400 && decoder.table_size() <= 300);
            if let Ok(stats) = result {
                prop_assert_eq!(stats, BlockStats { fields, list_size });
            }
            decoder.set_max_table_size(size);
        }
    }

    /// Checks that a block cut anywhere is refused or decodes to a shorter list, never to a different one.
    #[test]
    fn a_cut_block_is_a_shorter_list(list in vec((vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..40)), 0..8)) {
        let mut encoder = Encoder::new(4096);
        let mut block = Vec::new();
        encoder.begin(&mut block);
        for (name, value) in &list {
            encoder.field(name, value, Indexing::Incremental, &mut block);
        }
        for cut in 0..block.len() {
            match fresh(&block[..cut]) {
                Ok(part) => prop_assert!(part.iter().zip(&list).all(|(got, sent)| (&got.0, &got.1) == (&sent.0, &sent.1))),
                Err(error) => prop_assert_eq!(error, DecodeError::Truncated),
            }
        }
    }
}
