//! The loads by name.

use std::str::FromStr;
use std::time::Duration;

use super::{bidi, cancels, deadlines, four_types, metadata, outage, trailers_only, transfers};
use crate::client::{Failure, LoadSize, Target, loads};

/// A load, with its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// This many calls at once, each with one request of this many bytes.
    Uploads(usize, usize),
    /// As [`Load::Uploads`] with requests over the server's limit: each call is refused, and the connection
    /// continues.
    Refused(usize, usize),
    /// This many calls at once, each with one response of this many bytes.
    Downloads(usize, usize),
    /// This many streams, each of which sends requests of this many bytes and gets as much back, for this many
    /// seconds.
    Bidi(usize, usize, usize),
    /// As [`Load::Bidi`], where each stream waits for the answer to a message before it sends the next one.
    Turns(usize, usize, usize),
    /// This many callers, who make this many calls in total, of the four call types in turn.
    FourTypes(usize, usize),
    /// This many calls for each status code, all of which fail without a response.
    TrailersOnly(usize),
    /// This many calls for each of some status messages that begin or end with spaces.
    Spaces(usize),
    /// Calls whose metadata has this many bytes, which are returned.
    Metadata(usize),
    /// This many callers, who make this many calls in total, each of which exceeds its deadline.
    Deadlines(usize, usize),
    /// This many callers, who make this many calls in total, of which one in five is cancelled or exceeds its
    /// deadline.
    Cancels(usize, usize),
    /// This many callers for this many seconds, while the proxy between them and the server is replaced gracefully:
    /// no call fails apart from those that were certainly not processed, and these are made again.
    Reload(usize, usize),
    /// This many callers, who make this many calls in total, each of which the server ends while small messages are
    /// in flight to it.
    EndedEarly(usize, usize),
    /// As [`Load::EndedEarly`], but the client drops the calls, and messages are in flight both ways.
    DroppedEarly(usize, usize),
    /// As [`Load::Reload`], while the proxy is stopped and started again: calls that are cut end with UNAVAILABLE,
    /// and give the reason.
    Restart(usize, usize),
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, numbers) = text.split_once(':').ok_or_else(|| format!("{text}: no numbers"))?;
        let numbers = numbers.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>();
        let numbers = numbers.map_err(|error| format!("{text}: {error}"))?;
        match (name, numbers.as_slice()) {
            ("uploads", &[calls, bytes]) => Ok(Self::Uploads(calls, bytes)),
            ("refused", &[calls, bytes]) => Ok(Self::Refused(calls, bytes)),
            ("downloads", &[calls, bytes]) => Ok(Self::Downloads(calls, bytes)),
            ("bidi", &[streams, bytes, seconds]) => Ok(Self::Bidi(streams, bytes, seconds)),
            ("turns", &[streams, bytes, seconds]) => Ok(Self::Turns(streams, bytes, seconds)),
            ("four_types", &[callers, calls]) => Ok(Self::FourTypes(callers, calls)),
            ("trailers_only", &[calls]) => Ok(Self::TrailersOnly(calls)),
            ("spaces", &[calls]) => Ok(Self::Spaces(calls)),
            ("metadata", &[bytes]) => Ok(Self::Metadata(bytes)),
            ("deadlines", &[callers, calls]) => Ok(Self::Deadlines(callers, calls)),
            ("cancels", &[callers, calls]) => Ok(Self::Cancels(callers, calls)),
            ("ended_early", &[callers, calls]) => Ok(Self::EndedEarly(callers, calls)),
            ("dropped_early", &[callers, calls]) => Ok(Self::DroppedEarly(callers, calls)),
            ("reload", &[callers, seconds]) => Ok(Self::Reload(callers, seconds)),
            ("restart", &[callers, seconds]) => Ok(Self::Restart(callers, seconds)),
            _ => Err(format!("{text}: no such load with {} numbers", numbers.len())),
        }
    }
}

impl Load {
    /// Runs the load. Returns its measurements.
    ///
    /// # Errors
    ///
    /// The check that failed.
    pub async fn run(self, target: &Target) -> Result<String, Failure> {
        match self {
            Self::Uploads(calls, bytes) => transfers::uploads(target, calls, bytes).await,
            Self::Refused(calls, bytes) => transfers::refused(target, calls, bytes).await,
            Self::Downloads(calls, bytes) => transfers::downloads(target, calls, bytes).await,
            Self::Bidi(streams, bytes, seconds) => bidi::bidi(target, streams, bytes, time(seconds)).await,
            Self::Turns(streams, bytes, seconds) => bidi::turns(target, streams, bytes, time(seconds)).await,
            Self::FourTypes(callers, calls) => four_types::four_types(target, callers, calls).await,
            Self::TrailersOnly(calls) => trailers_only::trailers_only(target, calls).await,
            Self::Spaces(calls) => trailers_only::spaces(target, calls).await,
            Self::Metadata(bytes) => metadata::metadata(target, bytes).await,
            Self::Deadlines(callers, calls) => deadlines::deadlines(target, callers, calls).await,
            Self::Cancels(callers, calls) => cancels::cancels(target, callers, calls).await,
            Self::EndedEarly(callers, calls) => loads::ended_early(&sized(target, callers, calls)).await,
            Self::DroppedEarly(callers, calls) => loads::dropped_early(&sized(target, callers, calls)).await,
            Self::Reload(callers, seconds) => outage::reload(target, callers, time(seconds)).await,
            Self::Restart(callers, seconds) => outage::restart(target, callers, time(seconds)).await,
        }
    }
}

/// Returns the target of a case that reads its numbers there.
fn sized(target: &Target, at_once: usize, calls: usize) -> Target {
    Target { load: LoadSize { calls, at_once: at_once.max(1), ..target.load }, ..target.clone() }
}

fn time(seconds: usize) -> Duration {
    Duration::from_secs(seconds as u64)
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn a_load_is_told_by_its_name_and_its_numbers() {
        assert_eq!("uploads:5x4000000".parse(), Ok(Load::Uploads(5, 4_000_000)));
        assert_eq!("bidi:16x100000x3".parse(), Ok(Load::Bidi(16, 100_000, 3)));
        assert_eq!("trailers_only:20".parse(), Ok(Load::TrailersOnly(20)));
        for wrong in
            ["uploads", "uploads:", "uploads:5", "uploads:5x6x7", "uploads:5xlarge", "load:1x1", ":1x1"]
        {
            assert!(wrong.parse::<Load>().is_err(), "{wrong}");
        }
    }
}
