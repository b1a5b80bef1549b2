//! The compression cases. tonic does not tell which responses were compressed, so the suite reads that on the wire.

use halfclose_interop::messages::{BoolValue, SimpleRequest};
use tonic::Code;

use super::calls::{Client, duplex_request, ended, large_request, limited, next};
use super::{Checked, fails_with};

pub(super) async fn client_compressed_unary(client: &Client) -> Checked {
    let expecting = |value| SimpleRequest { expect_compressed: Some(BoolValue { value }), ..large_request() };
    // A probe: a server that ignores the flag would accept it, and the rest would prove nothing.
    fails_with(client.unary(limited(expecting(true))).await, Code::InvalidArgument)?;
    client.compressing().large(expecting(true)).await?;
    client.large(expecting(false)).await
}

pub(super) async fn server_compressed_unary(client: &Client) -> Checked {
    for value in [true, false] {
        let response_compressed = Some(BoolValue { value });
        client.large(SimpleRequest { response_compressed, ..large_request() }).await?;
    }
    Ok(())
}

pub(super) async fn server_compressed_streaming(client: &Client) -> Checked {
    let mut request = duplex_request(0, &[31_415, 92_653]);
    for (number, wanted) in request.response_parameters.iter_mut().enumerate() {
        wanted.compressed = Some(BoolValue { value: number == 0 });
    }
    let mut responses = client.download(request).await?;
    for size in [31_415, 92_653] {
        next(&mut responses, size).await?;
    }
    ended(responses).await
}
