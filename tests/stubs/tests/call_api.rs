//! What each function of a call does and how it ends, on both runtimes and through generated code: a test for each row of
//! the call API of gRPC's `stream_interfaces.go`.

use halfclose_driver::halfclose::{Cause, Code, Metadata, Misuse, Status};
use halfclose_driver::{
    BidiStreamingServer, Channel, ClientStreamingServer, Prost, Request, Response, SendError,
    ServerStreamingServer,
};
use halfclose_e2e::{Runtime, Serving, on_both};
use halfclose_stubs::proto::words::{Count, Word, Words, WordsClient, WordsServer};

fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

fn metadata(name: &str, value: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append(name, value).expect("metadata");
    metadata
}

/// Does what the first word says.
struct Obedient;

impl Words for Obedient {
    async fn measure(&self, request: Request<Word>) -> Result<Response<Count>, Status> {
        match request.message.text.as_str() {
            "fail" => Err(Status::failed_precondition("as asked")),
            "wait" => std::future::pending().await,
            _ => Ok(Response::new(Count { letters: 1 })),
        }
    }

    async fn sum(
        &self,
        mut call: ClientStreamingServer<Word, Count, Prost>,
    ) -> Result<Response<Count>, Status> {
        let mut letters = 0;
        while let Some(word) = call.recv().await? {
            match word.text.as_str() {
                "fail" => return Err(Status::unauthenticated("who are you")),
                "enough" => break,
                text => letters += u32::try_from(text.len()).unwrap_or(u32::MAX),
            }
        }
        Ok(call.send_and_close(Count { letters }))
    }

    async fn spell(
        &self,
        request: Request<Word>,
        mut call: ServerStreamingServer<Word, Prost>,
    ) -> Result<(), Status> {
        let text = request.message.text;
        if text == "headers" {
            request.context.set_headers(metadata("one", "1"))?;
            request.context.set_headers(metadata("two", "2"))?;
            request.context.add_trailers(&metadata("three", "3"));
            request.context.add_trailers(&metadata("four", "4"));
        }
        for letter in text.chars().take(10) {
            call.send(&word(&letter.to_string())).await?;
        }
        if text == "headers" {
            // They have gone with the first message.
            assert_eq!(request.context.set_headers(metadata("late", "5")), Err(Misuse::HeadersTwice));
        }
        match text.as_str() {
            "fail" => Err(Status::data_loss("as asked")),
            "endless" => loop {
                call.send(&word("more")).await?;
            },
            _ => Ok(()),
        }
    }

    async fn shout(&self, mut call: BidiStreamingServer<Word, Word, Prost>) -> Result<(), Status> {
        while let Some(next) = call.recv().await? {
            if next.text == "fail" {
                return Err(Status::out_of_range("as asked"));
            }
            call.send(&next).await?;
        }
        call.send(&word("half-closed")).await?;
        Ok(())
    }
}

fn run<R: Runtime, F: Future<Output = ()>>(test: impl FnOnce(WordsClient<Channel>) -> F) {
    let router = WordsServer::new(Obedient).into_router();
    Serving::<R>::start(router).run::<R, _>(|channel| test(WordsClient::new(channel)));
}

on_both! {
    server_streaming_ends_with_none_after_status_ok
    server_streaming_ends_with_the_status_otherwise_and_stays_ended
    server_streaming_send_fails_once_the_client_is_gone
    client_streaming_send_has_the_status_and_so_has_close_and_recv
    client_streaming_that_the_server_answers_early_is_no_failure
    client_streaming_half_close_ends_the_requests
    bidi_send_fails_with_the_status_that_recv_returns
    bidi_receives_on_after_the_half_close
    bidi_sends_and_receives_at_once
    unary_has_one_response_or_a_status
    headers_wait_for_headers_or_the_end
    headers_merge_until_they_are_sent_and_trailers_until_the_return
    every_kind_of_call_is_cancelled_from_outside
    a_handler_that_forwards_an_upload_returns_the_status_from_upstream
    an_illegal_command_changes_nothing
}

fn server_streaming_ends_with_none_after_status_ok<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.spell(word("ab")).await.expect("a call");
        assert_eq!(call.recv().await.expect("a letter"), Some(word("a")));
        assert_eq!(call.trailers(), None, "not before the end");
        assert_eq!(call.recv().await.expect("a letter"), Some(word("b")));
        for _ in 0..2 {
            assert_eq!(call.recv().await.expect("status OK"), None);
        }
        assert!(call.trailers().is_some());
        assert_eq!(call.outcome().expect("the end").cause, Cause::Trailers);
    });
}

