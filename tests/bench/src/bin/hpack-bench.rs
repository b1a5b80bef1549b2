//! Header compression: nanoseconds for each field, decoded and encoded, by halfclose, by the hpack crate, and (with
//! `--features peers`) by h2 as far as that can be reached.
//!
//! h2 keeps its header compression to itself, so what is measured of it is its reader of whole HEADERS frames, with the
//! `HeaderMap` that it makes. nghttp2 is measured by a program of its own: `tests/bench/c/run.sh`.
#![forbid(unsafe_code)]

use std::fs;
use std::hint::black_box;
use std::io::Result;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use halfclose_bench::blocks::{Corpus, all};
use halfclose_bench::table::Samples;

const LIMITS: BlockLimits = BlockLimits { max_string: 65_536, max_list_size: 1 << 20 };

/// Nanoseconds a field, decoded and encoded.
#[derive(Parser)]
struct Options {
    /// Measurements of each; the median counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Fields of one measurement.
    #[arg(long, default_value_t = 400_000)]
    fields: usize,
    /// Decode the blocks of gRPC with halfclose so many times, and nothing else: to count instructions.
    #[arg(long)]
    count: Option<usize>,
    /// Write the blocks to this directory, for the program in C, and do nothing else.
    #[arg(long)]
    dump: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let corpora = all();
    if let Some(passes) = options.count {
        let grpc = corpora.iter().filter(|corpus| corpus.name.starts_with("gRPC"));
        grpc.for_each(|corpus| (0..passes).for_each(|_| decode(corpus)));
        return Ok(());
    }
    if let Some(directory) = &options.dump {
        return corpora.iter().try_for_each(|corpus| {
            let name = corpus.name.replace([' ', ','], "-");
            fs::write(directory.join(format!("{name}.blocks")), dump(corpus))
        });
    }
    println!("| corpus | who | ns a field, median [min..max] | ratio to halfclose |\n|---|---|---|---|");
    for corpus in &corpora {
        compare(&options, corpus);
    }
    Ok(())
}

type Work = fn(&Corpus);

fn compare(options: &Options, corpus: &Corpus) {
    let mut contestants: Vec<(&str, Work, usize)> = vec![
        ("halfclose, decode", decode, options.fields),
        // It builds a tree for every Huffman string: a thousandth of the work is as long.
        ("hpack 0.3, decode", decode_by_hpack, options.fields / 200),
    ];
    #[cfg(feature = "peers")]
    contestants.push(("h2, HEADERS frames to HeaderMap", by_h2::decode, options.fields));
    contestants.push(("halfclose, encode", encode, options.fields));
    let mut figures = vec![Samples::default(); contestants.len()];
    for _ in 0..options.rounds {
        for ((_, work, fields), figure) in contestants.iter().zip(&mut figures) {
            let passes = (fields / corpus.fields()).max(1);
            let start = Instant::now();
            (0..passes).for_each(|_| work(black_box(corpus)));
            figure.push(start.elapsed().as_nanos() as f64 / (passes * corpus.fields()) as f64);
        }
    }
    let Some(first) = figures.first() else { return };
    for ((name, ..), figure) in contestants.iter().zip(&figures) {
        println!("| {} | {name} | {figure} | {} |", corpus.name, figure.over(first));
    }
}

fn decode(corpus: &Corpus) {
    for story in &corpus.stories {
        let mut decoder = Decoder::new(4096);
        for block in story {
            let decoded = decoder.decode(&block.wire, &LIMITS, |field| {
                black_box((field.name, field.value));
            });
            assert_eq!(decoded.map(|stats| stats.fields), Ok(block.list.len()));
        }
    }
}

fn decode_by_hpack(corpus: &Corpus) {
    for story in &corpus.stories {
        let mut decoder = hpack::Decoder::new();
        for block in story {
            let mut fields = 0;
            let decoded = decoder.decode_with_cb(&block.wire, |name, value| {
                fields += 1;
                black_box((name, value));
            });
            assert!(decoded.is_ok() && fields == block.list.len());
        }
    }
}

fn encode(corpus: &Corpus) {
    let mut wire = Vec::new();
    for story in &corpus.stories {
        let mut encoder = Encoder::new(4096);
        for block in story {
            wire.clear();
            encoder.begin(&mut wire);
            for (name, value) in &block.list {
                let indexing =
                    if name == b"grpc-timeout" { Indexing::Without } else { Indexing::Incremental };
                encoder.field(name, value, indexing, &mut wire);
            }
            black_box(&wire);
        }
    }
}

#[cfg(feature = "peers")]
mod by_h2 {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use halfclose::frame::{Flags, FrameHead, Kind, StreamId};
    use halfclose_bench::blocks::Corpus;
    use tokio_stream::Stream;

    /// Reads every block of a story as a HEADERS frame.
    pub(super) fn decode(corpus: &Corpus) {
        for story in &corpus.stories {
            let mut octets = Vec::new();
            for (nth, block) in (0..).zip(story) {
                let length = u32::try_from(block.wire.len()).unwrap_or(0);
                let stream = StreamId::new(2 * nth + 1);
                let flags = Flags::END_HEADERS;
                FrameHead { length, kind: Kind::Headers, flags, stream }.write(&mut octets);
                octets.extend_from_slice(&block.wire);
            }
            let pipe = tokio::io::join(octets.as_slice(), tokio::io::sink());
            let mut codec = h2::Codec::<_, Bytes>::new(pipe);
            let mut cx = Context::from_waker(Waker::noop());
            let mut frames = 0;
            while let Poll::Ready(Some(frame)) = Pin::new(&mut codec).poll_next(&mut cx) {
                assert!(frame.is_ok());
                frames += 1;
            }
            assert_eq!(frames, story.len());
        }
    }
}

/// For each story the number of its blocks, and of those that only fill the table; for each block its fields and its
/// octets; 32-bit numbers, the least octet first.
fn dump(corpus: &Corpus) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |out: &mut Vec<u8>, value: usize| {
        out.extend_from_slice(&u32::try_from(value).unwrap_or(0).to_le_bytes());
    };
    for story in &corpus.stories {
        number(&mut out, story.len());
        number(&mut out, corpus.warm);
        for block in story {
            number(&mut out, block.list.len());
            number(&mut out, block.wire.len());
            out.extend_from_slice(&block.wire);
        }
    }
    out
}
