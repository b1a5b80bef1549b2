//! Other implementations as peers, in both directions and on both runtimes: tonic and the bare h2 crate.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use halfclose_bench::peers::{h2_server, tonic_client, tonic_server};
use halfclose_bench::service::{
    STREAMING_CALL, STREAMING_FROM_CLIENT, STREAMING_FROM_SERVER, SimpleRequest, SimpleResponse, UNARY_CALL,
    request, response, response_bytes,
};
use halfclose_driver::halfclose::{Code, Config, Status};
use halfclose_driver::{CallOptions, Many, Method, Prost, Response, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_both, within};
use prost::Message;

type Simple = Method<SimpleRequest, SimpleResponse, Prost>;
type Requests = Many<SimpleRequest>;
type Responses = Many<SimpleResponse>;

const UNARY: Simple = Method::new(UNARY_CALL);
const BOTH: Method<Requests, Responses, Prost> = Method::new(STREAMING_CALL);
const UP: Method<Requests, SimpleResponse, Prost> = Method::new(STREAMING_FROM_CLIENT);
const DOWN: Method<SimpleRequest, Responses, Prost> = Method::new(STREAMING_FROM_SERVER);
const NOWHERE: Simple = Method::new("/grpc.testing.BenchmarkService/Nowhere");
/// Larger than every window that either side begins with.
const LARGE: usize = 300_000;

on_both! {
    our_client_calls_a_tonic_server
    a_tonic_client_calls_our_server
    a_tonic_client_that_waits_for_headers_before_it_sends_gets_them
    our_client_calls_an_h2_server
    an_h2_client_calls_our_server
}

/// Runs a peer's server on a runtime of its own, for as long as the process lives.
fn peer<F: Future<Output = ()>>(
    serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
) -> SocketAddr {
    let (ready, started) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            ready.send(listener.local_addr().expect("an address")).expect("the test waits");
            serve(listener).await;
        });
    });
    started.recv().expect("the peer starts")
}

/// Runs a peer's client on a runtime of its own, to its end.
fn client(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("it ends in time") });
}

fn options() -> CallOptions {
    CallOptions::new().timeout(Duration::from_secs(30))
}

fn our_client_calls_a_tonic_server<R: Runtime>() {
    let address = peer(|listener| async {
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = tonic::transport::Server::builder().add_service(tonic_server::Benchmark);
        server.serve_with_incoming(incoming).await.expect("tonic serves");
    });
    R::block_on(within::<R, _>(PATIENCE, async {
        let channel = R::connect(address, Config::client()).await.expect("tonic accepts");
        let reply = channel.unary(&UNARY, &request(LARGE, LARGE), options()).await.expect("status OK");
        assert_eq!(response_bytes(&reply.message), LARGE);

        let mut up = channel.client_streaming(&UP, options()).expect("a call");
        for size in [1, 100_000, 7] {
            up.send(&request(size, size)).await.expect("tonic listens");
        }
        assert_eq!(response_bytes(&up.close_and_recv().await.expect("status OK").message), 7);

        let mut down = channel.server_streaming(&DOWN, &request(0, 40_000), options()).await.expect("a call");
        for _ in 0..50 {
            let message = down.recv().await.expect("no error").expect("without end");
            assert_eq!(response_bytes(&message), 40_000);
        }
        drop(down);

        let mut both = channel.bidi_streaming(&BOTH, options()).expect("a call");
        for size in [0, 1, 100_000, 3] {
            both.send(&request(size, size)).await.expect("tonic listens");
            let reply = both.recv().await.expect("no error").expect("a reply");
            assert_eq!(response_bytes(&reply), size);
        }
        both.close_send().expect("an open call");
        assert_eq!(both.recv().await.expect("status OK"), None);

        let error = channel.unary(&NOWHERE, &request(0, 0), options()).await.expect_err("no such method");
        assert_eq!(error.code(), Code::Unimplemented);
    }));
}

/// The service; a negative size is refused.
fn router() -> Router {
    Router::new()
        .unary(&UNARY, |request| async move {
            if request.message.response_size < 0 {
                return Err(Status::out_of_range("fewer bytes than none: \u{263a}"));
            }
            Ok(Response::new(response(&request.message)))
        })
        .server_streaming(&DOWN, |request, mut call| async move {
            for _ in 0..50 {
                call.send(&response(&request.message)).await?;
            }
            Ok(())
        })
        .bidi_streaming(&BOTH, |mut call| async move {
            while let Some(request) = call.recv().await? {
                call.send(&response(&request)).await?;
            }
            Ok(())
        })
}

