//! Peers with faulty TLS, and the errors about them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use halfclose_driver::halfclose::{Code, Config};
use halfclose_driver::tls::rustls::pki_types::ServerName;
use halfclose_driver::tls::rustls::pki_types::pem::PemObject;
use halfclose_driver::tls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned, crypto,
};
use halfclose_driver::tls::{ClientTls, ServerTls, TlsError, rustls};
use halfclose_driver::{Foreign, Target};
use halfclose_e2e::{Runtime, on_both};

use super::{against, pki, say, tls_error};

/// The client preface and an empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A server in a thread that serves one connection.
fn serve_once(serve: impl FnOnce(TcpStream) + Send + 'static) -> (Target, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = thread::spawn(move || serve(listener.accept().expect("a client").0));
    (address.into(), task)
}

fn provider() -> Arc<crypto::CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// Returns rustls' own server configuration with this ALPN.
fn bare_server(alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let pem = pki::usual();
    let chain = rustls::pki_types::CertificateDer::pem_slice_iter(pem.chain.as_bytes());
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.map(|one| one.expect("a certificate")).collect(), key)
        .expect("a key");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn bare_client(alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = rustls::pki_types::CertificateDer::from_pem_slice(pki::AUTHORITY.pem().as_bytes());
    roots.add(root.expect("a certificate")).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

type ClientStream = StreamOwned<ClientConnection, TcpStream>;

fn connect(target: &Target, config: ClientConfig) -> ClientStream {
    let address: SocketAddr = target.authority().parse().expect("an address");
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    StreamOwned::new(session, stream)
}

async fn connecting<C: Runtime>(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let (target, task) = serve_once(serve);
    let error = C::connect_tls(&target, &pki::client(), Config::client()).await.expect_err("no TLS there");
    task.join().expect("no panic");
    error.to_string()
}

fn a_server_without_http2_is_refused<C: Runtime>() {
    C::block_on(async {
        for (alpn, chosen) in [(&[][..], None), (&[&b"http/1.1"[..]][..], None)] {
            let config = bare_server(alpn);
            let (target, task) = serve_once(move |stream| {
                let session = ServerConnection::new(config).expect("a session");
                let mut stream = StreamOwned::new(session, stream);
                // However it ends, the client closes.
                let _ = stream.read(&mut [0; 16]);
            });
            let error = C::connect_tls(&target, &pki::client(), Config::client()).await.expect_err("no h2");
            assert!(matches!(tls_error(&error), TlsError::NoHttp2(met) if *met == chosen), "{error:?}");
            task.join().expect("no panic");
        }
    });
}

fn a_client_without_http2_is_refused<C: Runtime>() {
    against::<C, C>(pki::server_builder().build().expect("settings"), async |target| {
        for alpn in [&[][..], &[&b"http/1.1"[..]][..]] {
            let mut stream = connect(&target, bare_client(alpn));
            let wrote = stream.write_all(PREFACE).and_then(|()| stream.flush());
            let mut answer = Vec::new();
            let read = stream.read_to_end(&mut answer);
            assert!(answer.is_empty(), "{answer:?}");
            assert!(wrote.is_err() || read.is_err() || !stream.conn.is_handshaking());
        }
    });
}

fn what_is_no_tls_is_named<C: Runtime>() {
    C::block_on(async {
        let said = connecting::<C>(|mut stream| {
            let _ = stream.read(&mut [0; 512]);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("a client");
        });
        assert!(said.await.contains("does not speak TLS but HTTP/1"));
        let said = connecting::<C>(|mut stream| {
            stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").expect("a client");
            let _ = stream.read(&mut [0; 512]);
        });
        assert!(said.await.contains("does not speak TLS but SSH"));
        let said = connecting::<C>(|mut stream| {
            stream.write_all(b"\0\0\0\x04\0\0\0\0\0").expect("a client");
            let _ = stream.read(&mut [0; 512]);
        });
        assert!(said.await.contains("does not speak TLS but HTTP/2 without TLS"));
        let said = connecting::<C>(drop);
        let said = said.await;
        assert!(said.contains("during the TLS handshake") || said.contains("reset"), "{said}");
    });
}

fn a_plain_client_is_refused<C: Runtime>() {
    against::<C, C>(pki::server_builder().build().expect("settings"), async |target| {
        let channel = C::connect(target.authority().parse().expect("an address"), Config::client()).await;
        let error = say(&channel.expect("a socket"), "hello").await.expect_err("no TLS");
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        assert!(error.to_string().contains("TLS"), "{error}");
    });
}

fn a_truncated_session_is_an_error<C: Runtime>() {
    C::block_on(async {
        let config = bare_server(&[b"h2"]);
        let (target, task) = serve_once(move |stream| {
            let session = ServerConnection::new(config).expect("a session");
            let mut stream = StreamOwned::new(session, stream);
            stream.write_all(b"\0\0\0\x04\0\0\0\0\0").expect("a client");
            stream.read_exact(&mut [0; 100]).expect("a request");
            // The end of the transport without the end of the session.
            stream.sock.shutdown(Shutdown::Write).expect("a socket");
            let _ = stream.sock.read_to_end(&mut Vec::new());
        });
        let channel = C::connect_tls(&target, &pki::client(), Config::client()).await.expect("a session");
        let error = say(&channel, vec![7; 1000]).await.expect_err("no answer");
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.to_string().contains("close_notify"), "{error}");
        let later = say(&channel, "hello").await.expect_err("it is over");
        assert!(later.to_string().contains("close_notify"), "{later}");
        drop(channel);
        task.join().expect("no panic");
    });
}

