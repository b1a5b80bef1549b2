//! Header blocks to decode and lists to encode: stories of http2jp/hpack-test-case, and blocks as gRPC's clients send
//! them.

use std::fs;
use std::path::PathBuf;

use halfclose::hpack::{Encoder, Indexing};
use serde_json::Value;

use crate::service::UNARY_CALL;

/// A list of fields.
pub type List = Vec<(Vec<u8>, Vec<u8>)>;

/// One block and its fields.
#[derive(Clone, Debug)]
pub struct Block {
    /// The block.
    pub wire: Vec<u8>,
    /// Its fields.
    pub list: List,
}

/// The blocks of one connection, in their order.
pub type Story = Vec<Block>;

/// Stories of one kind.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Its name.
    pub name: String,
    /// The stories.
    pub stories: Vec<Story>,
    /// Blocks at the front of each story that only fill the table: they are decoded and not counted.
    pub warm: usize,
}

impl Corpus {
    /// Returns the number of fields that count.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.counted().map(|block| block.list.len()).sum()
    }

    /// Returns a file name for it.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.blocks", self.name.replace([' ', ','], "-"))
    }

    /// Returns its bytes, for programs in other languages: for each story the number of its blocks, and of those that
    /// only fill the table; for each block the number of its fields and its bytes, its bytes, and for each field the
    /// lengths of name and value, and both. Numbers have 32 bits, the least byte first.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let numbers = |out: &mut Vec<u8>, values: [usize; 2]| {
            for value in values {
                out.extend_from_slice(&u32::try_from(value).unwrap_or(0).to_le_bytes());
            }
        };
        for story in &self.stories {
            numbers(&mut out, [story.len(), self.warm]);
            for block in story {
                numbers(&mut out, [block.list.len(), block.wire.len()]);
                out.extend_from_slice(&block.wire);
                for (name, value) in &block.list {
                    numbers(&mut out, [name.len(), value.len()]);
                    out.extend_from_slice(name);
                    out.extend_from_slice(value);
                }
            }
        }
        out
    }

    /// Returns the blocks that count.
    pub fn counted(&self) -> impl Iterator<Item = &Block> {
        self.stories.iter().flat_map(|story| story.iter().skip(self.warm))
    }
}

/// Returns the corpora that are present, and the blocks of gRPC.
#[must_use]
pub fn all() -> Vec<Corpus> {
    let mut all: Vec<Corpus> = ["nghttp2", "go-hpack", "haskell-http2-linear-huffman"]
        .into_iter()
        .filter_map(|name| match stories(name) {
            Some(stories) => Some(Corpus { name: name.to_owned(), stories, warm: 0 }),
            None => {
                eprintln!("skipped: no corpus {name} (set HALFCLOSE_DATA)");
                None
            }
        })
        .collect();
    all.extend(grpc());
    all
}

fn stories(corpus: &str) -> Option<Vec<Story>> {
    let data = std::env::var_os("HALFCLOSE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let mut paths: Vec<_> = fs::read_dir(data.join("hpack-test-case").join(corpus))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|path| story(&fs::read(path).ok()?)).collect()
}

fn story(json: &[u8]) -> Option<Story> {
    let story: Value = serde_json::from_slice(json).ok()?;
    story.get("cases")?.as_array()?.iter().map(block).collect()
}

fn block(case: &Value) -> Option<Block> {
    let wire = unhex(case.get("wire")?.as_str()?)?;
    let list = case.get("headers")?.as_array()?.iter().map(field).collect::<Option<_>>()?;
    Some(Block { wire, list })
}

fn field(field: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let (name, value) = field.as_object()?.iter().next()?;
    Some((name.clone().into_bytes(), value.as_str()?.to_owned().into_bytes()))
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// Returns blocks of gRPC's requests, the second of a connection and the same repeatedly: all indexed, with the path
/// as a literal (as h2 and nghttp2 send it), and with a timeout that is never indexed.
#[must_use]
pub fn grpc() -> Vec<Corpus> {
    let table = |path, timeout| {
        let mut encoder = Encoder::new(4096);
        let list = grpc_list(timeout);
        let mut story: Story = Vec::new();
        for _ in 0..101 {
            let mut wire = Vec::new();
            encoder.begin(&mut wire);
            for (name, value) in &list {
                let indexing = match name.as_slice() {
                    b":path" => path,
                    b"grpc-timeout" => Indexing::Without,
                    _ => Indexing::Incremental,
                };
                encoder.field(name, value, indexing, &mut wire);
            }
            story.push(Block { wire, list: list.clone() });
        }
        vec![story]
    };
    [
        ("gRPC, all indexed", Indexing::Incremental, false),
        ("gRPC, path literal", Indexing::Without, false),
        ("gRPC, timeout literal", Indexing::Incremental, true),
    ]
    .into_iter()
    .map(|(name, path, timeout)| Corpus { name: name.to_owned(), stories: table(path, timeout), warm: 1 })
    .collect()
}

fn grpc_list(timeout: bool) -> List {
    let mut list = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", UNARY_CALL),
        (":authority", "localhost:50051"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-rust/1.0.0"),
    ];
    if timeout {
        list.push(("grpc-timeout", "999876u"));
    }
    list.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfclose::hpack::{BlockLimits, Decoder};

    #[test]
    fn every_block_says_what_its_list_says() {
        let limits = BlockLimits { max_string: 65_536, max_list_size: 1 << 20 };
        for corpus in all() {
            assert!(corpus.fields() > 0, "{}", corpus.name);
            for story in &corpus.stories {
                let mut decoder = Decoder::new(4096);
                for block in story {
                    let mut list = List::new();
                    decoder
                        .decode(&block.wire, &limits, |field| {
                            list.push((field.name.into(), field.value.into()));
                        })
                        .unwrap();
                    assert_eq!(list, block.list);
                }
            }
        }
    }
}
