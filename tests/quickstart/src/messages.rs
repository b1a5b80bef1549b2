//! What both sides know: the service `demo.Words`, generated from `proto/words.proto` by the build script.

mod proto {
    halfclose_tokio::include_protos!();
}

pub(crate) use proto::demo::{Count, Word, Words, WordsClient, WordsServer};

pub(crate) fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

pub(crate) fn letters(word: &Word) -> u32 {
    u32::try_from(word.text.chars().count()).unwrap_or(u32::MAX)
}
