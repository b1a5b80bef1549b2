//! TLS on both runtimes, with itself and with peers that do it wrong.

mod peers;
mod pipes;
mod pki;

use std::io::Error;

use bytes::Bytes;
use halfclose_driver::halfclose::{Code, Config};
use halfclose_driver::tls::{ClientTls, Identity, ServerTls, TlsError};
use halfclose_driver::{CallError, CallOptions, Channel, Many, Method, Raw, Response, Router, Target};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_every_pair, within};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Tls/Say");
const WHO: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Tls/Who");
const COUNT: Method<Bytes, Many<Bytes>, Raw> = Method::new("/e2e.Tls/Count");
const ADD: Method<Many<Bytes>, Bytes, Raw> = Method::new("/e2e.Tls/Add");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Tls/Chat");
/// More than the windows, the socket buffers and the session's buffer.
const LARGE: usize = 3 << 20;

fn router() -> Router {
    Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .unary(&WHO, |request| async move {
            let context = &request.context;
            let certificates = context.peer_certificates().len();
            let authority = context.request().authority().unwrap_or_default();
            let peer = context.peer().expect("a socket's address").ip();
            Ok(Response::new(format!("{certificates} {authority} {peer}").into()))
        })
        .server_streaming(&COUNT, |request, mut call| async move {
            for nth in 0..request.message.len() {
                call.send(&Bytes::from(vec![7; nth])).await?;
            }
            Ok(())
        })
        .client_streaming(&ADD, |mut call| async move {
            let mut sum = 0;
            while let Some(message) = call.recv().await? {
                sum += message.len();
            }
            Ok(call.send_and_close(sum.to_string().into()))
        })
        .bidi_streaming(&CHAT, |mut call| async move {
            while let Some(message) = call.recv().await? {
                call.send(&message).await?;
            }
            Ok(())
        })
}

/// Runs a test's client part against a server with these settings.
fn against<S: Runtime, C: Runtime>(server: ServerTls, test: impl AsyncFnOnce(Target)) {
    let serving = Serving::<S>::secure(router(), Config::server(), server);
    C::block_on(within::<C, _>(PATIENCE, async {
        test(serving.address().into()).await;
        serving.stop::<C>().await;
    }));
}

async fn say(channel: &Channel, message: impl Into<Bytes>) -> Result<Bytes, CallError> {
    channel.unary(&SAY, &message.into(), CallOptions::new()).await.map(|response| response.message)
}

/// Returns the TLS error inside an error of connecting.
fn tls_error(error: &Error) -> &TlsError {
    error.get_ref().and_then(|inner| inner.downcast_ref()).unwrap_or_else(|| panic!("not of TLS: {error}"))
}

fn all_four_types<S: Runtime, C: Runtime>() {
    against::<S, C>(pki::server_builder().build().expect("settings"), async |target| {
        let channel = C::connect_tls(&target, &pki::client(), Config::client()).await.expect("a session");
        assert_eq!(say(&channel, "hello").await.expect("an answer"), "hello");
        let large = Bytes::from(vec![7; LARGE]);
        assert_eq!(say(&channel, large.clone()).await.expect("an answer"), large);
        let mut counting = channel
            .server_streaming(&COUNT, &Bytes::from(vec![0; 100]), CallOptions::new())
            .await
            .expect("a call");
        for nth in 0..100 {
            assert_eq!(counting.recv().await.expect("a message").map(|message| message.len()), Some(nth));
        }
        assert_eq!(counting.recv().await.expect("the end"), None);
        let mut adding = channel.client_streaming(&ADD, CallOptions::new()).expect("a call");
        for _ in 0..100 {
            adding.send(&Bytes::from(vec![7; 50_000])).await.expect("sent");
        }
        assert_eq!(adding.close_and_recv().await.expect("a sum").message, "5000000");
        let mut chat = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        for nth in 0..100 {
            chat.send(&Bytes::from(vec![7; nth * 1000])).await.expect("sent");
            assert_eq!(chat.recv().await.expect("an echo").map(|echo| echo.len()), Some(nth * 1000));
        }
        chat.close_send().expect("open");
        assert_eq!(chat.recv().await.expect("the end"), None);
    });
}

fn both_sides_show_certificates<S: Runtime, C: Runtime>() {
    let builder = ServerTls::builder(pki::usual().identity());
    let server = builder.client_ca_pem(pki::AUTHORITY.pem().as_bytes()).and_then(|tls| tls.build());
    against::<S, C>(server.expect("settings"), async |target| {
        let builder = ClientTls::builder().ca_pem(pki::AUTHORITY.pem().as_bytes()).expect("an authority");
        let tls = builder.identity(pki::AUTHORITY.sign(&["client"], 2999).identity()).build();
        let channel =
            C::connect_tls(&target, &tls.expect("settings"), Config::client()).await.expect("a session");
        let who = channel.unary(&WHO, &Bytes::new(), CallOptions::new()).await.expect("an answer").message;
        assert_eq!(who, format!("1 {} 127.0.0.1", target.authority()));

        // With TLS 1.3 a client learns only afterwards that its certificate is missing.
        match C::connect_tls(&target, &pki::client(), Config::client()).await {
            Ok(channel) => {
                let error = say(&channel, "hello").await.expect_err("no certificate");
                assert_eq!(error.code(), Code::Unavailable, "{error}");
                assert!(error.status().message().contains("CertificateRequired"), "{error}");
            }
            Err(error) => assert!(error.to_string().contains("CertificateRequired"), "{error}"),
        }
        let stranger = pki::Authority::new("a stranger").sign(&["client"], 2999).identity();
        let builder = ClientTls::builder().ca_pem(pki::AUTHORITY.pem().as_bytes()).expect("an authority");
        let tls = builder.identity(stranger).build().expect("settings");
        let refused = match C::connect_tls(&target, &tls, Config::client()).await {
            Ok(channel) => say(&channel, "hello").await.expect_err("an unknown authority").to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains("UnknownCA"), "{refused}");
    });
}

