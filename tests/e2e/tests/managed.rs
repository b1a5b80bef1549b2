//! Channels that look after their connections: on both runtimes, in plaintext and with TLS, while their server comes and goes.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::channel::ChannelConfig;
use halfclose_driver::halfclose::{Code, Config, Status};
use halfclose_driver::tls::{ClientTls, Identity, ServerTls};
use halfclose_driver::{
    CallError, CallOptions, Connectivity, ManagedChannel, Many, Method, Raw, Response, Router, Target,
};
use halfclose_e2e::{PATIENCE, Runtime, on_both, within};
use socket2::{Domain, Socket, Type};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Managed/Say");
const FAIL: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Managed/Fail");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Managed/Chat");

/// How often the server of a test dies, or leaves.
const RESTARTS: usize = 10;

fn router() -> Router {
    let failed = Arc::new(AtomicUsize::new(0));
    Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .unary(&FAIL, move |request| {
            let failed = Arc::clone(&failed);
            async move {
                let attempts = request.context.metadata().get("grpc-previous-rpc-attempts");
                match failed.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => Err(Status::unavailable("not now")),
                    _ => Ok(Response::new(Bytes::copy_from_slice(attempts.unwrap_or_default()))),
                }
            }
        })
        .bidi_streaming(&CHAT, |mut call| async move {
            while let Some(message) = call.recv().await? {
                call.send(&message).await?;
            }
            Ok(())
        })
}

/// Pauses that a test has the patience for.
fn quick() -> ChannelConfig {
    let mut config = ChannelConfig::default();
    config.backoff.initial = Duration::from_millis(20);
    config.backoff.max = Duration::from_millis(50);
    config.resolution_interval = Duration::from_millis(10);
    config
}

async fn say(channel: &ManagedChannel, options: CallOptions) -> Result<Bytes, CallError> {
    channel.unary(&SAY, &Bytes::from_static(b"hello"), options).await.map(|response| response.message)
}

/// Returns an address without a listener, which is reserved while the socket lives.
fn free_address() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let address = socket.local_addr().expect("an address").as_socket().expect("of TCP");
    (address, socket)
}

fn a_server_that_is_down_is_told_at_once_or_waited_for<R: Runtime>() {
    R::block_on(within::<R, _>(PATIENCE, async {
        let (address, _reserved) = free_address();
        let channel = R::managed(&address.into(), None, quick());
        assert_eq!(channel.state(), Connectivity::Idle);
        let error = say(&channel, CallOptions::new()).await.expect_err("nobody is there");
        assert_eq!(error.code(), Code::Unavailable);
        let said = error.to_string();
        assert!(said.contains("refused") && said.contains(&address.to_string()), "{said}");
        assert_eq!(channel.state(), Connectivity::TransientFailure);
        let late = CallOptions::new().wait_for_ready(true).timeout(Duration::from_millis(50));
        let error = say(&channel, late).await.expect_err("nobody is there");
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(error.to_string().contains("refused"), "{error}");

        let mut waiting = Box::pin(say(&channel, CallOptions::new().wait_for_ready(true)));
        let (_, shutdown, served) = R::serve_at(address, router(), None);
        assert_eq!(waiting.as_mut().await.expect("an answer"), "hello");
        assert_eq!(channel.state(), Connectivity::Ready);
        let mut chat = channel.bidi_streaming(&CHAT, CallOptions::new()).await.expect("a call");
        chat.send(&Bytes::from_static(b"one")).await.expect("sent");
        assert_eq!(chat.recv().await.expect("an echo").as_deref(), Some(&b"one"[..]));
        drop(chat);
        shutdown.trigger();
        served.await;
        assert_ne!(channel.state_changed(Connectivity::Ready).await, Connectivity::Ready);
        channel.shutdown();
        let error = say(&channel, CallOptions::new()).await.expect_err("it is over");
        assert!(error.to_string().contains("shut down"), "{error}");
    }));
}