fn server_streaming_ends_with_the_status_otherwise_and_stays_ended<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.spell(word("fail")).await.expect("a call");
        for letter in "fail".chars() {
            assert_eq!(call.recv().await.expect("a letter"), Some(word(&letter.to_string())));
        }
        for _ in 0..2 {
            assert_eq!(call.recv().await.expect_err("a status").code(), Code::DataLoss);
        }
    });
}

fn server_streaming_send_fails_once_the_client_is_gone<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.spell(word("endless")).await.expect("a call");
        assert!(call.recv().await.expect("a letter").is_some());
        // Dropping it cancels it; the connection serves other calls, and the server stops when it is told to.
        drop(call);
        assert_eq!(client.measure(word("x")).await.expect("status OK").message.letters, 1);
    });
}

fn client_streaming_send_has_the_status_and_so_has_close_and_recv<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.sum().await.expect("a call");
        call.send(&word("fail")).await.expect("an open call");
        let error = loop {
            if let Err(error) = call.send(&word(&"x".repeat(10_000))).await {
                break error;
            }
        };
        assert_eq!(error, SendError::CallFailed(Status::unauthenticated("who are you")));
        let error = call.close_and_recv().await.expect_err("a status");
        assert_eq!((error.code(), error.status().message()), (Code::Unauthenticated, "who are you"));
    });
}

fn client_streaming_that_the_server_answers_early_is_no_failure<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.sum().await.expect("a call");
        call.send(&word("abc")).await.expect("an open call");
        call.send(&word("enough")).await.expect("an open call");
        let error = loop {
            if let Err(error) = call.send(&word(&"x".repeat(10_000))).await {
                break error;
            }
        };
        assert_eq!(error, SendError::Ended);
        assert_eq!(call.close_and_recv().await.expect("status OK").message.letters, 3);
    });
}

fn client_streaming_half_close_ends_the_requests<R: Runtime>() {
    run::<R, _>(|client| async move {
        for words in 0..3 {
            let mut call = client.sum().await.expect("a call");
            for _ in 0..words {
                call.send(&word("abc")).await.expect("an open call");
            }
            assert_eq!(call.close_and_recv().await.expect("status OK").message.letters, 3 * words);
        }
    });
}

fn bidi_send_fails_with_the_status_that_recv_returns<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.shout().await.expect("a call");
        call.send(&word("fail")).await.expect("an open call");
        let received = call.recv().await.expect_err("a status");
        assert_eq!(received.code(), Code::OutOfRange);
        let sent = call.send(&word("x")).await.expect_err("the call is over");
        assert_eq!(Status::from(sent), received.status().clone());
        // There is nothing left to close.
        assert_eq!(call.close_send(), Ok(()));
    });
}

fn bidi_receives_on_after_the_half_close<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.shout().await.expect("a call");
        call.send(&word("a")).await.expect("an open call");
        call.close_send().expect("an open call");
        assert_eq!(call.recv().await.expect("a word"), Some(word("a")));
        assert_eq!(call.recv().await.expect("a word"), Some(word("half-closed")));
        assert_eq!(call.recv().await.expect("status OK"), None);
    });
}

fn bidi_sends_and_receives_at_once<R: Runtime>() {
    run::<R, _>(|client| async move {
        let (mut send, mut receive) = client.shout().await.expect("a call").split();
        R::spawn(async move {
            for n in 0..500 {
                send.send(&word(&format!("{n}{}", "x".repeat(1_000)))).await.expect("an open call");
            }
            send.close_send().expect("an open call");
        });
        let mut count = 0;
        while receive.recv().await.expect("status OK").is_some() {
            count += 1;
        }
        assert_eq!(count, 501);
    });
}

fn unary_has_one_response_or_a_status<R: Runtime>() {
    run::<R, _>(|client| async move {
        assert_eq!(client.measure(word("x")).await.expect("status OK").message.letters, 1);
        assert_eq!(
            client.measure(word("fail")).await.expect_err("a status").code(),
            Code::FailedPrecondition
        );
        // A future of it can be moved to another task.
        let (tell, told) = smol::channel::bounded(1);
        let call = client.measure(word("x")).into_future();
        R::spawn(async move {
            let letters = call.await.expect("status OK").message.letters;
            tell.send(letters).await.expect("the test waits");
        });
        assert_eq!(told.recv().await, Ok(1));
    });
}