fn names_are_checked_and_overridden<S: Runtime, C: Runtime>() {
    let server = ServerTls::builder(pki::AUTHORITY.sign(&["foo.test"], 2999).identity()).build();
    against::<S, C>(server.expect("settings"), async |target| {
        let error =
            C::connect_tls(&target, &pki::client(), Config::client()).await.expect_err("another name");
        assert!(matches!(tls_error(&error), TlsError::Tls(_)), "{error:?}");
        assert!(error.to_string().contains("not valid for name \"127.0.0.1\""), "{error}");
        let tls = pki::client().server_name("foo.test").expect("a name");
        let channel = C::connect_tls(&target, &tls, Config::client()).await.expect("a session");
        assert_eq!(say(&channel, "hello").await.expect("an answer"), "hello");
    });
}

fn an_expired_certificate_and_an_unknown_authority<S: Runtime, C: Runtime>() {
    let server = ServerTls::builder(pki::AUTHORITY.sign(&["127.0.0.1"], 2021).identity()).build();
    against::<S, C>(server.expect("settings"), async |target| {
        let error = C::connect_tls(&target, &pki::client(), Config::client()).await.expect_err("expired");
        assert!(error.to_string().contains("certificate expired"), "{error}");
    });
    against::<S, C>(pki::server_builder().build().expect("settings"), async |target| {
        let stranger = pki::Authority::new("a stranger").pem();
        let tls = ClientTls::builder().ca_pem(stranger.as_bytes()).and_then(|tls| tls.build());
        let error = C::connect_tls(&target, &tls.expect("settings"), Config::client()).await;
        let error = error.expect_err("an unknown authority");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        // Neither the system nor Mozilla knows the tests' authority.
        for tls in [ClientTls::builder(), ClientTls::builder().webpki_roots()] {
            let tls = tls.build().expect("settings");
            assert!(C::connect_tls(&target, &tls, Config::client()).await.is_err());
        }
    });
}

fn certificates_change_while_a_server_runs<S: Runtime, C: Runtime>() {
    let identity = pki::AUTHORITY.sign(&["before.test"], 2999).identity();
    let server = ServerTls::builder(identity.clone()).build().expect("settings");
    against::<S, C>(server, async |target| {
        let named = |name| pki::client().server_name(name).expect("a name");
        let before =
            C::connect_tls(&target, &named("before.test"), Config::client()).await.expect("a session");
        assert!(C::connect_tls(&target, &named("after.test"), Config::client()).await.is_err());
        let after = pki::AUTHORITY.sign(&["after.test"], 2999);
        identity.replace(after.chain.as_bytes(), after.key.as_bytes()).expect("a certificate");
        let after = C::connect_tls(&target, &named("after.test"), Config::client()).await.expect("a session");
        for channel in [before, after] {
            assert_eq!(say(&channel, "hello").await.expect("an answer"), "hello");
        }
        assert!(matches!(identity.reload(), Err(TlsError::NotFromFiles)));
    });
}

on_every_pair! {
    all_four_types
    both_sides_show_certificates
    names_are_checked_and_overridden
    an_expired_certificate_and_an_unknown_authority
    certificates_change_while_a_server_runs
}

#[test]
fn certificates_are_read_from_files_again() {
    let place = std::env::temp_dir().join(format!("halfclose-tls-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a directory");
    let (chain, key) = (place.join("chain.pem"), place.join("key.pem"));
    let write = |pem: &pki::Pem| {
        std::fs::write(&chain, &pem.chain).expect("a file");
        std::fs::write(&key, &pem.key).expect("a file");
    };
    let missing = Identity::from_files(&chain, &key).expect_err("no file");
    assert!(missing.to_string().contains("chain.pem"), "{missing}");
    write(&pki::usual());
    let identity = Identity::from_files(&chain, &key).expect("a certificate");
    write(&pki::usual());
    identity.reload().expect("another one");
    std::fs::write(&key, pki::usual().key).expect("a file");
    let wrong = identity.reload().expect_err("a key of another certificate");
    assert!(matches!(wrong, TlsError::Tls(_)), "{wrong}");
    std::fs::write(&chain, "nothing").expect("a file");
    let none = identity.reload().expect_err("no certificate");
    assert!(matches!(none, TlsError::NoCertificates(Some(_))), "{none}");
    std::fs::remove_dir_all(&place).expect("what was made");
}

#[test]
fn names_that_no_certificate_can_be_for() {
    let wrong = pki::client().server_name("not a name").expect_err("spaces");
    assert!(matches!(wrong, TlsError::ServerName(_)), "{wrong}");
    pki::client().server_name("[::1]").expect("an address");
}
