//! Answers and requests of the h2 crate (tonic's HTTP/2), which sends what it is given: trailers and metadata far
//! over the limit that the peer announced, white space at the ends of values, a web page without end. Each ends its
//! call at most.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use halfclose_driver::halfclose::{Cause, Code, Config};
use halfclose_driver::{CallOptions, Channel, Many, Method, Raw, Response, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_both, within};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::{TcpListener, TcpStream};

const ECHO: Method<Bytes, Bytes, Raw> = Method::new("/odd.Test/Echo");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/odd.Test/Chat");
const LONG: Method<Bytes, Bytes, Raw> = Method::new("/odd.Test/Long");
const SPACES: Method<Bytes, Bytes, Raw> = Method::new("/odd.Test/Spaces");
const PAGE: Method<Bytes, Bytes, Raw> = Method::new("/odd.Test/Page");
/// How long the client waits for the end of a page.
const PAGE_TIMEOUT: Duration = Duration::from_millis(300);
/// The message "hello" on the wire.
const HELLO: &[u8] = b"\0\0\0\0\x05hello";

on_both! {
    long_trailers_cost_one_call
    spaces_cost_no_status
    a_page_without_end_ends_its_call
    long_metadata_costs_one_call
}

/// Starts a server of the h2 crate on a thread of its own, for the rest of the process.
fn h2_server() -> SocketAddr {
    let (ready, started) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            ready.send(listener.local_addr().expect("an address")).expect("the test waits");
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(socket).await.expect("a handshake");
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond));
                    }
                });
            }
        });
    });
    started.recv().expect("the server starts")
}

fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    fields.iter().map(field).collect()
}

async fn answer(request: http::Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    let mut head = http::Response::new(());
    *head.headers_mut() = fields(&[("content-type", "application/grpc"), ("x-initial", " one ")]);
    let trailers = match path.as_str() {
        "/odd.Test/Long" => fields(&[("grpc-status", "13"), ("grpc-message", &"long ".repeat(14_000))]),
        "/odd.Test/Spaces" => fields(&[
            ("grpc-status", "9"),
            ("grpc-message", " no such thing "),
            ("grpc-status-details-bin", "Zm9v "),
            ("x-trailing", "two "),
        ]),
        "/odd.Test/Page" => {
            *head.headers_mut() = fields(&[("content-type", "text/html")]);
            let mut stream = respond.send_response(head, false).expect("an open call");
            stream.send_data(Bytes::from_static(b"<p>wait"), false).expect("an open call");
            // Until the client gives up.
            let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            return;
        }
        _ => fields(&[("grpc-status", "0")]),
    };
    let mut stream = respond.send_response(head, false).expect("an open call");
    if path == "/odd.Test/Chat" {
        // One message is returned for each that arrives.
        let mut body = request.into_body();
        while let Some(Ok(chunk)) = body.data().await {
            body.flow_control().release_capacity(chunk.len()).expect("credit");
            stream.send_data(chunk, false).expect("an open call");
        }
    } else {
        stream.send_data(Bytes::from_static(HELLO), false).expect("an open call");
    }
    stream.send_trailers(trailers).expect("an open call");
}

/// Provides a channel to the server on which another call is open during the test.
fn beside<R: Runtime>(test: impl AsyncFnOnce(&Channel)) {
    let address = h2_server();
    let mut config = Config::client();
    config.limits.non_grpc_body_timeout = PAGE_TIMEOUT;
    R::block_on(within::<R, _>(PATIENCE, async {
        let channel = R::connect(address, config).await.expect("h2 accepts");
        let mut chat = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        chat.send(&Bytes::from("before")).await.expect("it listens");
        assert_eq!(chat.recv().await.expect("no error").as_deref(), Some(&b"before"[..]));
        test(&channel).await;
        chat.send(&Bytes::from("after")).await.expect("the connection lives");
        assert_eq!(chat.recv().await.expect("no error").as_deref(), Some(&b"after"[..]));
        chat.close_send().expect("an open call");
        assert_eq!(chat.recv().await.expect("status OK"), None);
        let reply = channel.unary(&ECHO, &Bytes::new(), CallOptions::new()).await.expect("status OK");
        assert_eq!(reply.message, "hello");
    }));
}

fn long_trailers_cost_one_call<R: Runtime>() {
    beside::<R>(async |channel| {
        for _ in 0..100 {
            let error = channel.unary(&LONG, &Bytes::new(), CallOptions::new()).await.expect_err("an error");
            assert_eq!((error.code(), error.cause()), (Code::ResourceExhausted, &Cause::Trailers));
            assert!(error.status().message().contains("INTERNAL"), "{error}");
            assert!(error.trailers().is_empty());
        }
    });
}

fn spaces_cost_no_status<R: Runtime>() {
    beside::<R>(async |channel| {
        let error = channel.unary(&SPACES, &Bytes::new(), CallOptions::new()).await.expect_err("an error");
        assert_eq!((error.code(), error.status().message()), (Code::FailedPrecondition, "no such thing"));
        assert_eq!(error.status().details().as_ref(), b"foo");
        assert_eq!(error.trailers().get_str("x-trailing"), Some("two"));
    });
}

fn a_page_without_end_ends_its_call<R: Runtime>() {
    beside::<R>(async |channel| {
        let start = Instant::now();
        let error = channel.unary(&PAGE, &Bytes::new(), CallOptions::new()).await.expect_err("an error");
        assert_eq!((error.code(), error.cause()), (Code::Unknown, &Cause::Http(200)));
        assert!(error.status().message().ends_with(": <p>wait"), "{error}");
        assert!(start.elapsed() >= PAGE_TIMEOUT);
    });
}

fn long_metadata_costs_one_call<R: Runtime>() {
    let router = Router::new().unary(&ECHO, |request| async move { Ok(Response::new(request.message)) });
    let server = Serving::<R>::start(router);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = TcpStream::connect(server.address()).await.expect("we accept");
        let (sender, connection) = h2::client::handshake(socket).await.expect("a handshake");
        tokio::spawn(async move { connection.await.ok() });
        for n in 0..100 {
            let (size, status) = if n % 2 == 0 { (70_000, "8") } else { (100, "0") };
            let long = "0123456789".repeat(size / 10);
            let mut request =
                http::Request::post("http://localhost/odd.Test/Echo").body(()).expect("a request");
            *request.headers_mut() = fields(&[
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                ("x-long", &long),
                ("x-space", " a "),
            ]);
            let mut sender = sender.clone().ready().await.expect("the connection lives");
            let (answer, mut body) = sender.send_request(request, false).expect("an open connection");
            body.send_data(Bytes::from_static(HELLO), true).expect("an open call");
            let answer = answer.await.expect("headers");
            let head = answer.headers().clone();
            let mut body = answer.into_body();
            while let Some(chunk) = body.data().await {
                body.flow_control().release_capacity(chunk.expect("DATA").len()).expect("credit");
            }
            let trailers = body.trailers().await.expect("an end").unwrap_or(head);
            assert_eq!(trailers["grpc-status"], status, "{n}");
        }
    });
}