fn headers_wait_for_headers_or_the_end<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.shout().await.expect("a call");
        call.send(&word("a")).await.expect("an open call");
        assert!(call.headers().await.is_some());
        let mut call = client.shout().await.expect("a call");
        call.send(&word("fail")).await.expect("an open call");
        assert!(call.headers().await.is_none(), "it ends without any");
        assert_eq!(call.recv().await.expect_err("a status").code(), Code::OutOfRange);
    });
}

fn headers_merge_until_they_are_sent_and_trailers_until_the_return<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.spell(word("headers")).await.expect("a call");
        let headers = call.headers().await.expect("headers").clone();
        assert_eq!((headers.get_str("one"), headers.get_str("two")), (Some("1"), Some("2")));
        while call.recv().await.expect("status OK").is_some() {}
        let trailers = call.trailers().expect("trailers");
        assert_eq!((trailers.get_str("three"), trailers.get_str("four")), (Some("3"), Some("4")));
        assert_eq!(headers.get_str("late"), None);
    });
}

fn every_kind_of_call_is_cancelled_from_outside<R: Runtime>() {
    run::<R, _>(|client| async move {
        let call = client.measure(word("wait")).start();
        call.canceller().expect("a call").cancel();
        assert_eq!(call.await.expect_err("cancelled").code(), Code::Cancelled);

        let mut call = client.spell(word("endless")).await.expect("a call");
        let canceller = call.canceller();
        R::spawn(async move { canceller.cancel() });
        let error = loop {
            if let Err(error) = call.recv().await {
                break error;
            }
        };
        assert_eq!((error.code(), error.cause()), (Code::Cancelled, &Cause::Cancelled));
        assert_eq!(call.outcome().expect("the end").cause, Cause::Cancelled);

        let call = client.sum().await.expect("a call");
        let canceller = call.canceller();
        canceller.clone().cancel();
        // Once is enough.
        canceller.cancel();
        assert_eq!(call.close_and_recv().await.expect_err("cancelled").code(), Code::Cancelled);

        let mut call = client.shout().await.expect("a call");
        call.canceller().cancel();
        assert_eq!(call.recv().await.expect_err("cancelled").code(), Code::Cancelled);
    });
}

/// Passes uploads on.
struct Forwarding(WordsClient<Channel>);

impl Words for Forwarding {
    async fn measure(&self, request: Request<Word>) -> Result<Response<Count>, Status> {
        Ok(Response::new(self.0.measure(request.message).await?.message))
    }

    async fn sum(
        &self,
        mut call: ClientStreamingServer<Word, Count, Prost>,
    ) -> Result<Response<Count>, Status> {
        let mut upstream = self.0.sum().await?;
        while let Some(word) = call.recv().await? {
            upstream.send(&word).await?;
        }
        Ok(Response::new(upstream.close_and_recv().await?.message))
    }

    async fn spell(&self, _: Request<Word>, _: ServerStreamingServer<Word, Prost>) -> Result<(), Status> {
        Ok(())
    }

    async fn shout(&self, _: BidiStreamingServer<Word, Word, Prost>) -> Result<(), Status> {
        Ok(())
    }
}

fn a_handler_that_forwards_an_upload_returns_the_status_from_upstream<R: Runtime>() {
    let upstream = Serving::<R>::start(WordsServer::new(Obedient).into_router());
    let channel = R::block_on(upstream.connect::<R>());
    let forwarding = Forwarding(WordsClient::new(channel));
    Serving::<R>::start(WordsServer::new(forwarding).into_router()).run::<R, _>(|channel| async move {
        let mut call = WordsClient::new(channel).sum().await.expect("a call");
        call.send(&word("fail")).await.expect("an open call");
        while call.send(&word(&"x".repeat(10_000))).await.is_ok() {}
        let error = call.close_and_recv().await.expect_err("a status");
        assert_eq!((error.code(), error.status().message()), (Code::Unauthenticated, "who are you"));
    });
    R::block_on(upstream.stop::<R>());
}

fn an_illegal_command_changes_nothing<R: Runtime>() {
    run::<R, _>(|client| async move {
        let mut call = client.shout().await.expect("a call");
        call.send(&word("a")).await.expect("an open call");
        call.close_send().expect("an open call");
        assert!(matches!(call.send(&word("b")).await, Err(SendError::Misuse(_))));
        assert!(matches!(call.close_send(), Err(SendError::Misuse(_))));
        assert_eq!(call.recv().await.expect("a word"), Some(word("a")));
        assert_eq!(call.recv().await.expect("a word"), Some(word("half-closed")));
        assert_eq!(call.recv().await.expect("status OK"), None);
    });
}
