//! RFC 7541: header blocks that cannot be decoded, and some that can.

use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::{Connection, Fine};
use halfclose_conformance::cases;
use halfclose_wire::{Block, END_STREAM, headers};

const COMPRESSION: ErrorCode = ErrorCode::COMPRESSION_ERROR;

/// Returns a block on stream 1 that ends it.
fn last(block: &[u8]) -> Vec<u8> {
    headers(1, END_STREAM, block)
}

/// Returns a request on stream 1 whose block begins with `start`.
fn request(start: Block) -> Vec<u8> {
    headers(1, 0, &start.raw(&Block::request().0).0)
}

/// Returns response headers on stream 1 whose block begins with `start`.
fn response(start: Block) -> Vec<u8> {
    headers(1, 0, &start.raw(&Block::response().0).0)
}

/// Returns a block whose field enters the table and is used in the same block.
fn indexed(head: Block) -> Vec<u8> {
    headers(1, 0, &head.indexing(b"x-name", b"x-value").index(62).0)
}

/// Returns a field larger than the table, which it empties, followed by an index that is invalid then.
fn larger_than_the_table(head: Block) -> Vec<u8> {
    headers(1, 0, &head.indexing(b"x-small", b"1").indexing(b"x-large", &[b'x'; 5_000]).0)
}

/// Returns a literal that is never indexed.
fn never_indexed(head: Block) -> Vec<u8> {
    headers(1, 0, &head.raw(&[0x10, 1, b'x', 1, b'y']).0)
}

cases! {
    /// Blocks that cannot be decoded.
    both of [server client] {
        rfc9113_4_3_a_block_that_cannot_be_decoded "a block that HPACK cannot decode" Open
            last(&[0xff; 6]) => Connection(COMPRESSION);
        rfc7541_2_3_3_index_0 "index 0" Open last(&[0x80]) => Connection(COMPRESSION);
        rfc7541_2_3_3_an_index_beyond_both_tables "an index beyond both tables" Open
            last(&[0xbe]) => Connection(COMPRESSION);
        rfc7541_2_3_3_a_name_beyond_both_tables "the name of an index beyond both tables" Open
            last(&[0x7f, 0x00, 1, b'x']) => Connection(COMPRESSION);
        rfc7541_4_2_a_size_update_after_a_field "a size update after a field" Open
            last(&[0x88, 0x20]) => Connection(COMPRESSION);
        rfc7541_4_2_three_size_updates "three size updates in one block" Open
            last(&Block::new().resize(0).resize(1).resize(2).0) => Connection(COMPRESSION);
        rfc7541_4_4_an_index_of_an_evicted_entry "the index of an entry that a larger one evicted" Open
            last(&Block::new().indexing(b"x", b"1").indexing(b"x", &[0; 5_000]).index(62).0) => Connection(COMPRESSION);
        rfc7541_5_1_an_integer_of_six_bytes "an integer of six bytes" Open
            last(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]) => Connection(COMPRESSION);
        rfc7541_5_1_an_integer_over_32_bits "an integer over 2^32-1" Open
            last(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]) => Connection(COMPRESSION);
        rfc7541_5_1_an_integer_cut_short "an integer that is cut short" Open last(&[0xff]) => Connection(COMPRESSION);
        rfc7541_5_2_a_string_cut_short "a string that is cut short" Open
            last(&[0x00, 0x05, b'x']) => Connection(COMPRESSION);
        rfc7541_5_2_padding_of_eight_bits "Huffman padding of eight bits" Open
            last(&[0x00, 0x82, 0xf8, 0xff, 0x01, b'x']) => Connection(COMPRESSION);
        rfc7541_5_2_padding_of_zeros "Huffman padding that is not the start of EOS" Open
            last(&[0x00, 0x81, 0x18, 0x01, b'x']) => Connection(COMPRESSION);
        rfc7541_5_2_eos_in_a_string "EOS in a Huffman string" Open
            last(&[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, b'x']) => Connection(COMPRESSION);
        rfc7541_6_3_a_size_update_over_the_announced_size "a size update over the announced size" Open
            last(&[0x3f, 0xe2, 0x1f]) => Connection(COMPRESSION);
    }
}

cases! {
    /// What a decoder keeps from block to block, in requests.
    requests of [server] {
        rfc9113_4_3_1_no_size_update_after_the_table_shrank "no size update after a smaller table was acknowledged" Settings
            @(|config| config.limits.decoder_table = 0)
            last(&[0x88]) => Connection(COMPRESSION);
        rfc7541_4_2_two_size_updates "two size updates in the beginning" Settings
            request(Block::new().resize(0).resize(4_096)) => Fine;
        rfc7541_4_4_an_entry_larger_than_the_table "a field larger than the table" Settings
            larger_than_the_table(Block::request()) => Fine;
        rfc7541_6_1_an_index_of_the_dynamic_table "an index of the dynamic table" Settings
            indexed(Block::request()) => Fine;
        rfc7541_6_2_3_a_literal_never_indexed "a literal that is never indexed" Settings
            never_indexed(Block::request()) => Fine;
    }
}

cases! {
    /// The same in responses.
    responses of [client] {
        rfc9113_4_3_1_no_size_update_after_the_table_shrank "no size update after a smaller table was acknowledged" HalfClosed
            @(|config| config.limits.decoder_table = 0)
            last(&[0x88]) => Connection(COMPRESSION);
        rfc7541_4_2_two_size_updates "two size updates in the beginning" HalfClosed
            response(Block::new().resize(0).resize(4_096)) => Fine;
        rfc7541_4_4_an_entry_larger_than_the_table "a field larger than the table" HalfClosed
            larger_than_the_table(Block::response()) => Fine;
        rfc7541_6_1_an_index_of_the_dynamic_table "an index of the dynamic table" HalfClosed
            indexed(Block::response()) => Fine;
        rfc7541_6_2_3_a_literal_never_indexed "a literal that is never indexed" HalfClosed
            never_indexed(Block::response()) => Fine;
    }
}
