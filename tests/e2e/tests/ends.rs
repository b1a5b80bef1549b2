//! How calls and connections end before their time, on both runtimes: cancelled, out of time, shut down, cut off.

use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::halfclose::{Cause, Code, Config};
use halfclose_driver::{CallOptions, Many, Method, Raw, Response, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, on_both, within};
use smol::channel::{Receiver, Sender, unbounded};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Ends/Say");
const HANG: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Ends/Hang");

on_both! {
    a_call_whose_halves_are_dropped_is_cancelled_at_the_server
    a_deadline_ends_the_call_on_both_sides
    a_graceful_shutdown_lets_the_open_call_finish
    calls_on_a_connection_that_is_cut_are_unavailable
}

/// Notifies the test when the handler that holds it is dropped.
struct Gone(Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.try_send(());
    }
}

/// Returns a server whose `Hang` sends one message and waits for ever, and the notices that a handler of it was
/// dropped.
fn serving<R: Runtime>() -> (Serving<R>, Receiver<()>) {
    let (tell, gone) = unbounded();
    let router = Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .bidi_streaming(&HANG, move |mut call| {
            let gone = Gone(tell.clone());
            async move {
                call.send(&Bytes::from_static(b"here")).await?;
                std::future::pending::<()>().await;
                drop(gone);
                Ok(())
            }
        });
    (Serving::start(router), gone)
}

fn run<R: Runtime>(test: impl Future<Output = ()>) {
    R::block_on(within::<R, _>(PATIENCE, test));
}

fn a_call_whose_halves_are_dropped_is_cancelled_at_the_server<R: Runtime>() {
    let (server, gone) = serving::<R>();
    run::<R>(async {
        let channel = server.connect::<R>().await;
        for half in 0..2 {
            let call = channel.bidi_streaming(&HANG, CallOptions::new()).expect("a call");
            let (sender, mut receiver) = call.split();
            assert_eq!(receiver.recv().await.expect("no error").as_deref(), Some(&b"here"[..]));
            if half == 0 {
                drop(sender);
                let error = receiver.recv().await.expect_err("a request that was cut is no request");
                assert_eq!(error.code(), Code::Cancelled);
            } else {
                drop(receiver);
            }
            gone.recv().await.expect("the handler is dropped");
        }
    });
}

fn a_deadline_ends_the_call_on_both_sides<R: Runtime>() {
    let (server, gone) = serving::<R>();
    run::<R>(async {
        let channel = server.connect::<R>().await;
        let options = CallOptions::new().timeout(Duration::from_millis(100));
        let mut call = channel.bidi_streaming(&HANG, options).expect("a call");
        assert!(call.recv().await.expect("no error").is_some());
        let error = call.recv().await.expect_err("the time is up");
        assert_eq!((error.code(), error.cause()), (Code::DeadlineExceeded, &Cause::Deadline));
        gone.recv().await.expect("the handler is dropped");
    });
}

fn a_graceful_shutdown_lets_the_open_call_finish<R: Runtime>() {
    let (tell, told) = unbounded::<()>();
    let (begin, begun) = unbounded::<()>();
    let router = Router::new().unary(&SAY, move |request| {
        let (begin, told) = (begin.clone(), told.clone());
        async move {
            begin.send(()).await.expect("the test waits");
            told.recv().await.expect("the test tells");
            Ok(Response::new(request.message))
        }
    });
    let server = Serving::<R>::start(router);
    run::<R>(async {
        let channel = server.connect_with::<R>(Config::client()).await;
        let request = Bytes::from_static(b"still served");
        let open = channel.unary(&SAY, &request, CallOptions::new());
        let shutdown = async {
            begun.recv().await.expect("the call is at its handler");
            server.shutdown().trigger();
            while channel.is_open() {
                R::sleep(Duration::from_millis(1)).await;
            }
            tell.send(()).await.expect("the handler waits");
        };
        let (reply, ()) = smol::future::zip(open, shutdown).await;
        assert_eq!(reply.expect("status OK").message, request);
        let refused = channel.unary(&SAY, &request, CallOptions::new()).await.expect_err("no new calls");
        assert_eq!((refused.code(), refused.not_processed()), (Code::Unavailable, true));
        channel.closed().await;
        server.stop::<R>().await;
    });
}

fn calls_on_a_connection_that_is_cut_are_unavailable<R: Runtime>() {
    // A listener that accepts, sends SETTINGS, and closes.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let hang_up = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().expect("a connection");
        socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).expect("SETTINGS");
        let mut some = [0; 64];
        socket.read_exact(&mut some).expect("the client's preface and more");
    });
    run::<R>(async {
        let channel = R::connect(address, Config::client()).await.expect("it accepts");
        let error = channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await.expect_err("nobody answers");
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        channel.closed().await;
        assert!(channel.is_closed());
    });
    hang_up.join().expect("the listener ends");
}
