#![allow(clippy::type_complexity, reason = "tables of cases")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const EOS: (u32, usize) = (0x3fff_ffff, 30);

/// Decodes bit by bit, directly from the codes.
fn naive(wire: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut text = Vec::new();
    let (mut bits, mut len) = (0_u32, 0_usize);
    for bit in wire.iter().flat_map(|byte| (0..8).rev().map(move |place| u32::from(byte >> place & 1))) {
        (bits, len) = (bits << 1 | bit, len + 1);
        if (bits, len) == EOS {
            return Err(DecodeError::HuffmanEos);
        }
        if let Some(symbol) = CODES.iter().position(|code| (code.bits, usize::from(code.len)) == (bits, len))
        {
            text.push(symbol as u8);
            (bits, len) = (0, 0);
        }
    }
    if len < 8 && bits == (1 << len) - 1 { Ok(text) } else { Err(DecodeError::HuffmanPadding) }
}

fn decoded(wire: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let filled = decode(wire, 0, wire.len(), 1 << 20, &mut out, 0)?;
    Ok(out[..filled].to_vec())
}

fn encoded(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encode(text, &mut wire);
    assert_eq!(wire.len(), encoded_len(text));
    wire
}

#[test]
fn codes_of_the_appendix() {
    // RFC 7541 appendix B: the first of some lengths, the ends of the table, and three in its middle.
    let known = [
        (0, 0x1ff8, 13),
        (10, 0x3fff_fffc, 30),
        (b' ', 0x14, 6),
        (b'!', 0x3f8, 10),
        (b'0', 0x0, 5),
        (b'X', 0xfc, 8),
        (b'a', 0x3, 5),
        (b'z', 0x7b, 7),
        (b'~', 0x1ffd, 13),
        (b'\\', 0x7_fff0, 19),
        (128, 0xf_ffe6, 20),
        (249, 0xfff_fffe, 28),
        (255, 0x3ff_ffee, 26),
    ];
    for (byte, bits, len) in known {
        assert_eq!(code(byte), (bits, len), "{byte}");
    }
}

#[test]
fn a_run_without_a_whole_code_begins_with_ten_ones() {
    for run in 0..1_u64 << PEEK {
        let whole = pair(run << (64 - PEEK)).count() > 0;
        assert_eq!(whole, run >> (PEEK - 10) != 0x3ff, "{run:012b}");
    }
}

#[test]
fn every_string_of_one_and_two_bytes() {
    for first in 0..=255 {
        assert_eq!(decoded(&[first]), naive(&[first]), "{first:02x}");
        for second in 0..=255 {
            assert_eq!(decoded(&[first, second]), naive(&[first, second]), "{first:02x}{second:02x}");
        }
    }
}

#[test]
fn every_pair_of_symbols_at_every_bit() {
    for lead in [&b""[..], b"a", b"aaaaaa", b"0 ", b"~", b"X0"] {
        for first in 0..=255 {
            for second in [0, b'0', b'a', b'!', b'~', b'\\', 128, 201, 249, 255, first] {
                let text = [lead, &[first, second]].concat();
                assert_eq!(decoded(&encoded(&text)).as_ref(), Ok(&text));
            }
        }
    }
}

#[test]
fn padding_and_eos() {
    let cases: [(&[u8], Result<&[u8], DecodeError>); 13] = [
        (&[], Ok(b"")),
        // "a" is 00011.
        (&[0b0001_1111], Ok(b"a")),
        (&[0b0001_1110], Err(DecodeError::HuffmanPadding)),
        (&[0b0001_1011], Err(DecodeError::HuffmanPadding)),
        (&[0b0001_1111, 0xff], Err(DecodeError::HuffmanPadding)),
        // "X" is 11111100: a code of whole bytes needs no padding.
        (&[0xfc], Ok(b"X")),
        (&[0xfc, 0xff], Err(DecodeError::HuffmanPadding)),
        (&[0xff], Err(DecodeError::HuffmanPadding)),
        (&[0xff, 0xff, 0xff, 0xf2], Err(DecodeError::HuffmanPadding)),
        (&[0xff, 0xff, 0xff, 0xfb], Ok(&[22])),
        (&[0xff, 0xff, 0xff, 0xff], Err(DecodeError::HuffmanEos)),
        (&[0xff, 0xff, 0xff, 0xfc], Err(DecodeError::HuffmanEos)),
        // 10 is 0x3ffffffc in 30 bits.
        (&[0xff, 0xff, 0xff, 0xf3], Ok(b"\n")),
    ];
    for (wire, result) in cases {
        assert_eq!(decoded(wire), result.map(<[u8]>::to_vec), "{wire:02x?}");
        assert_eq!(decoded(wire), naive(wire), "{wire:02x?}");
    }
}

#[test]
fn limit_holds_whatever_the_codes() {
    for text in [&[b'a'; 40][..], &[b'X'; 40], &[b'\n'; 40], &[0, b'a', 255, b'0', b'~', b' ', 7, b'e', b'e']]
    {
        let wire = encoded(text);
        for limit in 0..text.len() + 20 {
            let mut out = Vec::new();
            let result = decode(&wire, 0, wire.len(), limit, &mut out, 3);
            match result {
                Ok(len) => {
                    assert!(text.len() <= limit);
                    assert_eq!(&out[3..3 + len], text);
                }
                Err(DecodeError::StringTooLong { limit: named, met }) => {
                    assert!(text.len() > limit && met > limit && met <= text.len() && named == limit);
                }
                Err(other) => panic!("{other}"),
            }
            assert!(out.len() <= 3 + (wire.len() * 8 / 5).min(limit) + 2 * STORE);
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_decoder(wire in vec(any::<u8>(), 0..24)) {
        prop_assert_eq!(decoded(&wire), naive(&wire));
    }

    #[test]
    fn agrees_on_long_codes(bits in vec(prop::bool::weighted(0.9), 0..200)) {
        let mut wire = vec![0xff; bits.len().div_ceil(8)];
        for (at, _) in bits.iter().enumerate().filter(|(_, bit)| !**bit) {
            wire[at / 8] &= !(0x80 >> (at % 8));
        }
        prop_assert_eq!(decoded(&wire), naive(&wire));
    }

    #[test]
    fn round_trips_anywhere_in_a_block(
        before in vec(any::<u8>(), 0..12),
        text in vec(any::<u8>(), 0..60),
        after in vec(any::<u8>(), 0..12),
    ) {
        let wire = encoded(&text);
        let block = [&before[..], &wire, &after].concat();
        let mut out = vec![0xaa; 5];
        let len = decode(&block, before.len(), wire.len(), text.len(), &mut out, 5).unwrap();
        prop_assert_eq!(&out[5..5 + len], &text);
        prop_assert_eq!(&out[..5], &[0xaa; 5]);
    }
}
