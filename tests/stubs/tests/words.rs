//! A generated client calls a generated server: each call type, on every pair of runtimes.

use std::sync::Arc;
use std::time::Duration;

use halfclose_driver::codegen::CallType;
use halfclose_driver::halfclose::{Code, Status};
use halfclose_driver::{
    BidiStreamingServer, CallError, ClientStreamingServer, Idempotency, Invoke, OutgoingCall, Prost, RawCall,
    Request, Response, Router, ServerStreamingServer,
};
use halfclose_e2e::{Runtime, Serving, on_every_pair};
use halfclose_stubs::proto::words::words_service::{METHODS, SERVICE_NAME};
use halfclose_stubs::proto::words::{Count, Word, Words, WordsClient, WordsServer};
use halfclose_stubs::raw;

fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

/// Counts letters, and as many more for each word as it was told.
struct Counting {
    more: u32,
}

impl Counting {
    fn letters(&self, word: &Word) -> u32 {
        u32::try_from(word.text.chars().count()).unwrap_or(u32::MAX) + self.more
    }
}

impl Words for Counting {
    async fn measure(&self, request: Request<Word>) -> Result<Response<Count>, Status> {
        if request.message.text.is_empty() {
            return Err(Status::invalid_argument("an empty word"));
        }
        if request.message.text == "wait" {
            std::future::pending::<()>().await;
        }
        let mut response = Response::new(Count { letters: self.letters(&request.message) });
        response.trailers = request.context.metadata().clone();
        Ok(response)
    }

    async fn sum(
        &self,
        mut call: ClientStreamingServer<Word, Count, Prost>,
    ) -> Result<Response<Count>, Status> {
        let mut letters = 0;
        while let Some(word) = call.recv().await? {
            letters += self.letters(&word);
        }
        Ok(call.send_and_close(Count { letters }))
    }

    async fn spell(
        &self,
        request: Request<Word>,
        mut call: ServerStreamingServer<Word, Prost>,
    ) -> Result<(), Status> {
        for letter in request.message.text.chars() {
            call.send(&word(&letter.to_string())).await?;
        }
        Ok(())
    }

    async fn shout(&self, mut call: BidiStreamingServer<Word, Word, Prost>) -> Result<(), Status> {
        while let Some(next) = call.recv().await? {
            call.send(&word(&next.text.to_uppercase())).await?;
        }
        Ok(())
    }
}

fn router() -> Router {
    WordsServer::new(Counting { more: 0 }).into_router()
}

on_every_pair! {
    the_four_call_types
    options_are_set_on_the_call
    one_state_serves_every_call
    what_carries_calls_may_be_anything
    messages_as_bytes_call_the_same_server
}

fn the_four_call_types<S: Runtime, C: Runtime>() {
    Serving::<S>::start(router()).run::<C, _>(|channel| async move {
        let client = WordsClient::new(channel);
        assert_eq!(client.measure(word("hippopotamus")).await.expect("status OK").message.letters, 12);
        let error = client.measure(Word::default()).await.expect_err("no word");
        assert_eq!((error.code(), error.status().message()), (Code::InvalidArgument, "an empty word"));

        let mut sum = client.sum().await.expect("a call");
        for text in ["half", "close"] {
            sum.send(&word(text)).await.expect("an open call");
        }
        assert_eq!(sum.close_and_recv().await.expect("status OK").message.letters, 9);

        let mut spell = client.spell(word("abc")).await.expect("a call");
        let mut letters = String::new();
        while let Some(letter) = spell.recv().await.expect("status OK") {
            letters += &letter.text;
        }
        assert_eq!(letters, "abc");

        let mut shout = client.shout().await.expect("a call");
        for text in ["ready", "steady"] {
            shout.send(&word(text)).await.expect("an open call");
            let reply = shout.recv().await.expect("status OK").expect("a reply");
            assert_eq!(reply.text, text.to_uppercase());
        }
        shout.close_send().expect("an open call");
        assert_eq!(shout.recv().await.expect("status OK"), None);
    });
}

fn options_are_set_on_the_call<S: Runtime, C: Runtime>() {
    Serving::<S>::start(router()).run::<C, _>(|channel| async move {
        let client = WordsClient::new(channel);
        let called = client
            .measure(word("a"))
            .timeout(Duration::from_secs(30))
            .metadata("x-one", "1")
            .metadata_bin("x-two-bin", b"\x00\xff")
            .await
            .expect("status OK");
        assert_eq!(called.trailers.get_str("x-one"), Some("1"));
        assert_eq!(called.trailers.get_bin("x-two-bin"), Some(b"\x00\xff".as_slice()));
        let error = client.measure(word("a")).timeout(Duration::ZERO).await.expect_err("out of time");
        assert_eq!(error.code(), Code::DeadlineExceeded);
        let error = client.measure(word("a")).metadata("no name", "1").await.expect_err("no name");
        assert!(error.not_processed(), "{error}");
        // It is started when it is asked to, and ends when it is.
        let call = client.measure(word("wait")).start();
        call.cancel();
        assert_eq!(call.await.expect_err("cancelled").code(), Code::Cancelled);
    });
}