/// Calls without a pause, while the server goes and comes.
async fn under_restarts<R: Runtime>(tls: Option<(ClientTls, ServerTls)>) {
    let (address, _reserved) = free_address();
    let (client, server) = tls.unzip();
    let channel = R::managed(&Target::from(address), client, quick());
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (done, mut ended) = (Arc::new(AtomicUsize::new(0)), Vec::new());
    for _ in 0..4 {
        let (channel, over, answered, done) =
            (channel.clone(), Arc::clone(&over), Arc::clone(&answered), Arc::clone(&done));
        R::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let reply = say(&channel, CallOptions::new().wait_for_ready(true)).await;
                assert_eq!(reply.expect("an answer"), "hello");
                answered.fetch_add(1, Ordering::Relaxed);
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    for _ in 0..RESTARTS {
        let (_, shutdown, served) = R::serve_at(address, router(), server.clone());
        let before = answered.load(Ordering::Relaxed);
        // Until this server has served some.
        while answered.load(Ordering::Relaxed) < before + 20 {
            R::sleep(Duration::from_millis(1)).await;
        }
        shutdown.trigger();
        served.await;
        ended.push(answered.load(Ordering::Relaxed));
    }
    over.store(true, Ordering::Relaxed);
    let (_, shutdown, served) = R::serve_at(address, router(), server);
    while done.load(Ordering::Relaxed) < 4 {
        R::sleep(Duration::from_millis(1)).await;
    }
    shutdown.trigger();
    drop(channel);
    served.await;
    assert_eq!(ended.len(), RESTARTS);
}

fn no_call_fails_while_a_server_leaves_and_comes_back<R: Runtime>() {
    R::block_on(within::<R, _>(PATIENCE, under_restarts::<R>(None)));
}

fn no_call_fails_while_a_server_with_tls_leaves_and_comes_back<R: Runtime>() {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (chain, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a certificate");
    let server = ServerTls::builder(identity).build().expect("settings");
    let client = ClientTls::builder().ca_pem(chain.as_bytes()).and_then(|tls| tls.build()).expect("settings");
    R::block_on(within::<R, _>(PATIENCE, under_restarts::<R>(Some((client, server)))));
}

fn a_server_that_is_killed_ends_its_calls_with_the_cause<R: Runtime>() {
    R::block_on(within::<R, _>(PATIENCE, async {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let channel = R::managed(&listener.local_addr().expect("an address").into(), None, quick());
        let killer = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = listener.accept().expect("a client").0;
            stream.write_all(b"\0\0\0\x04\0\0\0\0\0").expect("a client");
            // The preface, SETTINGS and the request are here before it dies.
            let mut came = 0;
            while came < 150 {
                came += stream.read(&mut [0; 1024]).expect("a request");
            }
        });
        let error =
            say(&channel, CallOptions::new().wait_for_ready(true)).await.expect_err("it may be processed");
        assert_eq!(error.code(), Code::Unavailable);
        let said = error.to_string();
        assert!(said.contains("closed by the peer") || said.contains("reset"), "{said}");
        killer.join().expect("no panic");
    }));
}

fn calls_are_retried_by_the_service_config<R: Runtime>() {
    R::block_on(within::<R, _>(PATIENCE, async {
        let (address, _reserved) = free_address();
        let (_, shutdown, served) = R::serve_at(address, router(), None);
        let channel = R::managed(&address.into(), None, quick());
        channel
            .set_service_config(
                r#"{"methodConfig": [{"name": [{"service": "e2e.Managed"}], "retryPolicy": {"maxAttempts": 4,
                "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"]}}]}"#,
            )
            .expect("a config");
        let reply = channel.unary(&FAIL, &Bytes::new(), CallOptions::new()).await.expect("the third time");
        assert_eq!(reply.message, "2", "grpc-previous-rpc-attempts");
        assert!(channel.set_service_config("{").is_err());
        drop(channel);
        shutdown.trigger();
        served.await;
    }));
}

on_both! {
    a_server_that_is_down_is_told_at_once_or_waited_for
    no_call_fails_while_a_server_leaves_and_comes_back
    no_call_fails_while_a_server_with_tls_leaves_and_comes_back
    a_server_that_is_killed_ends_its_calls_with_the_cause
    calls_are_retried_by_the_service_config
}

#[test]
fn a_channel_tells_what_it_cannot_connect_to() {
    for wrong in ["unix:/run/x.sock", "https://a/b", "ftp://a"] {
        let tokio = halfclose_tokio::managed(wrong, Config::client(), ChannelConfig::default());
        assert!(tokio.is_err(), "{wrong}");
    }
}
