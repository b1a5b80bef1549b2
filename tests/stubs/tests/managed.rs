//! A generated client on a channel that looks after its connections: calls start before there is a connection.

use halfclose_driver::channel::ChannelConfig;
use halfclose_driver::halfclose::{Code, Status};
use halfclose_driver::{Response, Router, Target};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_both, within};
use halfclose_stubs::proto::words::words_service::{MEASURE, SHOUT, SPELL, SUM};
use halfclose_stubs::proto::words::{Count, Word, WordsClient};

on_both! {
    the_four_call_types
    calls_without_a_server_fail_and_do_not_hang
    calls_are_cancelled_before_they_start
}

fn word(text: &str) -> Word {
    Word { text: text.to_owned() }
}

fn router() -> Router {
    Router::new()
        .unary(&MEASURE, |request| async move {
            match request.message.text.as_str() {
                "fail" => Err(Status::data_loss("as asked")),
                _ => Ok(Response::new(Count { letters: 1 })),
            }
        })
        .client_streaming(&SUM, |mut call| async move {
            let mut letters = 0;
            while call.recv().await?.is_some() {
                letters += 1;
            }
            Ok(call.send_and_close(Count { letters }))
        })
        .server_streaming(&SPELL, |request, mut call| async move { Ok(call.send(&request.message).await?) })
        .bidi_streaming(&SHOUT, |mut call| async move {
            while let Some(next) = call.recv().await? {
                call.send(&next).await?;
            }
            Ok(())
        })
}

fn client<R: Runtime>(target: &Target) -> WordsClient<halfclose_driver::ManagedChannel> {
    WordsClient::new(R::managed(target, None, ChannelConfig::default()))
}

fn the_four_call_types<R: Runtime>() {
    let server = Serving::<R>::start(router());
    R::block_on(within::<R, _>(PATIENCE, async {
        let client = client::<R>(&server.address().into());
        assert_eq!(client.measure(word("x")).await.expect("status OK").message.letters, 1);
        assert_eq!(client.measure(word("fail")).await.expect_err("a status").code(), Code::DataLoss);
        let mut sum = client.sum().await.expect("a call");
        sum.send(&word("a")).await.expect("an open call");
        sum.send(&word("b")).await.expect("an open call");
        assert_eq!(sum.close_and_recv().await.expect("status OK").message.letters, 2);
        // Half-closed before it has started.
        assert_eq!(
            client.sum().await.expect("a call").close_and_recv().await.expect("status OK").message.letters,
            0
        );
        let mut spell = client.spell(word("a")).await.expect("a call");
        assert_eq!(spell.recv().await.expect("a word"), Some(word("a")));
        assert_eq!(spell.recv().await.expect("status OK"), None);
        let (mut send, mut receive) = client.shout().await.expect("a call").split();
        R::spawn(async move {
            for _ in 0..100 {
                send.send(&word("again")).await.expect("an open call");
            }
            send.close_send().expect("an open call");
        });
        let mut count = 0;
        while receive.recv().await.expect("status OK").is_some() {
            count += 1;
        }
        assert_eq!(count, 100);
        drop(client);
        server.stop::<R>().await;
    }));
}

fn calls_without_a_server_fail_and_do_not_hang<R: Runtime>() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let target = Target::from(listener.local_addr().expect("an address"));
    drop(listener);
    R::block_on(within::<R, _>(PATIENCE, async {
        let client = client::<R>(&target);
        assert_eq!(client.measure(word("x")).await.expect_err("nobody").code(), Code::Unavailable);
        let mut shout = client.shout().await.expect("a handle");
        assert!(shout.send(&word("x")).await.is_err());
        assert_eq!(shout.recv().await.expect_err("nobody").code(), Code::Unavailable);
        let sum = client.sum().await.expect("a handle");
        assert_eq!(sum.close_and_recv().await.expect_err("nobody").code(), Code::Unavailable);
    }));
}

fn calls_are_cancelled_before_they_start<R: Runtime>() {
    let server = Serving::<R>::start(router());
    R::block_on(within::<R, _>(PATIENCE, async {
        let client = client::<R>(&server.address().into());
        let call = client.measure(word("x")).start();
        call.cancel();
        assert_eq!(call.await.expect_err("cancelled").code(), Code::Cancelled);
        let mut shout = client.shout().await.expect("a handle");
        shout.canceller().cancel();
        assert_eq!(shout.recv().await.expect_err("cancelled").code(), Code::Cancelled);
        drop(client.sum().await.expect("a handle"));
        assert_eq!(client.measure(word("x")).await.expect("status OK").message.letters, 1);
        drop(client);
        server.stop::<R>().await;
    }));
}
