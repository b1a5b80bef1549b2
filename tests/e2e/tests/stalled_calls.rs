//! Two hundred small calls beside twenty that stand still, over sockets, on every pair of runtimes: each is served while all
//! twenty are held up, whichever side holds them, and these go on once they are read.

use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::{CallOptions, Channel, Many, Method, Raw, Response, Router};
use halfclose_e2e::{Runtime, Serving, on_every_pair};
use smol::channel::{Receiver, Sender, unbounded};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Stalled/Say");
const LIST: Method<Bytes, Many<Bytes>, Raw> = Method::new("/e2e.Stalled/List");
const COUNT: Method<Many<Bytes>, Bytes, Raw> = Method::new("/e2e.Stalled/Count");
const STALLED: usize = 20;
const SMALL: usize = 200;
const LARGE: usize = 1 << 20;

on_every_pair! {
    small_calls_beside_answers_that_nobody_reads
    small_calls_beside_uploads_that_nobody_reads
}

/// Sends large messages to whoever reads them; reads what it is sent once it is told to.
fn router(told: Receiver<()>, begin: Sender<()>) -> Router {
    Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .server_streaming(&LIST, |_, mut call| async move {
            for _ in 0..2 {
                call.send(&Bytes::from(vec![7; LARGE])).await?;
            }
            Ok(())
        })
        .client_streaming(&COUNT, move |mut call| {
            let (told, begin) = (told.clone(), begin.clone());
            async move {
                begin.send(()).await.expect("the test waits");
                told.recv().await.expect("the test tells");
                let mut bytes = 0;
                while let Some(message) = call.recv().await? {
                    bytes += message.len();
                }
                Ok(call.send_and_close(Bytes::from(bytes.to_string())))
            }
        })
}

async fn small_calls(channel: &Channel) {
    for _ in 0..SMALL {
        let message = Bytes::from_static(b"ping");
        let options = CallOptions::new().timeout(Duration::from_secs(50));
        let answer = channel.unary(&SAY, &message, options).await.expect("the call is served");
        assert_eq!(answer.message, message);
    }
}

fn small_calls_beside_answers_that_nobody_reads<S: Runtime, C: Runtime>() {
    let (_tell, told) = unbounded();
    let (begin, _begun) = unbounded();
    Serving::<S>::start(router(told, begin)).run::<C, _>(|channel| async move {
        let mut stalled = Vec::new();
        for _ in 0..STALLED {
            let call = channel.server_streaming(&LIST, &Bytes::new(), CallOptions::new()).await;
            stalled.push(call.expect("a call"));
        }
        small_calls(&channel).await;
        for call in &mut stalled {
            for _ in 0..2 {
                assert_eq!(call.recv().await.expect("no error").expect("a message").len(), LARGE);
            }
            assert_eq!(call.recv().await.expect("status OK"), None);
        }
    });
}

fn small_calls_beside_uploads_that_nobody_reads<S: Runtime, C: Runtime>() {
    let (tell, told) = unbounded();
    let (begin, begun) = unbounded();
    Serving::<S>::start(router(told, begin)).run::<C, _>(|channel| async move {
        let (done, finished) = unbounded();
        for _ in 0..STALLED {
            let mut call = channel.client_streaming(&COUNT, CallOptions::new()).expect("a call");
            let done = done.clone();
            C::spawn(async move {
                for _ in 0..2 {
                    call.send(&Bytes::from(vec![7; LARGE])).await.expect("the server reads in the end");
                }
                let answer = call.close_and_recv().await.expect("status OK");
                done.send(answer.message).await.expect("the test waits");
            });
        }
        for _ in 0..STALLED {
            begun.recv().await.expect("a handler");
        }
        small_calls(&channel).await;
        assert!(finished.is_empty(), "all of them stand still");
        for _ in 0..STALLED {
            tell.send(()).await.expect("a handler waits");
        }
        for _ in 0..STALLED {
            assert_eq!(finished.recv().await.expect("no call failed"), (2 * LARGE).to_string());
        }
    });
}
