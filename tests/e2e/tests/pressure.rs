//! Limits that are reached, and calls that continue after them, on both runtimes: streams, windows, cancels,
//! connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::halfclose::{Code, Config};
use halfclose_driver::{CallOptions, Channel, Many, Method, Raw, Response, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_both, within};
use smol::channel::{Receiver, Sender, unbounded};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Pressure/Say");
const COUNT: Method<Many<Bytes>, Bytes, Raw> = Method::new("/e2e.Pressure/Count");
const LIST: Method<Bytes, Many<Bytes>, Raw> = Method::new("/e2e.Pressure/List");
const HOLD: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Pressure/Hold");

on_both! {
    calls_over_the_servers_limit_wait_and_go_on_as_streams_end
    a_client_has_no_more_in_flight_than_windows_and_buffers_allow
    a_server_has_no_more_in_flight_than_windows_and_buffers_allow
    cancels_in_the_middle_of_uploads_and_downloads_leave_the_connection_whole
    five_hundred_connections_at_once
    a_handler_that_panics_when_it_is_dropped_ends_no_other_call
}

fn run<R: Runtime>(test: impl Future<Output = ()>) {
    R::block_on(within::<R, _>(PATIENCE, test));
}

async fn say(channel: &Channel, text: &str) {
    let options = CallOptions::new().timeout(Duration::from_secs(50));
    let reply = channel.unary(&SAY, &Bytes::from(text.to_owned()), options).await.expect("status OK");
    assert_eq!(reply.message, text);
}

fn calls_over_the_servers_limit_wait_and_go_on_as_streams_end<R: Runtime>() {
    const LIMIT: usize = 3;
    const CALLS: usize = 20;
    let (begin, begun) = unbounded::<()>();
    let (tell, told) = unbounded::<()>();
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let router = Router::new().unary(&SAY, move |request| {
        let (begin, told, now, peak) = (begin.clone(), told.clone(), Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            begin.send(()).await.expect("the test waits");
            told.recv().await.expect("the test tells");
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Response::new(request.message))
        }
    });
    let mut config = Config::server();
    config.limits.max_concurrent_streams = LIMIT as u32;
    let server = Serving::<R>::with(router, config);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        // A first call, whose answer shows that the client knows the limit. Earlier calls may be refused.
        tell.send(()).await.expect("a handler waits");
        say(&channel, "first").await;
        begun.recv().await.expect("a handler");
        let (done, finished) = unbounded();
        for _ in 0..CALLS {
            let (channel, done) = (channel.clone(), done.clone());
            R::spawn(async move {
                say(&channel, "queued").await;
                done.send(()).await.expect("the test waits");
            });
        }
        for _ in 0..LIMIT {
            begun.recv().await.expect("a handler");
        }
        // Every call that ends lets one more begin, and none is refused.
        for ended in 1..=CALLS {
            tell.send(()).await.expect("a handler waits");
            finished.recv().await.expect("no call failed");
            if ended + LIMIT <= CALLS {
                begun.recv().await.expect("the next one begins");
            }
        }
        assert_eq!(most.load(Ordering::SeqCst), LIMIT);
    });
}

const PIECE: usize = 10_000;
const PIECES: usize = 200;
/// A stream's first window, a call's send buffer, and the message that may go over each.
const IN_FLIGHT: usize = 65_535 + 64 * 1024 + 2 * PIECE;

/// Waits until a sender has stopped. Returns how many messages it could hand over. At any time there may be no more
/// than the bound; that the test asks late makes it strong, not correct.
async fn stopped<R: Runtime>(sent: &AtomicUsize) -> usize {
    let mut last = 0;
    loop {
        R::sleep(Duration::from_millis(50)).await;
        let now = sent.load(Ordering::SeqCst);
        if now > 0 && now == last {
            return now;
        }
        last = now;
    }
}

fn a_client_has_no_more_in_flight_than_windows_and_buffers_allow<R: Runtime>() {
    let (tell, told) = unbounded::<()>();
    let router = Router::new().client_streaming(&COUNT, move |mut call| {
        let told = told.clone();
        async move {
            told.recv().await.expect("the test tells");
            let mut bytes = 0;
            while let Some(message) = call.recv().await? {
                bytes += message.len();
            }
            Ok(call.send_and_close(Bytes::from(bytes.to_string())))
        }
    });
    let server = Serving::<R>::start(router);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        let mut call = channel.client_streaming(&COUNT, CallOptions::new()).expect("a call");
        let sent = AtomicUsize::new(0);
        let piece = Bytes::from(vec![7; PIECE]);
        let sending = async {
            for _ in 0..PIECES {
                call.send(&piece).await.expect("the server reads in the end");
                sent.fetch_add(1, Ordering::SeqCst);
            }
            call.close_and_recv().await.expect("status OK").message
        };
        let watching = async {
            let bytes = stopped::<R>(&sent).await * PIECE;
            assert!(bytes <= IN_FLIGHT, "{bytes} bytes in flight");
            tell.send(()).await.expect("the handler waits");
        };
        let (answer, ()) = smol::future::zip(sending, watching).await;
        assert_eq!(answer, (PIECE * PIECES).to_string());
    });
}

