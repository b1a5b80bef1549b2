//! Header compression: nanoseconds for each field, decoded and encoded, by halfclose and by the hpack crate.
//!
//! The other peers are measured by programs of their own, on the same blocks: `bench-table --part headers` runs them
//! all in turn.
#![forbid(unsafe_code)]

use std::fs;
use std::hint::black_box;
use std::io::{Error, Result};
use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use halfclose::hpack::{BlockLimits, Decoder, Encoder, Indexing};
use halfclose_bench::blocks::{Corpus, all, grpc};
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
    /// Measure this corpus only.
    #[arg(long)]
    corpus: Option<String>,
    /// Do this work only.
    #[arg(long, value_enum)]
    work: Option<Work>,
    /// Decode the blocks of gRPC with halfclose this many times, and nothing else: to count instructions.
    #[arg(long)]
    count: Option<usize>,
    /// Write the blocks to this directory, for programs in other languages, and do nothing else.
    #[arg(long)]
    dump: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Work {
    /// By halfclose.
    Decode,
    /// By halfclose.
    Encode,
    /// By the hpack crate.
    DecodeByHpack,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(passes) = options.count {
        grpc().iter().for_each(|corpus| (0..passes).for_each(|_| decode(corpus)));
        return Ok(());
    }
    let corpora = all();
    if let Some(directory) = &options.dump {
        return corpora
            .iter()
            .try_for_each(|corpus| fs::write(directory.join(corpus.file_name()), corpus.dump()));
    }
    let wanted = |corpus: &&Corpus| options.corpus.as_ref().is_none_or(|name| *name == corpus.name);
    let mut measured = 0;
    for corpus in corpora.iter().filter(wanted) {
        for work in [Work::Decode, Work::Encode, Work::DecodeByHpack] {
            if options.work.is_none_or(|only| only == work) {
                measure(&options, corpus, work);
                measured += 1;
            }
        }
    }
    if measured == 0 { Err(Error::other("no such corpus")) } else { Ok(()) }
}

fn measure(options: &Options, corpus: &Corpus, work: Work) {
    let (run, fields): (fn(&Corpus), _) = match work {
        Work::Decode => (decode, options.fields),
        Work::Encode => (encode, options.fields),
        // It builds a tree for every Huffman string, so a thousandth of the work takes as long.
        Work::DecodeByHpack => (decode_by_hpack, options.fields / 200),
    };
    let passes = (fields / corpus.fields()).max(1);
    let mut samples = Samples::default();
    for _ in 0..options.rounds {
        let start = Instant::now();
        (0..passes).for_each(|_| run(black_box(corpus)));
        samples.push(start.elapsed().as_nanos() as f64 / (passes * corpus.fields()) as f64);
    }
    let corpus = corpus.name.replace([' ', ','], "-");
    println!("corpus={corpus} work={work:?} ns_per_field={:.3}", samples.median());
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
