//! UnaryCall on the h2 crate and nothing else: frames, flow control and header compression without a gRPC library.

use std::error::Error;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::service::{SimpleRequest, response};

type Failure = Box<dyn Error + Send + Sync>;

/// Serves one connection until it ends, with a task for each call.
///
/// # Errors
///
/// The error that the connection ended with.
pub async fn serve<T: AsyncRead + AsyncWrite + Unpin>(socket: T) -> Result<(), Failure> {
    let mut connection = h2::server::handshake(socket).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(async move {
            // The client notices a call that fails.
            let _ = answer(request, respond).await;
        });
    }
    Ok(())
}

async fn answer(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), Failure> {
    let mut body = request.into_body();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    let message = bytes.get(5..).ok_or("no message")?;
    let response = response(&SimpleRequest::decode(message)?);
    let length = response.encoded_len();
    let mut out = BytesMut::with_capacity(5 + length);
    out.put_u8(0);
    out.put_u32(u32::try_from(length)?);
    response.encode(&mut out)?;

    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut send = respond.send_response(head, false)?;
    send.send_data(out.freeze(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    send.send_trailers(trailers)?;
    Ok(())
}
