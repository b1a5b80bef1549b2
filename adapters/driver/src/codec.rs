//! Message types and octets.

use bytes::Bytes;
use halfclose::Status;

/// Turns messages of type `T` into octets and back.
///
/// A codec has no state: it is a type that a [`Method`](crate::Method) names. [`Prost`] is the one for protocol buffers,
/// [`Raw`] the one for applications that bring octets of their own.
///
/// ```
/// use bytes::Bytes;
/// use halfclose_driver::Codec;
/// use halfclose_driver::halfclose::Status;
///
/// /// A text in UTF-8.
/// struct Text;
///
/// impl Codec<String> for Text {
///     fn encode(message: &String) -> Result<Bytes, Status> {
///         Ok(Bytes::copy_from_slice(message.as_bytes()))
///     }
///     fn decode(payload: Bytes) -> Result<String, Status> {
///         String::from_utf8(payload.into()).map_err(|error| Status::internal(error.to_string()))
///     }
/// }
/// # assert_eq!(Text::decode(Text::encode(&"hi".to_owned())?)?, "hi");
/// # Ok::<(), Status>(())
/// ```
pub trait Codec<T>: 'static {
    /// The octets of a message, without the prefix of gRPC.
    ///
    /// # Errors
    ///
    /// A status, INTERNAL as a rule, for a message that cannot be encoded; nothing is sent then.
    fn encode(message: &T) -> Result<Bytes, Status>;

    /// The message of these octets.
    ///
    /// # Errors
    ///
    /// A status, INTERNAL as a rule, for octets that are no message: the call ends with it.
    fn decode(payload: Bytes) -> Result<T, Status>;
}

/// Octets as they are.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn encode(message: &Bytes) -> Result<Bytes, Status> {
        Ok(message.clone())
    }

    fn decode(payload: Bytes) -> Result<Bytes, Status> {
        Ok(payload)
    }
}

/// Protocol buffers, by the prost crate.
#[cfg(feature = "prost")]
#[derive(Clone, Copy, Debug)]
pub struct Prost;

/// Encoded messages up to this size share blocks of memory, one after the other.
#[cfg(feature = "prost")]
const SMALL: usize = 1024;

/// A message that waits for its turn keeps its block: as little as a message and its neighbours, a page at the most.
#[cfg(feature = "prost")]
const BLOCK: usize = 4096;

#[cfg(feature = "prost")]
thread_local! {
    static ENCODED: std::cell::Cell<bytes::BytesMut> = std::cell::Cell::default();
}

/// Encodes a small message into the thread's block: most are copied into a frame soon after, and then the block is
/// used again, so that sending them allocates nothing.
#[cfg(feature = "prost")]
#[inline]
fn encode_small<T: prost::Message>(message: &T) -> Bytes {
    // A thread that is going away has no block: a new one is made.
    let mut block = ENCODED.try_with(std::cell::Cell::take).unwrap_or_default();
    if block.capacity() < SMALL && !block.try_reclaim(BLOCK) {
        block = bytes::BytesMut::with_capacity(BLOCK);
    }
    message.encode_raw(&mut block);
    let payload = block.split().freeze();
    let _ = ENCODED.try_with(|place| place.set(block));
    payload
}

#[cfg(feature = "prost")]
impl<T: prost::Message + Default> Codec<T> for Prost {
    fn encode(message: &T) -> Result<Bytes, Status> {
        let length = message.encoded_len();
        if length <= SMALL {
            return Ok(encode_small(message));
        }
        // A vector that is exactly full becomes `Bytes` without another allocation.
        let mut octets = Vec::with_capacity(length);
        message
            .encode(&mut octets)
            .map_err(|error| Status::internal(format!("the message cannot be encoded: {error}")))?;
        Ok(octets.into())
    }

    fn decode(payload: Bytes) -> Result<T, Status> {
        T::decode(payload)
            .map_err(|error| Status::internal(format!("the message cannot be decoded: {error}")))
    }
}
