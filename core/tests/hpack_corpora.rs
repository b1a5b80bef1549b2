//! The stories of http2jp/hpack-test-case: blocks of other encoders decode to the lists that their authors give, and
//! our encoder's blocks for the same lists decode to them as well.

use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use halfclose_wire::{bytes_of, corpus, json_files};
use serde_json::Value;

const LIMITS: BlockLimits = BlockLimits { max_string: 65_536, max_list_size: 1 << 20 };

type List = Vec<(Vec<u8>, Vec<u8>)>;

struct Case {
    table_size: Option<usize>,
    wire: Vec<u8>,
    list: List,
}

/// Returns all stories of a corpus; none if it is absent.
fn stories(name: &str) -> Vec<(String, Vec<Case>)> {
    let Some(folder) = corpus(&format!("hpack-test-case/{name}")) else { return Vec::new() };
    let files = json_files(&folder);
    assert!(!files.is_empty(), "an empty corpus");
    files.into_iter().map(|(name, file)| (name, story(&file))).collect()
}

fn story(story: &Value) -> Vec<Case> {
    story["cases"].as_array().unwrap().iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    Case {
        table_size: case["header_table_size"].as_u64().map(|size| size as usize),
        wire: case["wire"].as_str().map(bytes_of).unwrap_or_default(),
        list: case["headers"].as_array().unwrap().iter().map(field).collect(),
    }
}

fn field(field: &Value) -> (Vec<u8>, Vec<u8>) {
    let (name, value) = field.as_object().unwrap().iter().next().unwrap();
    (name.clone().into_bytes(), value.as_str().unwrap().to_owned().into_bytes())
}

fn decoded(decoder: &mut Decoder, block: &[u8], story: &str) -> List {
    let mut list = Vec::new();
    let stats =
        decoder.decode(block, &LIMITS, |field| list.push((field.name.to_vec(), field.value.to_vec())));
    let stats = stats.unwrap_or_else(|error| panic!("{story}: {error}"));
    let size: usize = list.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    assert_eq!((stats.fields, stats.list_size), (list.len(), size), "{story}");
    list
}

fn decodes(corpus: &str) {
    for (name, cases) in stories(corpus) {
        let mut decoder = Decoder::new(4096);
        for case in cases {
            if let Some(size) = case.table_size {
                decoder.set_max_table_size(size);
            }
            assert!(decoded(&mut decoder, &case.wire, &name) == case.list, "{name}");
        }
    }
}

/// Encodes every list under changing table sizes and indexing and decodes it again. Returns the bytes written and
/// read.
fn round_trips(corpus: &str, sizes: &[usize], choose: fn(usize) -> Indexing) -> (usize, usize) {
    let (mut wire, mut plain) = (0, 0);
    for (name, cases) in stories(corpus) {
        let mut decoder = Decoder::new(4096);
        let mut encoder = Encoder::new(4096);
        for (number, case) in cases.iter().enumerate() {
            if !sizes.is_empty() {
                let size = sizes[number % sizes.len()];
                decoder.set_max_table_size(size);
                encoder.set_peer_max_table_size(size as u32);
            }
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (at, (name, value)) in case.list.iter().enumerate() {
                encoder.field(name, value, choose(at), &mut block);
                plain += name.len() + value.len();
            }
            wire += block.len();
            assert!(decoded(&mut decoder, &block, &name) == case.list, "{name}");
            assert_eq!(encoder.table_size(), decoder.table_size(), "{name}");
        }
    }
    (wire, plain)
}

#[test]
fn decodes_go_hpack() {
    decodes("go-hpack");
}

#[test]
fn decodes_haskell_linear_huffman() {
    decodes("haskell-http2-linear-huffman");
}

#[test]
fn decodes_nghttp2() {
    decodes("nghttp2");
}

#[test]
fn decodes_nghttp2_with_changing_table_sizes() {
    decodes("nghttp2-change-table-size");
}

#[test]
fn round_trips_the_raw_stories() {
    let (wire, plain) = round_trips("raw-data", &[], |_| Indexing::Incremental);
    println!("{plain} bytes of names and values in {wire} bytes of blocks");
    assert!(wire * 100 <= plain * 35, "{wire} of {plain}");
}

#[test]
fn round_trips_with_changing_table_sizes_and_indexing() {
    round_trips("raw-data", &[4096, 0, 100, 4096, 1000, 60_000], |_| Indexing::Incremental);
    round_trips("raw-data", &[4096, 300], |at| match at % 3 {
        0 => Indexing::Incremental,
        1 => Indexing::Without,
        _ => Indexing::Never,
    });
}
