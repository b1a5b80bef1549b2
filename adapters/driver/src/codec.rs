//! Message types and bytes.

use bytes::Bytes;
use halfclose::Status;

/// Turns messages of type `T` into bytes and back.
///
/// A codec has no state: it is a type that a [`Method`](crate::Method) names. `Prost` is the one for protocol buffers,
/// [`Raw`] the one for applications that bring bytes of their own.
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
    /// The bytes of a message, without the prefix of gRPC.
    ///
    /// # Errors
    ///
    /// A status, INTERNAL as a rule, for a message that cannot be encoded; nothing is sent then.
    fn encode(message: &T) -> Result<Bytes, Status>;

    /// The message of these bytes.
    ///
    /// # Errors
    ///
    /// A status, INTERNAL as a rule, for bytes that are no message: the call ends with it.
    fn decode(payload: Bytes) -> Result<T, Status>;
}

/// The bytes of a message, or why there are none: never the status OK.
#[inline(always)]
pub(crate) fn encode<T, C: Codec<T>>(message: &T) -> Result<Bytes, Status> {
    C::encode(message).map_err(failure)
}

/// The message of these bytes, or why it is none: never the status OK.
#[inline(always)]
pub(crate) fn decode<T, C: Codec<T>>(payload: Bytes) -> Result<T, Status> {
    C::decode(payload).map_err(failure)
}

/// What a call ends with when a codec fails: one that fails with OK must not pass for a success.
#[cold]
fn failure(status: Status) -> Status {
    if status.is_ok() { Status::internal("the codec failed with status OK") } else { status }
}

/// Bytes as they are.
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

#[cfg(feature = "prost")]
impl<T: prost::Message + Default> Codec<T> for Prost {
    // Always: what it returns is moved at once, which is dear by way of memory and free in registers.
    #[inline(always)]
    fn encode(message: &T) -> Result<Bytes, Status> {
        // A vector that is exactly full becomes `Bytes` as it is. An allocation for each message is cheaper than slices of
        // a shared block, whose references are counted atomically.
        Ok(message.encode_to_vec().into())
    }

    #[inline]
    fn decode(payload: Bytes) -> Result<T, Status> {
        T::decode(payload)
            .map_err(|error| Status::internal(format!("the message cannot be decoded: {error}")))
    }
}