fn one_state_serves_every_call<S: Runtime, C: Runtime>() {
    let state = Arc::new(Counting { more: 100 });
    let router = Router::new().add_service(WordsServer::shared(Arc::clone(&state)));
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let client = WordsClient::new(channel);
        let other = client.clone();
        assert_eq!(client.measure(word("a")).await.expect("status OK").message.letters, 101);
        assert_eq!(other.measure(word("ab")).await.expect("status OK").message.letters, 102);
    });
    assert_eq!(Arc::strong_count(&state), 1, "the server has let go of it");
}

/// Counts the calls that it passes on.
struct Counted<I>(I, std::sync::atomic::AtomicUsize);

impl<I: Invoke> Invoke for Counted<I> {
    fn invoke(&self, call: OutgoingCall) -> Result<RawCall, CallError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Taken apart and put together, as an interceptor would.
        let (send, receive) = self.0.invoke(call)?.into_parts();
        Ok(RawCall::new(send, receive))
    }
}

fn what_carries_calls_may_be_anything<S: Runtime, C: Runtime>() {
    Serving::<S>::start(router()).run::<C, _>(|channel| async move {
        let counted = Arc::new(Counted(channel, Default::default()));
        let carrier: Arc<dyn Invoke> = counted.clone();
        let client: WordsClient<Arc<dyn Invoke>> = WordsClient::new(carrier);
        assert_eq!(client.measure(word("abc")).await.expect("status OK").message.letters, 3);
        let mut shout = client.shout().await.expect("a call");
        shout.send(&word("x")).await.expect("an open call");
        assert!(shout.headers().await.is_some());
        assert_eq!(shout.recv().await.expect("status OK"), Some(word("X")));
        shout.close_send().expect("an open call");
        assert_eq!(shout.recv().await.expect("status OK"), None);
        let mut sum = client.sum().await.expect("a call");
        sum.send(&word("abc")).await.expect("an open call");
        assert_eq!(sum.close_and_recv().await.expect("status OK").message.letters, 3);
        let spell = client.spell(word("abc")).await.expect("a call");
        spell.cancel();
        drop(spell);
        assert_eq!(counted.1.load(std::sync::atomic::Ordering::Relaxed), 4);
    });
}

fn messages_as_bytes_call_the_same_server<S: Runtime, C: Runtime>() {
    Serving::<S>::start(router()).run::<C, _>(|channel| async move {
        let client = raw::words::WordsClient::new(channel);
        let reply = client.measure(bytes::Bytes::from_static(b"\x0a\x03abc")).await.expect("status OK");
        assert_eq!(reply.message.as_ref(), b"\x08\x03");
    });
}

#[test]
fn constants_say_what_the_file_says() {
    assert_eq!(SERVICE_NAME, "words.Words");
    let said: Vec<_> = METHODS.iter().map(|method| (method.name, method.path, method.call_type)).collect();
    let expected = [
        ("Measure", "/words.Words/Measure", CallType::UNARY),
        ("Sum", "/words.Words/Sum", CallType::CLIENT_STREAMING),
        ("Spell", "/words.Words/Spell", CallType::SERVER_STREAMING),
        ("Shout", "/words.Words/Shout", CallType::BIDI),
    ];
    assert_eq!(said, expected);
    let idempotency: Vec<_> = METHODS.iter().map(|method| method.idempotency).collect();
    assert_eq!(idempotency[..2], [Idempotency::NoSideEffects, Idempotency::Unknown]);
    assert!(!halfclose_stubs::proto::FILE_DESCRIPTOR_SET.is_empty());
}

#[test]
fn a_method_that_is_added_twice_is_an_error() {
    assert_eq!(router().check(), Ok(()));
    let twice = router().merge(router());
    let error = twice.check().expect_err("an error");
    assert_eq!(error.paths().len(), 4);
    assert!(error.to_string().contains("/words.Words/Measure"), "{error}");
    let bound = halfclose_e2e::Tokio::block_on(halfclose_tokio::Server::bind("127.0.0.1:0", twice));
    assert!(bound.expect_err("an error").to_string().contains("/words.Words/Measure"));
    let twice = router().add_service(WordsServer::new(Counting { more: 1 }));
    let bound = halfclose_e2e::Smol::block_on(halfclose_smol::Server::bind("127.0.0.1:0", twice));
    assert!(bound.expect_err("an error").to_string().contains("/words.Words/Measure"));
}

#[test]
fn routers_are_merged() {
    let raw = Router::new().unary(
        &halfclose_driver::Method::<bytes::Bytes, bytes::Bytes, halfclose_driver::Raw>::new(
            "/other.Echo/Say",
        ),
        |request| async move { Ok(Response::new(request.message)) },
    );
    let merged = router().merge(raw);
    assert_eq!(merged.check(), Ok(()));
    assert_eq!(merged.paths().last(), Some(&"/other.Echo/Say"));
    Serving::<halfclose_e2e::Tokio>::start(merged).run::<halfclose_e2e::Smol, _>(|channel| async move {
        const SAY: halfclose_driver::Method<bytes::Bytes, bytes::Bytes, halfclose_driver::Raw> =
            halfclose_driver::Method::new("/other.Echo/Say");
        let said = channel.unary(&SAY, &"x".into(), halfclose_driver::CallOptions::new()).await;
        assert_eq!(said.expect("status OK").message, "x");
        let counted = WordsClient::new(channel).measure(word("abc")).await;
        assert_eq!(counted.expect("status OK").message.letters, 3);
    });
}
