//! Codecs: conversions between message types and bytes.

use bytes::Bytes;
use halfclose::grpc::content_type::ContentSubtypes;
use halfclose::{MessagePayload, Status};

use crate::outside;

/// Turns messages of type `T` into bytes and back.
///
/// A codec has no state: it is a type that a [`Method`](crate::Method) names. `Prost` is for protocol buffers, `Json`
/// for anything that serde supports, [`Raw`] for applications that provide the bytes themselves.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_driver::halfclose::Status;
/// use halfclose_driver::{Codec, Sink};
///
/// /// A text in UTF-8.
/// struct Text;
///
/// impl Codec<String> for Text {
///     fn size_hint(message: &String) -> usize {
///         message.len()
///     }
///
///     fn encode(message: &String, sink: &mut Sink) -> Result<(), Status> {
///         sink.put_slice(message.as_bytes());
///         Ok(())
///     }
///
///     fn decode(payload: Bytes) -> Result<String, Status> {
///         String::from_utf8(payload.into()).map_err(|error| Status::internal(error.to_string()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no codec of `{T}`",
    label = "this codec does not know `{T}`",
    note = "where `{T}` is `Many<_>`, the method is of another call type: that side sends any number of messages"
)]
pub trait Codec<T>: 'static {
    /// The content subtypes whose messages this codec reads and writes ([P-8](halfclose::manual::rules#p-8)): any, unless it
    /// says otherwise. A client sends the first with its requests, and a response with another ends its call with
    /// INTERNAL; a server refuses a request with another by HTTP status 415, and answers in the subtype of the request.
    const CONTENT_SUBTYPES: ContentSubtypes = ContentSubtypes::ANY;

    /// Returns how many bytes [`encode`](Self::encode) will write, as far as that is cheap to compute. The sink
    /// reserves that many. The bytes of large fields that go by reference need not count.
    fn size_hint(message: &T) -> usize {
        let _ = message;
        0
    }

    /// Writes the bytes of a message to the sink, without gRPC's prefix.
    ///
    /// # Errors
    ///
    /// A status, usually INTERNAL, for a message that cannot be encoded; nothing is sent then.
    fn encode(message: &T, sink: &mut Sink) -> Result<(), Status>;

    /// Makes a message from its bytes. `payload` is the message as it was received; a field can keep a slice of it
    /// without copying.
    ///
    /// # Errors
    ///
    /// A status, usually INTERNAL, for invalid bytes; the call ends with it.
    fn decode(payload: Bytes) -> Result<T, Status>;
}

/// The target to which a codec writes a message: bytes that it copies, and whole [`Bytes`] that are sent by
/// reference.
///
/// ```
/// use bytes::{BufMut, Bytes};
/// use halfclose_driver::Sink;
///
/// let mut sink = Sink::new();
/// sink.buffer().put_u32(1);
/// sink.put_bytes(Bytes::from(vec![7; 1 << 20])); // not copied
/// assert_eq!(sink.len(), 4 + (1 << 20));
/// ```
#[derive(Debug, Default)]
pub struct Sink {
    /// The pieces before `tail`.
    done: MessagePayload,
    tail: Vec<u8>,
}

/// The shortest piece that is sent by reference, in bytes. Shorter ones are copied, because each piece costs an entry
/// in the send queue and in the vectored write.
const LEAST_PIECE: usize = 2 * 1024;

impl Sink {
    /// Makes an empty sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of bytes that were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.done.len() + self.tail.len()
    }

    /// Returns whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the buffer to which copied bytes are appended, for libraries that write to a [`BufMut`](bytes::BufMut)
    /// or an [`io::Write`](std::io::Write). Its content is part of the message.
    pub const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends a copy of `bytes`.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends bytes by reference; fewer than 2 KiB are copied. Their owner is dropped on whatever thread is the last to
    /// need them, never while a connection is locked.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < LEAST_PIECE {
            return self.put_slice(&bytes);
        }
        self.close();
        self.done.push(outside::guard(bytes));
    }

    fn close(&mut self) {
        if !self.tail.is_empty() {
            self.done.push(std::mem::take(&mut self.tail).into());
        }
    }

    /// Returns everything that was written.
    #[must_use]
    #[inline]
    pub fn into_payload(mut self) -> MessagePayload {
        if self.done.is_empty() {
            // A vector without spare capacity becomes `Bytes` without a copy.
            return self.tail.into();
        }
        self.close();
        self.done
    }
}

/// Encodes a message. The status of an error is never OK.
#[inline(always)]
pub(crate) fn encode<T, C: Codec<T>>(message: &T) -> Result<MessagePayload, Status> {
    let encoded = outside::contained(|| {
        let mut sink =
            Sink { done: MessagePayload::default(), tail: Vec::with_capacity(C::size_hint(message)) };
        C::encode(message, &mut sink).map(|()| sink.into_payload())
    });
    encoded.unwrap_or_else(|| Err(panicked())).map_err(failure)
}

/// Decodes a message. The status of an error is never OK.
#[inline(always)]
pub(crate) fn decode<T, C: Codec<T>>(payload: Bytes) -> Result<T, Status> {
    let decoded = outside::contained(|| C::decode(payload));
    decoded.unwrap_or_else(|| Err(panicked())).map_err(failure)
}

/// Returns the status of a codec's failure, replacing OK, which would report a success.
#[cold]
fn failure(status: Status) -> Status {
    if status.is_ok() { Status::internal("the codec failed with status OK") } else { status }
}

/// Returns what a call ends with when its codec panics: it concerns no other call.
#[cold]
fn panicked() -> Status {
    Status::internal("the codec panicked")
}

/// Bytes as they are.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn encode(message: &Bytes, sink: &mut Sink) -> Result<(), Status> {
        sink.put_bytes(message.clone());
        Ok(())
    }

    fn decode(payload: Bytes) -> Result<Bytes, Status> {
        Ok(payload)
    }
}

/// Protocol buffers, by the prost crate: `application/grpc` and `application/grpc+proto`.
#[cfg(feature = "prost")]
#[derive(Clone, Copy, Debug)]
pub struct Prost;

#[cfg(feature = "prost")]
impl<T: prost::Message + Default> Codec<T> for Prost {
    const CONTENT_SUBTYPES: ContentSubtypes = ContentSubtypes::PROTO;

    #[inline]
    fn size_hint(message: &T) -> usize {
        message.encoded_len()
    }

    // prost copies `bytes` fields into the given buffer; a `BufMut` that keeps references instead cannot be written
    // without `unsafe`.
    #[inline]
    fn encode(message: &T, sink: &mut Sink) -> Result<(), Status> {
        message.encode_raw(sink.buffer());
        Ok(())
    }

    #[inline]
    fn decode(payload: Bytes) -> Result<T, Status> {
        T::decode(payload)
            .map_err(|error| Status::internal(format!("the message cannot be decoded: {error}")))
    }
}

/// Anything that serde knows, as JSON: `application/grpc+json`.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug)]
pub struct Json;

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Json {
    const CONTENT_SUBTYPES: ContentSubtypes = ContentSubtypes::JSON;

    fn encode(message: &T, sink: &mut Sink) -> Result<(), Status> {
        serde_json::to_writer(sink.buffer(), message)
            .map_err(|error| Status::internal(format!("the message cannot be encoded: {error}")))
    }

    fn decode(payload: Bytes) -> Result<T, Status> {
        serde_json::from_slice(&payload)
            .map_err(|error| Status::internal(format!("the message cannot be decoded: {error}")))
    }
}
