//! Our decoder against two that share no code with it: crate `hpack` and crate `httlib-hpack`.

use halfclose::hpack::{BlockLimits, DecodeError, Decoder};

use super::representations::{Kind, walk};
use super::{Kept, collect, pieces};

const TABLE: u32 = 4096;
const WIDE: BlockLimits = BlockLimits { max_string: usize::MAX, max_list_size: usize::MAX };

/// Checks blocks, each preceded by a byte of length, with three decoders that have tables of 4,096 bytes.
///
/// We report a block that ends within a representation, and never give it to the other decoders, which panic on it.
/// They accept what we accept, and read the same fields. They also refuse what we refuse, apart from the exceptions
/// in `only_we_refuse`.
pub fn hpack_differential(data: &[u8]) {
    let mut ours = Decoder::new(TABLE as usize);
    let mut others = Others { old: hpack::Decoder::new(), httlib: httlib_hpack::Decoder::default() };
    for block in pieces(data) {
        let Some(walk) = walk(block) else {
            // Another fault of the block may be found first.
            let result = collect(&mut ours, block, &WIDE).1;
            assert!(result.is_err(), "a block that is not whole: {block:02x?}");
            return;
        };
        let (fields, result) = collect(&mut ours, block, &WIDE);
        let Ok(stats) = result else {
            let error = result.expect_err("not Ok");
            assert_ne!(error, DecodeError::Truncated, "every representation is whole: {block:02x?}");
            if !only_we_refuse(&error) && walk.longest_integer <= 4 {
                others.refuse(block, &error);
            }
            return;
        };
        assert_eq!(
            stats.fields,
            walk.kinds.iter().filter(|kind| !matches!(kind, Kind::SizeUpdate(_))).count()
        );
        // Both refuse integers of more than five bytes in total; ours accepts values below 2^32 in six.
        if walk.longest_integer > 4 {
            return;
        }
        others.read(block, &fields);
    }
}

struct Others<'a> {
    old: hpack::Decoder<'a>,
    httlib: httlib_hpack::Decoder<'a>,
}

impl Others<'_> {
    fn read(&mut self, block: &[u8], fields: &[Kept]) {
        let pairs: Vec<_> = fields.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect();
        let old = self.old.decode(block).expect("crate hpack refuses a block that we accept");
        assert_eq!(mended(&old), mended(&pairs));
        let mut theirs = Vec::new();
        self.httlib.decode(&mut block.to_vec(), &mut theirs).expect("httlib-hpack refuses what we accept");
        let never = httlib_hpack::Decoder::NEVER_INDEXED;
        let theirs: Vec<Kept> = theirs.into_iter().map(|(n, v, flags)| (n, v, flags & never != 0)).collect();
        assert_eq!(theirs, fields);
    }

    fn refuse(&mut self, block: &[u8], error: &DecodeError) {
        assert!(self.old.decode(block).is_err(), "crate hpack accepts what we refuse: {error}");
        // httlib-hpack accepts any padding of a Huffman string, and EOS within one, which RFC 7541 §5.2 declares an
        // error.
        if !matches!(error, DecodeError::HuffmanPadding | DecodeError::HuffmanEos) {
            let accepted = self.httlib.decode(&mut block.to_vec(), &mut Vec::new());
            assert!(accepted.is_err(), "httlib-hpack accepts what we refuse: {error}");
        }
    }
}

/// Corrects the static table of crate `hpack`, which has "accept-" for "accept-charset" in entry 15.
fn mended(list: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    let name = |name: &'_ [u8]| name == b"accept-";
    list.iter().map(|(n, v)| (if name(n) { &b"accept-charset"[..] } else { &n[..] }, &v[..])).collect()
}

/// Returns whether only we refuse: we follow RFC 7541 and they do not, or it leaves the limit to the implementation.
fn only_we_refuse(error: &DecodeError) -> bool {
    match error {
        // Crate `hpack` accepts any size (RUSTSEC-2023-0084), and neither refuses a late or a third update (§4.2,
        // §6.3).
        DecodeError::SizeUpdateTooLarge { .. }
        | DecodeError::SizeUpdateLate
        | DecodeError::TooManySizeUpdates => true,
        // §5.1: each implementation sets its own limit on integers.
        DecodeError::IntegerOverflow { .. } | DecodeError::IntegerTooLong => true,
        _ => false,
    }
}
