//! The messages and methods of the service that both sides know, `demo.Words`. From a `.proto` file they would be
//! generated; written by hand they look like this.

use halfclose_tokio::{Many, Method, Prost};

/// One word.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Word {
    /// Its text.
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// A number of letters.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Count {
    /// How many.
    #[prost(uint32, tag = "1")]
    pub(crate) letters: u32,
}

/// The letters of one word: one request, one response.
pub(crate) const MEASURE: Method<Word, Count, Prost> = Method::new("/demo.Words/Measure");
/// The letters of many words: many requests, one response.
pub(crate) const SUM: Method<Many<Word>, Count, Prost> = Method::new("/demo.Words/Sum");
/// A word, letter by letter: one request, many responses.
pub(crate) const SPELL: Method<Word, Many<Word>, Prost> = Method::new("/demo.Words/Spell");
/// Words back in capitals: many requests, many responses.
pub(crate) const SHOUT: Method<Many<Word>, Many<Word>, Prost> = Method::new("/demo.Words/Shout");

pub(crate) fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

pub(crate) fn letters(word: &Word) -> u32 {
    u32::try_from(word.text.chars().count()).unwrap_or(u32::MAX)
}
