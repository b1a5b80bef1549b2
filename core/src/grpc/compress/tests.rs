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
