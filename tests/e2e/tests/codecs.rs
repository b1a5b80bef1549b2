//! Codecs on the wire: JSON, and one that sends a large field by reference to a peer that knows prost only.

use bytes::Bytes;
use halfclose_driver::halfclose::Status;
use halfclose_driver::{CallOptions, Codec, Method, Prost, Response, Router, Sink};
use halfclose_e2e::{Runtime, Serving, on_both};
use halfclose_tokio::Json;

on_both! {
    json_goes_both_ways
    a_large_field_that_goes_by_reference_is_what_prost_reads
}

#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
struct Order {
    item: String,
    pieces: u32,
}

const ORDER: Method<Order, Order, Json> = Method::new("/e2e.Shop/Order");

fn json_goes_both_ways<R: Runtime>() {
    let router = Router::new().unary(&ORDER, |request| async move {
        let mut order: Order = request.message;
        order.pieces += 1;
        Ok(Response::new(order))
    });
    Serving::<R>::start(router).run::<R, _>(|channel| async move {
        let order = Order { item: "tea \u{1f375}".into(), pieces: 2 };
        let answer = channel.unary(&ORDER, &order, CallOptions::new()).await.expect("an answer");
        assert_eq!(answer.message, Order { pieces: 3, ..order });
    });
}

/// A message with one field of bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Blob {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

/// Writes a [`Blob`] as protocol buffers do, its field by reference.
struct ByReference;

impl Codec<Blob> for ByReference {
    fn encode(message: &Blob, sink: &mut Sink) -> Result<(), Status> {
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, sink.buffer());
        prost::encoding::encode_varint(message.data.len() as u64, sink.buffer());
        sink.put_bytes(message.data.clone());
        Ok(())
    }

    fn decode(payload: Bytes) -> Result<Blob, Status> {
        // prost keeps a slice of what was received.
        let within = payload.as_ptr_range();
        let blob: Blob = <Prost as Codec<Blob>>::decode(payload)?;
        let copied = !blob.data.is_empty() && !within.contains(&blob.data.as_ptr());
        if copied { Err(Status::internal("the field was copied")) } else { Ok(blob) }
    }
}

const PATH: &str = "/e2e.Blobs/Echo";
const SERVED: Method<Blob, Blob, ByReference> = Method::new(PATH);
const CALLED: Method<Blob, Blob, Prost> = Method::new(PATH);

fn a_large_field_that_goes_by_reference_is_what_prost_reads<R: Runtime>() {
    let router = Router::new().unary(&SERVED, |request| async move { Ok(Response::new(request.message)) });
    Serving::<R>::start(router).run::<R, _>(|channel| async move {
        for size in [0, 1, 2_047, 2_048, 1 << 20] {
            let blob = Blob { data: Bytes::from((0..size).map(|n| n as u8).collect::<Vec<_>>()) };
            let answer = channel.unary(&CALLED, &blob, CallOptions::new()).await.expect("an answer");
            assert!(answer.message == blob, "{size} bytes");
            let answer = channel.unary(&SERVED, &blob, CallOptions::new()).await.expect("an answer");
            assert!(answer.message == blob, "{size} bytes");
        }
    });
}
