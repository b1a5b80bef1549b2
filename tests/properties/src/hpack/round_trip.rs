//! What our encoder writes, our decoder reads.

use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};

use super::{collect, pieces};

const WIDE: BlockLimits = BlockLimits { max_string: usize::MAX, max_list_size: usize::MAX };

/// Names that gRPC sends often, beside those that the input spells.
const NAMES: [&[u8]; 8] = [
    b":path",
    b":status",
    b"content-type",
    b"grpc-status",
    b"accept-encoding",
    b"cookie",
    b"x",
    b"grpc-timeout",
];

/// Checks that our decoder reads what our encoder writes. The first two bytes are the encoder's own limit and the
/// first size that the peer allows. The rest are fields and commands, each preceded by a byte of length.
///
/// Both tables are equal after every block; a block that left the generation unchanged is the same when it is written
/// again.
pub fn hpack_round_trip(data: &[u8]) {
    let Some((&[cap, allowed], orders)) = data.split_first_chunk() else { return };
    let mut pair = Pair {
        encoder: Encoder::new(usize::from(cap) * 32),
        decoder: Decoder::new(4096),
        block: Vec::new(),
        said: Vec::new(),
        generation: 0,
    };
    pair.allow(usize::from(allowed) * 32);
    pair.begin();
    for order in pieces(orders) {
        pair.obey(order);
    }
    pair.end();
}

struct Pair {
    encoder: Encoder,
    decoder: Decoder,
    block: Vec<u8>,
    said: Vec<(Vec<u8>, Vec<u8>, bool)>,
    generation: u64,
}

impl Pair {
    fn obey(&mut self, order: &[u8]) {
        let Some((&what, rest)) = order.split_first() else {
            self.end();
            return self.begin();
        };
        match what {
            0xfd => self.encoder.shrink(),
            0xfe => {
                self.end();
                for size in rest.as_chunks::<2>().0 {
                    self.allow(usize::from(u16::from_be_bytes(*size)));
                }
                self.begin();
            }
            _ => self.field(what, rest),
        }
    }

    fn field(&mut self, what: u8, rest: &[u8]) {
        let indexing = [Indexing::Incremental, Indexing::Without, Indexing::Never][usize::from(what) % 3];
        let (name, value) = match NAMES.get(usize::from(what) / 3 % 16) {
            Some(name) => (*name, rest),
            None => rest.split_at(rest.len().min(usize::from(what >> 4))),
        };
        self.encoder.field(name, value, indexing, &mut self.block);
        self.said.push((name.to_vec(), value.to_vec(), indexing == Indexing::Never));
    }

    /// Changes the allowed size at both ends together, at the decoder with the acknowledgement (RFC 7541 §4.2).
    fn allow(&mut self, size: usize) {
        self.encoder.set_peer_max_table_size(u32::try_from(size).unwrap_or(u32::MAX));
        self.decoder.set_max_table_size(size);
    }

    fn begin(&mut self) {
        self.generation = self.encoder.generation();
        self.encoder.begin(&mut self.block);
    }

    fn end(&mut self) {
        let block = std::mem::take(&mut self.block);
        let said = std::mem::take(&mut self.said);
        let (fields, result) = collect(&mut self.decoder, &block, &WIDE);
        assert!(result.is_ok(), "{result:?} of our own block {block:02x?}");
        assert_eq!(fields, said);
        assert_eq!(self.decoder.table_size(), self.encoder.table_size());
        if self.encoder.generation() == self.generation {
            assert_eq!(collect(&mut self.decoder, &block, &WIDE).0, said, "may be sent again byte for byte");
        }
    }
}
