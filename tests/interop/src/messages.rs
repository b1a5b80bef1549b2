//! The `grpc.testing` messages, by hand: the same field numbers and types as `tests/interop/proto/grpc/testing`,
//! so that no build here needs `protoc`.
//!
//! Sizes are in bytes. An absent sub-message means that the sender does not specify the matter.

#[cfg(test)]
mod tests;

/// A message with nothing in it; zero bytes on the wire.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Empty {}

/// A boolean that can also be absent.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BoolValue {
    /// The boolean.
    #[prost(bool, tag = "1")]
    pub value: bool,
}

/// What kind of bytes a payload holds. A server refuses a value not listed here with INVALID_ARGUMENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ::prost::Enumeration)]
#[repr(i32)]
pub enum PayloadType {
    /// Bytes that compress well: zeros.
    Compressable = 0,
}

/// Bytes whose only purpose is their number.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Payload {
    /// What `body` holds.
    #[prost(enumeration = "PayloadType", tag = "1")]
    pub r#type: i32,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub body: ::prost::bytes::Bytes,
}

impl Payload {
    /// Returns a payload of `size` zeros.
    #[must_use]
    pub fn zeros(size: usize) -> Self {
        Self { r#type: PayloadType::Compressable.into(), body: vec![0; size].into() }
    }
}

/// The status with which the server is asked to end the call.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct EchoStatus {
    /// The `grpc-status` number.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The `grpc-message` before percent-encoding.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// How a call reached its server, as far as a look-aside balancer is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ::prost::Enumeration)]
#[repr(i32)]
pub enum GrpclbRouteType {
    /// The server cannot tell.
    Unknown = 0,
    /// By the balancer's fallback list.
    Fallback = 1,
    /// As one of the balancer's backends.
    Backend = 2,
}

/// The request of a unary call; it describes the response.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SimpleRequest {
    /// What the response's payload shall hold.
    #[prost(enumeration = "PayloadType", tag = "1")]
    pub response_type: i32,
    /// Bytes in the response's payload body; not negative.
    #[prost(int32, tag = "2")]
    pub response_size: i32,
    /// Bytes that the request carries.
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Payload>,
    /// Asks for [`SimpleResponse::username`].
    #[prost(bool, tag = "4")]
    pub fill_username: bool,
    /// Asks for [`SimpleResponse::oauth_scope`].
    #[prost(bool, tag = "5")]
    pub fill_oauth_scope: bool,
    /// Whether the response message must be compressed (true) or must not be (false).
    #[prost(message, optional, tag = "6")]
    pub response_compressed: Option<BoolValue>,
    /// The status with which the call shall end.
    #[prost(message, optional, tag = "7")]
    pub response_status: Option<EchoStatus>,
    /// Whether this message was sent compressed; a server that finds otherwise answers INVALID_ARGUMENT.
    #[prost(message, optional, tag = "8")]
    pub expect_compressed: Option<BoolValue>,
    /// Asks for [`SimpleResponse::server_id`].
    #[prost(bool, tag = "9")]
    pub fill_server_id: bool,
    /// Asks for [`SimpleResponse::grpclb_route_type`].
    #[prost(bool, tag = "10")]
    pub fill_grpclb_route_type: bool,
}

/// The response of a unary call.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SimpleResponse {
    /// As many bytes as the request asked for.
    #[prost(message, optional, tag = "1")]
    pub payload: Option<Payload>,
    /// The authenticated caller.
    #[prost(string, tag = "2")]
    pub username: String,
    /// The caller's OAuth scope.
    #[prost(string, tag = "3")]
    pub oauth_scope: String,
    /// One value for each server instance.
    #[prost(string, tag = "4")]
    pub server_id: String,
    /// How the call arrived.
    #[prost(enumeration = "GrpclbRouteType", tag = "5")]
    pub grpclb_route_type: i32,
    /// The server's host name.
    #[prost(string, tag = "6")]
    pub hostname: String,
}

/// One message of an upload.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StreamingInputCallRequest {
    /// Bytes that count towards [`StreamingInputCallResponse::aggregated_payload_size`].
    #[prost(message, optional, tag = "1")]
    pub payload: Option<Payload>,
    /// As [`SimpleRequest::expect_compressed`], for this message alone.
    #[prost(message, optional, tag = "2")]
    pub expect_compressed: Option<BoolValue>,
}

/// The answer to an upload.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StreamingInputCallResponse {
    /// Bytes in all the payload bodies together.
    #[prost(int32, tag = "1")]
    pub aggregated_payload_size: i32,
}

/// The description of one message of a download.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ResponseParameters {
    /// Bytes in the payload body; not negative.
    #[prost(int32, tag = "1")]
    pub size: i32,
    /// Microseconds to wait before this message, counted from the one before it.
    #[prost(int32, tag = "2")]
    pub interval_us: i32,
    /// Whether this message must be compressed (true) or must not be (false).
    #[prost(message, optional, tag = "3")]
    pub compressed: Option<BoolValue>,
}

/// Asks for a download.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StreamingOutputCallRequest {
    /// What the responses' payloads shall hold.
    #[prost(enumeration = "PayloadType", tag = "1")]
    pub response_type: i32,
    /// One response for each, in order.
    #[prost(message, repeated, tag = "2")]
    pub response_parameters: Vec<ResponseParameters>,
    /// Bytes that the request carries.
    #[prost(message, optional, tag = "3")]
    pub payload: Option<Payload>,
    /// The status with which the call shall end.
    #[prost(message, optional, tag = "7")]
    pub response_status: Option<EchoStatus>,
}

/// One message of a download.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StreamingOutputCallResponse {
    /// As many bytes as [`ResponseParameters::size`] asked for.
    #[prost(message, optional, tag = "1")]
    pub payload: Option<Payload>,
}