fn a_server_has_no_more_in_flight_than_windows_and_buffers_allow<R: Runtime>() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let router = Router::new().server_streaming(&LIST, move |_, mut call| {
        let sent = Arc::clone(&counted);
        async move {
            let piece = Bytes::from(vec![7; PIECE]);
            for _ in 0..PIECES {
                call.send(&piece).await?;
                sent.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    });
    let server = Serving::<R>::start(router);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        let request = Bytes::new();
        let mut call = channel.server_streaming(&LIST, &request, CallOptions::new()).await.expect("a call");
        let bytes = stopped::<R>(&sent).await * PIECE;
        assert!(bytes <= IN_FLIGHT, "{bytes} bytes in flight");
        let mut received = 0;
        while let Some(message) = call.recv().await.expect("no error") {
            received += message.len();
        }
        assert_eq!(received, PIECE * PIECES);
    });
}

/// Notifies the test when the handler that holds it is dropped.
struct Gone(Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.try_send(());
    }
}

/// Returns a server, and the notices that an upload has begun and that a handler was dropped.
fn streaming<R: Runtime>() -> (Serving<R>, Receiver<()>, Receiver<()>) {
    let (begin, begun) = unbounded();
    let (tell, gone) = unbounded();
    let tell_too = tell.clone();
    let router = Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .client_streaming(&COUNT, move |mut call| {
            let (begin, gone) = (begin.clone(), Gone(tell.clone()));
            async move {
                begin.send(()).await.expect("the test waits");
                while call.recv().await?.is_some() {}
                drop(gone);
                Ok(call.send_and_close(Bytes::new()))
            }
        })
        .server_streaming(&LIST, move |_, mut call| {
            let gone = Gone(tell_too.clone());
            async move {
                let piece = Bytes::from(vec![7; PIECE]);
                while call.send(&piece).await.is_ok() {}
                drop(gone);
                Ok(())
            }
        });
    (Serving::start(router), begun, gone)
}

fn cancels_in_the_middle_of_uploads_and_downloads_leave_the_connection_whole<R: Runtime>() {
    let (server, begun, gone) = streaming::<R>();
    run::<R>(async {
        let channel = server.connect::<R>().await;
        let piece = Bytes::from(vec![7; PIECE]);
        // Together far more than the window of the connection, which must not be lost.
        for round in 0..60 {
            let mut upload = channel.client_streaming(&COUNT, CallOptions::new()).expect("a call");
            for _ in 0..10 {
                upload.send(&piece).await.expect("the server reads");
            }
            begun.recv().await.expect("a handler");
            let error = upload.cancel_and_recv().await;
            assert_eq!(error.code(), Code::Cancelled);

            let mut download =
                channel.server_streaming(&LIST, &Bytes::new(), CallOptions::new()).await.expect("a call");
            for _ in 0..round % 10 + 1 {
                assert_eq!(download.recv().await.expect("no error").expect("without end").len(), PIECE);
            }
            if round % 2 == 0 {
                download.cancel();
                assert_eq!(download.recv().await.expect_err("cancelled").code(), Code::Cancelled);
            }
            drop(download);
            gone.recv().await.expect("a handler is dropped");
            gone.recv().await.expect("the other too");
        }
        say(&channel, &"whole ".repeat(100_000)).await;
    });
}

fn five_hundred_connections_at_once<R: Runtime>() {
    const CONNECTIONS: usize = 500;
    let (server, ..) = streaming::<R>();
    run::<R>(async {
        let (done, finished) = unbounded();
        let (address, all_here) = (server.address(), Arc::new(AtomicUsize::new(0)));
        for number in 0..CONNECTIONS {
            let (done, all_here) = (done.clone(), Arc::clone(&all_here));
            R::spawn(async move {
                let channel = R::connect(address, Config::client()).await.expect("the server accepts");
                say(&channel, &format!("from {number}")).await;
                all_here.fetch_add(1, Ordering::SeqCst);
                // No client ends before all are connected.
                while all_here.load(Ordering::SeqCst) < CONNECTIONS {
                    R::sleep(Duration::from_millis(5)).await;
                }
                say(&channel, &format!("again from {number}")).await;
                done.send(channel).await.expect("the test waits");
            });
        }
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(finished.recv().await.expect("no connection failed"));
        }
        assert_eq!(server.shutdown().connections(), CONNECTIONS);
        drop(channels);
        server.stop::<R>().await;
    });
}

/// Panics when it is dropped.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a handler that does not want to go");
    }
}

fn a_handler_that_panics_when_it_is_dropped_ends_no_other_call<R: Runtime>() {
    let (begin, begun) = unbounded::<()>();
    let router = Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .bidi_streaming(&HOLD, move |_| {
            let begin = begin.clone();
            async move {
                let _fragile = Fragile;
                begin.send(()).await.expect("the test waits");
                std::future::pending().await
            }
        });
    let server = Serving::<R>::start(router);
    run::<R>(async {
        let channel = server.connect::<R>().await;
        let mut other = channel.bidi_streaming(&HOLD, CallOptions::new()).expect("a call");
        begun.recv().await.expect("a handler");
        let call = channel.bidi_streaming(&HOLD, CallOptions::new()).expect("a call");
        begun.recv().await.expect("a handler");
        drop(call);
        say(&channel, "still here").await;
        assert!(other.states().is_some(), "the other call is open");
        other.close_send().expect("an open call");
        // The last one goes with its connection.
        channel.close();
        channel.closed().await;
        server.stop::<R>().await;
    });
}
