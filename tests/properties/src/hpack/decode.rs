//! Any bytes as header blocks.

use halfclose::hpack::{BlockLimits, DecodeError, Decoder, Encoder, Indexing};

use super::{collect, list_size, pieces};

/// Checks the decoder. The first three bytes set the table and the limits; the rest are blocks, each preceded by a
/// byte of length.
///
/// No block makes the table exceed its size, passes a limit, or decodes differently when it is read again; what was
/// decoded survives our encoder. After an error nothing more is decoded, as on a connection (RFC 9113 §4.3).
pub fn hpack_decode(data: &[u8]) {
    let Some((&[table, string, list], blocks)) = data.split_first_chunk() else { return };
    let table = usize::from(table) * 32;
    let limits = BlockLimits { max_string: usize::from(string) * 16, max_list_size: usize::from(list) * 64 };
    let mut decoder = Decoder::new(table);
    let mut twin = Decoder::new(table);
    for block in pieces(blocks) {
        if let [0x3f, 0xff, low, high] = *block {
            // RFC 7541 §4.2: no legal block looks like this, so it represents a change of our SETTINGS.
            let size = usize::from(u16::from_be_bytes([high, low])) & 0x3fff;
            decoder.set_max_table_size(size);
            twin.set_max_table_size(size);
            continue;
        }
        if !one(&mut decoder, &mut twin, block, &limits) {
            return;
        }
    }
}

fn one(decoder: &mut Decoder, twin: &mut Decoder, block: &[u8], limits: &BlockLimits) -> bool {
    let generation = decoder.generation();
    let (fields, result) = collect(decoder, block, limits);
    // A decoder that freed its spare memory gives the same result.
    twin.shrink();
    assert_eq!(collect(twin, block, limits), (fields.clone(), result));
    assert_eq!(twin.table_size(), decoder.table_size());
    let stats = match result {
        Ok(stats) => stats,
        Err(error) => {
            over_a_limit(&error, limits);
            return false;
        }
    };
    assert_eq!((stats.fields, stats.list_size), (fields.len(), list_size(&fields)));
    assert!(stats.list_size <= limits.max_list_size);
    let literals = block.iter().any(|byte| byte & 0x80 == 0);
    if !literals {
        assert_eq!(decoder.generation(), generation, "indexed fields change nothing");
    }
    if decoder.generation() == generation {
        let wide = BlockLimits { max_string: usize::MAX, max_list_size: usize::MAX };
        assert_eq!(collect(decoder, block, &wide).0, fields, "the same table, the same meaning");
    }
    re_encoded(&fields);
    true
}

/// Checks that an error about a limit names a value over that limit.
fn over_a_limit(error: &DecodeError, limits: &BlockLimits) {
    match *error {
        DecodeError::StringTooLong { limit, met } => {
            assert!(limit == limits.max_string && met > limit, "{error}");
        }
        DecodeError::ListTooLarge { limit, met } => {
            assert!(limit == limits.max_list_size && met > limit && error.is_limit(), "{error}");
        }
        DecodeError::SizeUpdateTooLarge { limit, met } | DecodeError::MissingSizeUpdate { limit, met } => {
            assert!(met > limit, "{error}");
        }
        _ => assert!(!error.is_limit(), "{error}"),
    }
}

/// Checks that our encoder can write what a peer's block said, and that our decoder reads it back.
fn re_encoded(fields: &[(Vec<u8>, Vec<u8>, bool)]) {
    let mut encoder = Encoder::new(4096);
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value, sensitive) in fields {
        let indexing = if *sensitive { Indexing::Never } else { Indexing::Incremental };
        encoder.field(name, value, indexing, &mut block);
    }
    let wide = BlockLimits { max_string: usize::MAX, max_list_size: usize::MAX };
    let (again, result) = collect(&mut Decoder::new(4096), &block, &wide);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(again, fields);
}
