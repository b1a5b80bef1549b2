//! Generated clients and servers without sockets, and with time that the test moves.

use std::time::Duration;

use halfclose_driver::halfclose::{Code, Status};
use halfclose_driver::testing::ManualClock;
use halfclose_driver::{Method, Prost, Response, Router};
use halfclose_stubs::proto::words::words_service::{MEASURE, SHOUT};
use halfclose_stubs::proto::words::{Count, Word, WordsClient};

fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

/// A router in place of a server: as much of the service as the test needs.
fn router() -> Router {
    Router::new()
        .unary(&MEASURE, |request| async move {
            if request.message.text == "wait" {
                std::future::pending::<()>().await;
            }
            Ok(Response::new(Count {
                letters: u32::try_from(request.message.text.len()).unwrap_or(u32::MAX),
            }))
        })
        .bidi_streaming(&SHOUT, |mut call| async move {
            while let Some(next) = call.recv().await? {
                call.send(&next).await?;
            }
            Err(Status::aborted("the end"))
        })
}

async fn talk(client: WordsClient<halfclose_driver::Channel>) {
    assert_eq!(client.measure(word("abc")).await.expect("status OK").message.letters, 3);
    // Far more than the pipe and the windows hold.
    let long = word(&"x".repeat(300_000));
    let mut call = client.shout().await.expect("a call");
    for _ in 0..3 {
        call.send(&long).await.expect("an open call");
        assert_eq!(call.recv().await.expect("a word").as_ref(), Some(&long));
    }
    call.close_send().expect("an open call");
    assert_eq!(call.recv().await.expect_err("a status").code(), Code::Aborted);
    let error = client.spell(word("x")).await.expect("a call").recv().await.expect_err("not there");
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test]
async fn on_tokio() {
    talk(WordsClient::new(halfclose_tokio::testing::pair(router()))).await;
}

#[test]
fn on_smol() {
    smol::block_on(talk(WordsClient::new(halfclose_smol::testing::pair(router()))));
}

#[tokio::test(start_paused = true)]
async fn an_hour_passes_at_once_on_tokio() {
    let client = WordsClient::new(halfclose_tokio::testing::pair(router()));
    let error =
        client.measure(word("wait")).timeout(Duration::from_secs(3600)).await.expect_err("out of time");
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[test]
fn an_hour_passes_at_once_on_smol() {
    let clock = ManualClock::new();
    let client = WordsClient::new(halfclose_smol::testing::pair_with(router(), clock.clone()));
    smol::block_on(async {
        assert_eq!(client.measure(word("abc")).await.expect("status OK").message.letters, 3);
        let call = client.measure(word("wait")).timeout(Duration::from_secs(3600)).start();
        clock.advance(Duration::from_secs(3600));
        assert_eq!(call.await.expect_err("out of time").code(), Code::DeadlineExceeded);
    });
}

#[test]
fn a_pipe_that_is_dropped_ends_the_calls() {
    const NOWHERE: Method<Word, Count, Prost> = Method::new("/words.Words/Nowhere");
    let (channel, client, server) = halfclose_driver::testing::joined(router(), ManualClock::new());
    drop(server);
    smol::block_on(async {
        let asked = word("x");
        let call = channel.unary(&NOWHERE, &asked, halfclose_driver::CallOptions::new());
        let (called, _) = smol::future::zip(call, client).await;
        assert_eq!(called.expect_err("nobody answers").code(), Code::Unavailable);
    });
}
