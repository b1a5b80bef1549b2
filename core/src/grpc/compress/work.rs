//! One message on its way through a codec, apart from its connection: what it costs, and what becomes of a codec that
//! panics.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::{CodecIndex, CompressError, DecompressError, MessageCodec};
use crate::payload::MessagePayload;

/// What a message costs by itself, in the unit of [`Decompression::work`]: a codec's state is made and dropped for it.
const EACH_MESSAGE: u64 = 16 * 1024;
/// The cost of a byte of input in bytes of output: an empty block is little more than one byte and costs as much work
/// as this many bytes of output.
const EACH_INPUT_BYTE: u64 = 32;

/// Returns the cost of these bytes of input and output.
pub(super) fn work_of(taken: usize, given: usize) -> u64 {
    (taken as u64).saturating_mul(EACH_INPUT_BYTE).saturating_add(given as u64)
}

/// Runs foreign code that may panic. Its message is lost then, and nothing else: a codec keeps no state.
fn contained<T>(codec: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(codec)).ok()
}

/// Decompresses one payload, a bounded step at a time. A codec whose work grows with its input implements it
/// ([`MessageCodec::unpack_steps`]), so that a message that is made to cost much holds nobody up.
pub trait UnpackSteps: Send {
    /// Goes on until `most` units of [`Decompression::work`] are done, and a little more. `payload` is the same each
    /// time. Returns the message once it is whole, and then is not called again.
    ///
    /// # Errors
    /// [`DecompressError`]: it is not called again.
    fn advance(&mut self, payload: &[u8], most: u64) -> Result<Option<Bytes>, DecompressError>;

    /// Returns how many bytes of the payload were used and how many have come out of them.
    fn progress(&self) -> (usize, usize);
}

/// A received message that is still compressed: [`LazyRecv::Compressed`](crate::LazyRecv::Compressed).
///
/// It belongs to its caller, who decompresses it when others have had their turn, on another thread perhaps.
pub struct Decompression {
    codec: Arc<dyn MessageCodec>,
    payload: Bytes,
    max: usize,
    stage: Stage,
    work: u64,
}

/// How far it is.
enum Stage {
    Fresh,
    Stepping(Box<dyn UnpackSteps>),
    Over,
}

impl Decompression {
    pub(crate) fn new(codec: &Arc<dyn MessageCodec>, payload: Bytes, max: usize) -> Self {
        Self { codec: Arc::clone(codec), payload, max, stage: Stage::Fresh, work: EACH_MESSAGE }
    }

    /// Returns what was done for this message so far, for callers that give others their turn now and then: a byte that
    /// comes out counts as one, a byte that goes in as 32, and the message by itself as 16 KiB. Two million are about a
    /// millisecond at most.
    #[must_use]
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// Decompresses until about `most` units of [`work`](Self::work) are done. Returns the message once it is whole. A
    /// codec without [`UnpackSteps`] does all of its work at once.
    ///
    /// # Errors
    /// [`DecompressError`]: tell the connection by [`fail_message`](crate::Connection::fail_message).
    pub fn advance(&mut self, most: u64) -> Result<Option<Bytes>, DecompressError> {
        let (codec, payload, max) = (&self.codec, &self.payload, self.max);
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Fresh => match contained(|| codec.unpack_steps(max)) {
                Some(Some(steps)) => self.step(steps, most),
                Some(None) => {
                    let all = contained(|| codec.decompress(payload, max));
                    let all = all.unwrap_or(Err(DecompressError::Panicked));
                    let given = all.as_ref().map_or(max, Bytes::len);
                    self.work = self.work.saturating_add(work_of(payload.len(), given));
                    all.map(Some)
                }
                None => Err(DecompressError::Panicked),
            },
            Stage::Stepping(steps) => self.step(steps, most),
            Stage::Over => Err(DecompressError::Corrupt),
        }
    }

    fn step(&mut self, mut steps: Box<dyn UnpackSteps>, most: u64) -> Result<Option<Bytes>, DecompressError> {
        let payload = &self.payload;
        let Some((advanced, (taken, given))) = contained(|| (steps.advance(payload, most), steps.progress()))
        else {
            return Err(DecompressError::Panicked);
        };
        let given = if let Ok(Some(all)) = &advanced { all.len() } else { given };
        self.work = EACH_MESSAGE.saturating_add(work_of(taken, given));
        if let Ok(None) = advanced {
            self.stage = Stage::Stepping(steps);
        }
        advanced
    }

    /// Decompresses all of it.
    pub(crate) fn finish(mut self) -> (Result<Bytes, DecompressError>, u64) {
        loop {
            match self.advance(u64::MAX) {
                Ok(None) => {}
                Ok(Some(all)) => return (Ok(all), self.work),
                Err(error) => return (Err(error), self.work),
            }
        }
    }
}

impl fmt::Debug for Decompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompression")
            .field("codec", &self.codec)
            .field("length", &self.payload.len())
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}

/// How the messages of a call are compressed, for callers that do it apart from the connection
/// ([`Connection::compression`](crate::Connection::compression)).
#[derive(Clone, Debug)]
pub struct Compression {
    codec: Arc<dyn MessageCodec>,
    index: CodecIndex,
}

impl Compression {
    pub(crate) fn new(codec: &Arc<dyn MessageCodec>, index: CodecIndex) -> Self {
        Self { codec: Arc::clone(codec), index }
    }

    /// Compresses a message, for [`send_compressed`](crate::Connection::send_compressed).
    ///
    /// # Errors
    /// [`CompressError`] when the codec fails, or panics.
    pub fn compress(&self, mut payload: MessagePayload) -> Result<CompressedPayload, CompressError> {
        let (size, mut bytes) = (payload.len(), Vec::new());
        let plain = payload.join();
        let compressed = contained(|| self.codec.compress(plain, &mut bytes));
        compressed.unwrap_or(Err(CompressError))?;
        Ok(CompressedPayload { index: self.index, size, bytes: bytes.into() })
    }
}

/// A message to send that is compressed already.
#[derive(Clone, Debug)]
pub struct CompressedPayload {
    /// The codec that did it.
    pub(crate) index: CodecIndex,
    /// Its length before that.
    pub(crate) size: usize,
    pub(crate) bytes: Bytes,
}