fn a_client_that_half_closes_gets_its_answer<C: Runtime>() {
    against::<C, C>(pki::server_builder().build().expect("settings"), async |target| {
        let mut stream = connect(&target, bare_client(&[b"h2"]));
        stream.write_all(PREFACE).expect("a server");
        stream.write_all(&request()).expect("a server");
        stream.conn.send_close_notify();
        stream.flush().expect("a server");
        stream.sock.shutdown(Shutdown::Write).expect("a socket");
        let mut answer = Vec::new();
        // The end is that of the session, and not a truncation.
        stream.read_to_end(&mut answer).expect("the end of the session");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("hello"), "{text}");
    });
}

/// Returns a unary call in one block of bytes.
fn request() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", "/e2e.Tls/Say"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        (":authority", "a"),
    ] {
        // Literal without indexing, a new name.
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    // Pseudo-header fields come first.
    let authority = block.split_off(block.len() - ":authority".len() - 4);
    block.splice(2..2, authority);
    let mut frames = vec![0, 0, u8::try_from(block.len()).expect("short"), 1, 4, 0, 0, 0, 1];
    frames.extend(block);
    frames.extend([0, 0, 10, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 5]);
    frames.extend(b"hello");
    frames
}

fn a_slow_peer_is_heard<C: Runtime>() {
    against::<C, C>(pki::server_builder().build().expect("settings"), async |target| {
        let address: SocketAddr = target.authority().parse().expect("an address");
        let relay = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let through: Target = relay.local_addr().expect("an address").into();
        let task = thread::spawn(move || {
            let near = relay.accept().expect("a client").0;
            let far = TcpStream::connect(address).expect("a server");
            let (mut from, mut to) =
                (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
            // Every byte alone in one direction, any number in the other.
            let up = thread::spawn(move || {
                to.set_nodelay(true).expect("a socket");
                let mut byte = [0];
                while from.read(&mut byte).is_ok_and(|count| count > 0) && to.write_all(&byte).is_ok() {}
                let _ = to.shutdown(Shutdown::Write);
            });
            let (mut from, mut to) = (far, near);
            let mut bytes = [0; 7];
            while let Ok(count) = from.read(&mut bytes)
                && count > 0
                && to.write_all(&bytes[..count]).is_ok()
            {}
            let _ = to.shutdown(Shutdown::Write);
            up.join().expect("no panic");
        });
        let tls = pki::client().server_name("localhost").expect("a name");
        let channel = C::connect_tls(&through, &tls, Config::client()).await.expect("a session");
        assert_eq!(say(&channel, vec![7; 5000]).await.expect("an answer").len(), 5000);
        drop(channel);
        task.join().expect("no panic");
    });
}

fn a_handshake_that_begins_anew_is_refused<C: Runtime>() {
    against::<C, C>(pki::server_builder().build().expect("settings"), async |target| {
        let address: SocketAddr = target.authority().parse().expect("an address");
        let mut stream = TcpStream::connect(address).expect("a server");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::new(bare_client(&[b"h2"]));
        let mut session = ClientConnection::new(config, name).expect("a session");
        let mut hello = Vec::new();
        session.write_tls(&mut hello).expect("memory");
        // The second one replaces the rest of the handshake.
        for _ in 0..2 {
            stream.write_all(&hello).expect("a server");
        }
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server goes on");
        }
    });
}

/// Checks that settings which were made by hand are used unchanged, apart from ALPN.
#[test]
fn own_settings_are_taken() {
    let client = ClientTls::new(bare_client(&[]));
    let server = ServerTls::new(bare_server(&[b"http/1.1"]));
    against::<halfclose_e2e::Tokio, halfclose_e2e::Smol>(server, async |target| {
        let channel = halfclose_e2e::Smol::connect_tls(&target, &client, Config::client()).await;
        assert_eq!(say(&channel.expect("a session"), "hello").await.expect("an answer"), "hello");
    });
    assert_eq!(Foreign::Ssh.to_string(), "SSH");
}

on_both! {
    a_server_without_http2_is_refused
    a_client_without_http2_is_refused
    what_is_no_tls_is_named
    a_plain_client_is_refused
    a_truncated_session_is_an_error
    a_client_that_half_closes_gets_its_answer
    a_slow_peer_is_heard
    a_handshake_that_begins_anew_is_refused
}
