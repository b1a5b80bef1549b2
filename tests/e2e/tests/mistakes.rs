//! Makes the mistakes of docs/mistakes.md and compares what is said with that page.

#[path = "tls/pki.rs"]
mod pki;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use bytes::Bytes;
use halfclose_driver::channel::ChannelConfig;
use halfclose_driver::halfclose::Config;
use halfclose_driver::tls::{ClientTls, Identity, ServerTls};
use halfclose_driver::{CallError, CallOptions, Method, Raw, Response, Router, Target};
use halfclose_e2e::{PATIENCE, Runtime, Serving, Tokio, within};
use halfclose_tokio::{connect, connect_tls, managed};
use socket2::{Domain, Socket, Type};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Mistakes/Say");

fn router() -> Router {
    Router::new().unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
}

/// What a call says, without its cause: how far it had come is a matter of chance.
fn status_of(error: CallError) -> String {
    error.status().to_string()
}

/// What was said of each mistake.
#[derive(Default)]
struct Said(BTreeMap<&'static str, String>);

impl Said {
    fn note<T>(&mut self, mistake: &'static str, result: Result<T, impl Display>) {
        let Err(error) = result else { panic!("{mistake}: nothing went wrong") };
        assert!(self.0.insert(mistake, error.to_string()).is_none(), "{mistake} twice");
    }

    /// What a call on a connection to this target says.
    async fn call(&mut self, mistake: &'static str, target: impl Into<Target>) {
        let channel = connect(target.into(), Config::client()).await.expect("a socket");
        let result = channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await;
        self.note(mistake, result.map_err(status_of));
    }

    async fn secure(&mut self, mistake: &'static str, target: impl Into<Target>) {
        let connected = connect_tls(target.into(), &pki::client(), Config::client()).await;
        self.note(mistake, connected);
    }
}

/// A server that sends this to one client, when it has said something.
fn says(greeting: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("a client");
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(greeting);
        // Until the client goes away.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    address
}

/// Does something on a thread that is none of the runtime's.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}

async fn of_targets(said: &mut Said) {
    for (mistake, target) in [
        ("no target", ""),
        ("a URL with a path", "https://example.org/demo.Echo"),
        ("a scheme that is none", "ftp://example.org"),
        ("a port that is none", "example.org:99999"),
        ("a host that is none", "exa mple:1"),
        ("a name server in a target", "dns://8.8.8.8/example.org"),
        ("a name that does not resolve", "nowhere.invalid:50051"),
        ("no Unix socket", "unix:/nowhere/app.sock"),
    ] {
        said.note(mistake, connect(target, Config::client()).await);
    }
    let unix = managed("unix:/run/app.sock", Config::client(), ChannelConfig::default());
    said.note("a managed channel to a Unix socket", unix);
}

async fn of_servers(said: &mut Said) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let nobody = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    said.note("no server", connect(nobody, Config::client()).await);
    let channel = managed(nobody, Config::client(), ChannelConfig::default()).expect("a target");
    let result = channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await;
    let mistake = "a call on a managed channel, and no server";
    said.note(mistake, result.map_err(status_of));
    let wrong = r#"{"methodConfig": [{"retryPolicy": {"initialBackoff": "1s", "maxAttempts": 1}}]}"#;
    said.note("a service config that is wrong", channel.set_service_config(wrong));

    said.call("a web server", says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    said.call("the port of SSH", says(b"SSH-2.0-OpenSSH_9.9\r\n")).await;
    said.call("the port of mail", says(b"220 mail.example.org ESMTP\r\n")).await;
    said.secure("a server without TLS, and a client with it", says(b"\0\0\0\x04\0\0\0\0\0")).await;
    said.secure("TLS to a web server without it", says(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let http: Target = format!("http://{nobody}").parse().expect("a target");
    said.secure("TLS to a target that says http", http).await;

    let plain = apart(|| Serving::<Tokio>::start(router()));
    let taken = halfclose_tokio::Server::bind(plain.address(), router()).await;
    said.note("a port that is taken", taken);
    plain.stop::<Tokio>().await;
}

async fn of_tls(said: &mut Said) {
    let serve = |identity: Identity| {
        let tls = ServerTls::builder(identity).build().expect("settings");
        apart(|| Serving::<Tokio>::secure(router(), Config::server(), tls))
    };
    let usual = serve(pki::usual().identity());
    said.call("a server with TLS, and a client without", usual.address()).await;
    let stranger = pki::Authority::new("a stranger").pem();
    let tls = ClientTls::builder().ca_pem(stranger.as_bytes()).and_then(|tls| tls.build()).expect("settings");
    let unknown = connect_tls(usual.address(), &tls, Config::client()).await;
    said.note("a certificate of an unknown authority", unknown);
    usual.stop::<Tokio>().await;

    let other = serve(pki::AUTHORITY.sign(&["foo.test"], 2999).identity());
    said.secure("a certificate for another name", other.address()).await;
    let expired = serve(pki::AUTHORITY.sign(&["127.0.0.1"], 2021).identity());
    said.secure("a certificate that has expired", expired.address()).await;

    let mutual = pki::server_builder().client_ca_pem(pki::AUTHORITY.pem().as_bytes());
    let mutual = mutual.and_then(|tls| tls.build()).expect("settings");
    let mutual = apart(|| Serving::<Tokio>::secure(router(), Config::server(), mutual));
    let channel = connect_tls(mutual.address(), &pki::client(), Config::client()).await.expect("TLS 1.3");
    let result = channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await;
    let mistake = "a client without the certificate that the server asks for";
    said.note(mistake, result.map_err(status_of));
    drop(channel);
    for serving in [other, expired, mutual] {
        serving.stop::<Tokio>().await;
    }
}

fn of_files(said: &mut Said) {
    said.note("a name that no certificate can be for", pki::client().server_name("not a name"));
    said.note(
        "a certificate file that is not there",
        Identity::from_files("/nowhere/server.pem", "/nowhere/key"),
    );
    let (one, another) = (pki::usual(), pki::usual());
    said.note("a file without a certificate", Identity::from_pem(b"", one.key.as_bytes()));
    let mixed = Identity::from_pem(one.chain.as_bytes(), another.key.as_bytes());
    said.note("a key of another certificate", mixed);
}

/// Returns whether `said` is `page`, where `…` stands for anything.
fn agrees(said: &str, page: &str) -> bool {
    let mut rest = said;
    let mut parts = page.split('…').peekable();
    let begins = parts.peek().is_some_and(|part| said.starts_with(part));
    while let Some(part) = parts.next() {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        if parts.peek().is_none() && !part.is_empty() && !rest.is_empty() {
            return false;
        }
    }
    begins
}

#[test]
fn the_page_tells_what_is_said_of_each_mistake() {
    let mut said = Said::default();
    Tokio::block_on(within::<Tokio, _>(PATIENCE, async {
        of_targets(&mut said).await;
        of_servers(&mut said).await;
        of_tls(&mut said).await;
    }));
    of_files(&mut said);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mistakes.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let mut wrong = Vec::new();
    for (mistake, message) in rows.filter(|(mistake, _)| *mistake != "mistake") {
        match said.0.remove(mistake) {
            Some(met) if agrees(&met, message) => {}
            met => {
                wrong.push(format!("{mistake}\n    page: {message}\n    said: {}", met.unwrap_or_default()));
            }
        }
    }
    let left: Vec<_> = said.0.keys().collect();
    assert!(wrong.is_empty() && left.is_empty(), "{}\nnot on the page: {left:?}", wrong.join("\n"));
}