fn a_tonic_client_calls_our_server<R: Runtime>() {
    let server = Serving::<R>::start(router());
    client(async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address()));
        let channel = endpoint.expect("an address").connect().await.expect("we accept");
        let mut benchmark = tonic_client::BenchmarkClient::new(channel);
        let reply = benchmark.unary_call(request(LARGE, LARGE)).await.expect("status OK");
        assert_eq!(response_bytes(reply.get_ref()), LARGE);

        let refused = SimpleRequest { response_size: -1, ..SimpleRequest::default() };
        let status = benchmark.unary_call(refused).await.expect_err("a refusal");
        assert_eq!(status.code(), tonic::Code::OutOfRange);
        assert_eq!(status.message(), "fewer bytes than none: \u{263a}");

        let mut down =
            benchmark.streaming_from_server(request(0, 40_000)).await.expect("a call").into_inner();
        let mut received = 0;
        while let Some(message) = down.message().await.expect("no error") {
            assert_eq!(response_bytes(&message), 40_000);
            received += 1;
        }
        assert_eq!(received, 50);

        let sizes = [0, 1, 100_000, 3];
        let requests = tokio_stream::iter(sizes.map(|size| request(size, size)));
        let mut both = benchmark.streaming_call(requests).await.expect("a call").into_inner();
        for size in sizes {
            let reply = both.message().await.expect("no error").expect("a reply");
            assert_eq!(response_bytes(&reply), size);
        }
        assert_eq!(both.message().await.expect("status OK"), None);
    });
}

/// tonic gives its caller the stream of responses once the response headers are there, and many callers send their first
/// request after that.
fn a_tonic_client_that_waits_for_headers_before_it_sends_gets_them<R: Runtime>() {
    for router in [router().early_headers(true), router().early_headers_of(&BOTH, true)] {
        let server = Serving::<R>::start(router);
        client(async {
            let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address()));
            let channel = endpoint.expect("an address").connect().await.expect("we accept");
            let mut benchmark = tonic_client::BenchmarkClient::new(channel);
            for _ in 0..20 {
                let (sender, requests) = tokio::sync::mpsc::channel(1);
                let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
                let mut both = benchmark.streaming_call(requests).await.expect("headers").into_inner();
                for size in [0, 1, 100_000] {
                    sender.send(request(size, size)).await.expect("tonic takes it");
                    let reply = both.message().await.expect("no error").expect("a reply");
                    assert_eq!(response_bytes(&reply), size);
                }
                drop(sender);
                assert_eq!(both.message().await.expect("status OK"), None);
                // The calls with one request are as they were.
                let reply = benchmark.unary_call(request(7, 7)).await.expect("status OK");
                assert_eq!(response_bytes(reply.get_ref()), 7);
                let refused = SimpleRequest { response_size: -1, ..SimpleRequest::default() };
                let status = benchmark.unary_call(refused).await.expect_err("a refusal");
                assert_eq!(status.code(), tonic::Code::OutOfRange);
            }
        });
    }
}

fn our_client_calls_an_h2_server<R: Runtime>() {
    let address = peer(|listener| async move {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move { h2_server::serve(socket).await.ok() });
        }
    });
    R::block_on(within::<R, _>(PATIENCE, async {
        let channel = R::connect(address, Config::client()).await.expect("h2 accepts");
        for size in [0, 16, 9_000, LARGE] {
            let reply = channel.unary(&UNARY, &request(size, size), options()).await.expect("status OK");
            assert_eq!(response_bytes(&reply.message), size);
        }
    }));
}

/// One call as frames and nothing else: POST, one message, the body and the trailers of the answer.
async fn call(
    sender: &mut h2::client::SendRequest<Bytes>,
    message: &SimpleRequest,
) -> (Vec<u8>, http::HeaderMap) {
    let head = http::Request::post(format!("http://localhost{UNARY_CALL}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.encoded_len()).expect("a short message"));
    message.encode(&mut body).expect("there is room");
    let (answer, mut stream) = sender.send_request(head, false).expect("an open connection");
    stream.send_data(body.freeze(), true).expect("an open stream");
    let answer = answer.await.expect("response headers");
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (http::StatusCode::OK, &http::HeaderValue::from_static("application/grpc"))
    );
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.expect("DATA");
        body.flow_control().release_capacity(chunk.len()).expect("credit");
        bytes.extend_from_slice(&chunk);
    }
    (bytes, body.trailers().await.expect("an end").unwrap_or_default())
}

fn an_h2_client_calls_our_server<R: Runtime>() {
    let server = Serving::<R>::start(router());
    client(async {
        let socket = tokio::net::TcpStream::connect(server.address()).await.expect("we accept");
        let (mut sender, connection) = h2::client::handshake(socket).await.expect("a handshake");
        tokio::spawn(async move { connection.await.ok() });
        for size in [0, 16, 9_000, LARGE] {
            let (bytes, trailers) = call(&mut sender, &request(size, size)).await;
            let reply = SimpleResponse::decode(&bytes[5..]).expect("a message");
            assert_eq!(
                (response_bytes(&reply), &trailers["grpc-status"]),
                (size, &http::HeaderValue::from_static("0"))
            );
        }
    });
}
