use super::*;

/// A codec that cannot fail and does not compress: it inverts every byte.
#[derive(Debug)]
struct Flip(&'static str);

impl MessageCodec for Flip {
    fn name(&self) -> &str {
        self.0
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.extend(payload.iter().map(|byte| !byte));
        Ok(())
    }

    fn decompress(&self, payload: &[u8], max: usize) -> Result<Bytes, DecompressError> {
        if payload.len() > max {
            return Err(DecompressError::TooLarge { limit: max });
        }
        Ok(payload.iter().map(|byte| !byte).collect())
    }
}

#[test]
fn the_registry() {
    let codecs = Codecs::none().with(Arc::new(Flip("x-flip"))).unwrap();
    assert_eq!(codecs.accept_encoding(), "identity,x-flip");
    assert!(codecs.get(b"identity").is_none());
    assert!(codecs.get(b"X-Flip").is_none());
    assert_eq!(codecs.get(b"x-flip").unwrap().decompress(b"\xfe", 1).unwrap().as_ref(), b"\x01");
    let replaced = codecs.with(Arc::new(Flip("x-flip"))).unwrap();
    assert_eq!(replaced.accept_encoding(), "identity,x-flip");
    for name in ["", "identity", "a,b", "a b", "ü"] {
        assert_eq!(codecs.with(Arc::new(Flip(name))).unwrap_err(), CodecNameError(name.to_owned()));
    }
}

/// A codec that panics wherever it can.
#[derive(Debug)]
struct Panics;

impl MessageCodec for Panics {
    fn name(&self) -> &str {
        "x-panics"
    }

    fn compress(&self, _: &[u8], _: &mut Vec<u8>) -> Result<(), CompressError> {
        panic!("by intention")
    }

    fn decompress(&self, _: &[u8], _: usize) -> Result<Bytes, DecompressError> {
        panic!("by intention")
    }
}

#[test]
fn a_codec_that_panics_concerns_its_message_alone() {
    let codec: Arc<dyn MessageCodec> = Arc::new(Panics);
    let (result, work) = Decompression::new(&codec, Bytes::from_static(b"any"), 1_000).finish();
    assert_eq!((result, work), (Err(DecompressError::Panicked), 16 * 1024 + 3 * 32 + 1_000));
    let compression = Compression::new(&codec, CodecIndex::FIRST);
    assert!(compression.compress(b"any".to_vec().into()).is_err());
}

#[test]
fn the_built_in_ones_follow_the_features() {
    use crate::grpc::encoding::{Encoding, EncodingSet};
    let codecs = Codecs::default();
    for encoding in Encoding::ALL {
        let compiled = encoding.is_compiled() && encoding != Encoding::Identity;
        assert_eq!(codecs.get(encoding.as_str().as_bytes()).is_some(), compiled);
    }
    assert_eq!(EncodingSet::parse(codecs.accept_encoding().as_bytes()), EncodingSet::compiled());
}

#[cfg(any(feature = "gzip", feature = "deflate", feature = "zstd"))]
mod builtin {
    use proptest::prelude::*;

    use super::*;

    fn each(mut test: impl FnMut(&dyn MessageCodec)) {
        for codec in &Codecs::builtin().table.codecs {
            test(codec.as_ref());
        }
    }

    fn compressed(codec: &dyn MessageCodec, payload: &[u8]) -> Vec<u8> {
        let mut out = b"kept".to_vec();
        codec.compress(payload, &mut out).unwrap();
        out.split_off(4)
    }

    #[test]
    fn the_limit_at_its_edges() {
        each(|codec| {
            let wire = compressed(codec, &[5; 1000]);
            let limit = |limit| Err(DecompressError::TooLarge { limit });
            assert_eq!(codec.decompress(&wire, 999), limit(999), "{codec:?}");
            assert_eq!(codec.decompress(&wire, 1000).unwrap().len(), 1000, "{codec:?}");
            assert_eq!(codec.decompress(&wire, 1001).unwrap().len(), 1000, "{codec:?}");
            assert_eq!(codec.decompress(&wire, 0), limit(0), "{codec:?}");
            assert_eq!(codec.decompress(&wire, usize::MAX).unwrap().len(), 1000, "{codec:?}");
        });
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        each(|codec| {
            let wire = compressed(codec, &vec![0; 32 << 20]);
            assert!(wire.len() < 64 << 10);
            let limit = 4 << 20;
            assert_eq!(codec.decompress(&wire, limit), Err(DecompressError::TooLarge { limit }), "{codec:?}");
        });
    }

    #[test]
    fn what_comes_out_takes_no_more_memory_than_its_limit() {
        for limit in [1, 999, 1_000, 10_500, 100_000] {
            let (mut out, mut fits) = (Vec::new(), true);
            // No two of the same size, so that few lengths equal the capacity of a doubled buffer.
            for length in (1..=1_000).rev() {
                fits &= crate::grpc::compress::builtin::append(&mut out, &vec![7; length], limit).is_ok();
                assert!(out.capacity() <= limit, "{} bytes for {}", out.capacity(), out.len());
            }
            assert!(!fits, "all of them are more than the limit");
        }
    }

    #[test]
    fn empty_messages() {
        each(|codec| {
            assert_eq!(codec.decompress(b"", 0).unwrap().len(), 0, "{codec:?}");
            let wire = compressed(codec, b"");
            assert_eq!(codec.decompress(&wire, 0).unwrap().len(), 0, "{codec:?}");
        });
    }

    #[test]
    fn what_is_cut_short_or_followed_by_garbage_is_corrupt() {
        each(|codec| {
            let mut wire = compressed(codec, b"hello, hello, hello");
            for cut in 1..wire.len() {
                assert_eq!(
                    codec.decompress(&wire[..cut], 100),
                    Err(DecompressError::Corrupt),
                    "{codec:?} {cut}"
                );
            }
            for garbage in [0, 1, 0x1f, 0xff] {
                wire.push(garbage);
                assert_eq!(
                    codec.decompress(&wire, 100),
                    Err(DecompressError::Corrupt),
                    "{codec:?} {garbage}"
                );
                wire.pop();
            }
        });
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_zstd_window_over_8_mib_is_refused() {
        use std::io::Write;
        for (log, accepted) in [(23, true), (24, false)] {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(b"small").unwrap();
            encoder.flush().unwrap();
            let wire = encoder.finish().unwrap();
            assert_eq!(Zstd.decompress(&wire, 100).is_ok(), accepted, "{log}");
        }
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn deflate_is_the_zlib_format() {
        assert_eq!(compressed(&Deflate, b"x")[0], 0x78);
        // zlib.compress(b"a") of Python.
        let wire = [0x78, 0x9c, 0x4b, 0x04, 0x00, 0x00, 0x62, 0x00, 0x62];
        assert_eq!(Deflate.decompress(&wire, 1).unwrap().as_ref(), b"a");
    }

    /// Returns 4 MiB of input without any output: the name, the start, and the part that is repeated.
    fn barren(codec: &dyn MessageCodec) -> Vec<(&'static str, Vec<u8>)> {
        let member = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[3, 0], &[0; 8]].concat();
        // Eight empty blocks of fixed codes are ten bytes: 10 bits each, none the last.
        let fixed: Vec<u8> =
            (0..10).map(|byte| (0..8).map(|bit| u8::from((byte * 8 + bit) % 10 == 1) << bit).sum()).collect();
        let stored = [0, 0, 0, 0xff, 0xff];
        let all: Vec<(_, Vec<u8>, Vec<u8>)> = match codec.name() {
            "gzip" => vec![
                ("members", vec![], member.clone()),
                ("a name", vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], vec![b'n']),
                ("fixed blocks", member[..10].to_vec(), fixed),
                ("stored blocks", member[..10].to_vec(), stored.to_vec()),
            ],
            "deflate" => vec![
                ("fixed blocks", vec![0x78, 0x9c], fixed),
                ("stored blocks", vec![0x78, 0x9c], stored.to_vec()),
            ],
            _ => vec![
                ("frames", vec![], vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0]),
                ("frames to skip", vec![], vec![0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]),
                ("blocks", vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58], vec![0, 0, 0]),
            ],
        };
        all.into_iter()
            .map(|(name, start, again)| {
                let times = (4 << 20) / again.len();
                (name, [start, again.repeat(times)].concat())
            })
            .collect()
    }

    /// Decompresses in steps. Returns what came of it, the input that was used, and the most work of one step.
    fn in_steps(
        codec: &dyn MessageCodec,
        payload: &[u8],
        most: u64,
    ) -> (Result<Bytes, DecompressError>, usize, u64) {
        let mut steps = codec.unpack_steps(4 << 20).expect("a codec in steps");
        let (mut before, mut worst) = (0, 0);
        loop {
            let advanced = steps.advance(payload, most);
            let (taken, given) = steps.progress();
            let given = if let Ok(Some(all)) = &advanced { all.len() } else { given };
            let work = work::work_of(taken, given);
            (before, worst) = (work, worst.max(work - before));
            match advanced {
                Ok(Some(all)) => return (Ok(all), taken, worst),
                Ok(None) => {}
                Err(error) => return (Err(error), taken, worst),
            }
        }
    }

    #[test]
    fn input_that_brings_nothing_is_refused_early() {
        each(|codec| {
            for (name, payload) in barren(codec) {
                let (result, taken, _) = in_steps(codec, &payload, u64::MAX);
                assert_eq!(result, Err(DecompressError::Corrupt), "{codec:?} {name}");
                let least = if codec.name() == "zstd" { 136 << 10 } else { 8 << 10 };
                assert!((least..least + 2048).contains(&taken), "{codec:?} {name}: {taken}");
                // A few of them are a message like any other.
                let few = codec.decompress(&payload[..payload.len().min(4_000)], 100);
                if name.starts_with("frames") {
                    assert!(
                        codec.decompress(&payload[..9 * 8], 100).is_ok_and(|all| all.is_empty()),
                        "{name}"
                    );
                } else if name == "members" {
                    assert!(few.is_ok_and(|all| all.is_empty()), "{name}");
                } else {
                    assert_eq!(few, Err(DecompressError::Corrupt), "{name} without an end");
                }
            }
        });
    }

    #[test]
    fn a_step_is_bounded_by_what_it_costs_whatever_the_input() {
        // One more call of a library than was asked for: a kilobyte of input and eight of output.
        const MORE: u64 = 32 * 1024 + 8 * 1024;
        let random: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        each(|codec| {
            let mut inputs = barren(codec);
            inputs.push(("random", compressed(codec, &random)));
            inputs.push(("zeros", compressed(codec, &vec![0; 4 << 20])));
            for (name, payload) in inputs {
                for most in [100_000, 1 << 20] {
                    let (result, _, worst) = in_steps(codec, &payload, most);
                    assert_eq!(result.is_ok(), ["random", "zeros"].contains(&name), "{codec:?} {name}");
                    assert!(worst <= most + MORE, "{codec:?} {name}: {worst} for {most}");
                }
            }
        });
    }

    #[test]
    fn whatever_the_steps_the_message_is_the_same() {
        let message: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
        each(|codec| {
            let wire = compressed(codec, &message);
            for most in [1, 10_000, u64::MAX] {
                assert_eq!(in_steps(codec, &wire, most).0.expect("a message"), message, "{codec:?} {most}");
            }
        });
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn gzip_as_others_write_it() {
        use std::io::Write;
        let full = |fill: fn(&mut flate2::GzBuilder)| {
            let mut builder = flate2::GzBuilder::new();
            fill(&mut builder);
            let mut encoder = builder.write(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"hello").expect("memory");
            encoder.finish().expect("memory")
        };
        let fields: [fn(&mut flate2::GzBuilder); 4] = [
            |_| {},
            |builder| *builder = std::mem::take(builder).filename("a.txt").comment("c").mtime(7),
            |builder| *builder = std::mem::take(builder).extra(vec![1; 300]),
            |builder| *builder = std::mem::take(builder).extra(vec![]).comment("c"),
        ];
        for fill in fields {
            let wire = full(fill);
            assert_eq!(Gzip.decompress(&wire, 100).expect("a member"), "hello");
            let twice = wire.repeat(2);
            assert_eq!(Gzip.decompress(&twice, 100).expect("two members"), "hellohello");
            for at in [wire.len() - 1, wire.len() - 5, 1, 2] {
                let mut broken = wire.clone();
                broken[at] ^= 1;
                assert_eq!(Gzip.decompress(&broken, 100), Err(DecompressError::Corrupt), "{at}");
            }
        }
        // RFC 1952 §2.3.1: with a check of the header, right and wrong.
        let plain = full(|_| {});
        let mut header = plain[..10].to_vec();
        header[3] = 2;
        let mut crc = flate2::Crc::new();
        crc.update(&header);
        let check = (crc.sum() as u16).to_le_bytes();
        for (xor, ok) in [(0, true), (1, false)] {
            let wire = [&header[..], &[check[0] ^ xor, check[1]], &plain[10..]].concat();
            assert_eq!(Gzip.decompress(&wire, 100).is_ok(), ok);
        }
        // RFC 1952 §2.3.1.2: a reserved flag.
        let mut reserved = plain;
        reserved[3] = 0x20;
        assert_eq!(Gzip.decompress(&reserved, 100), Err(DecompressError::Corrupt));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn an_encoder_that_flushes_after_each_byte_is_understood() {
        use std::io::Write;
        let message: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        for byte in &message {
            encoder.write_all(&[*byte]).and_then(|()| encoder.flush()).expect("memory");
        }
        let wire = encoder.finish().expect("memory");
        assert!(wire.len() > 5 * message.len());
        assert_eq!(Gzip.decompress(&wire, 1 << 20).expect("a message"), message);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn round_trip(payload in proptest::collection::vec(0..4_u8, 0..20_000)) {
            each(|codec| {
                let wire = compressed(codec, &payload);
                assert_eq!(codec.decompress(&wire, payload.len()).unwrap(), payload);
            });
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            each(|codec| {
                let _ = codec.decompress(&bytes, 1000);
                let magic: &[u8] = match codec.name() {
                    "gzip" => &[0x1f, 0x8b, 8],
                    "deflate" => &[0x78, 0x9c],
                    _ => &[0x28, 0xb5, 0x2f, 0xfd],
                };
                let _ = codec.decompress(&[magic, &bytes].concat(), 1000);
            });
        }
    }
}
