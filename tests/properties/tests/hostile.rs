//! Hostile peers, from fixed seeds.
//!
//! `HALFCLOSE_HOSTILE=1000..11000 cargo test --release -p halfclose-properties --test hostile` plays other seeds.

use std::ops::Range;
use std::panic::catch_unwind;

use halfclose_properties::hostile;

fn seeds(most: u64) -> Range<u64> {
    let Ok(range) = std::env::var("HALFCLOSE_HOSTILE") else { return 0..most };
    let (from, to) = range.split_once("..").expect("HALFCLOSE_HOSTILE is a range, such as 17..18");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn an_honest_end_keeps_every_property_whatever_its_peer_does() {
    let failed: Vec<u64> = seeds(200).filter(|seed| catch_unwind(|| hostile(*seed)).is_err()).collect();
    assert!(failed.is_empty(), "seeds {failed:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in seeds(20) {
        assert!(hostile(seed) == hostile(seed), "seed {seed}");
    }
}
