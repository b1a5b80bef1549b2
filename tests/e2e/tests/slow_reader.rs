//! 64 MiB to a reader that sleeps: flow control stops the sender, and neither side buffers it. A binary of its own, since
//! the peak of the heap is the process's; it holds both sides.

use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::halfclose::Config;
use halfclose_driver::{CallOptions, Many, Method, Raw, Router};
use halfclose_e2e::{PATIENCE, Runtime, Serving, Smol, Tokio, within};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const LIST: Method<Bytes, Many<Bytes>, Raw> = Method::new("/e2e.Load/List");
const MESSAGE: usize = 64 * 1024;
const MESSAGES: usize = 1024;
/// Both sides together may hold this much beside what they had.
const MOST: usize = 8 << 20;

fn serving<R: Runtime>() -> Serving<R> {
    let router = Router::new().server_streaming(&LIST, |request, mut call| async move {
        for _ in 0..MESSAGES {
            call.send(&request.message).await?;
        }
        Ok(())
    });
    Serving::start(router)
}

async fn read_slowly<R: Runtime>(server: Serving<R>) {
    // Windows that do not grow: how far they do on a fast path has tests of its own.
    let mut config = Config::client();
    (config.max_stream_window, config.max_connection_window) = (1 << 20, 1 << 20);
    let channel = server.connect_with::<R>(config).await;
    let request = Bytes::from(vec![7; MESSAGE]);
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let mut call = channel.server_streaming(&LIST, &request, CallOptions::new()).await.expect("a call");
    let mut received = 0;
    while let Some(message) = call.recv().await.expect("no error") {
        assert_eq!(message, request);
        received += 1;
        if received % 256 == 1 {
            R::sleep(Duration::from_millis(200)).await;
        }
    }
    assert_eq!(received, MESSAGES);
    let peak = HEAP.peak_usage().saturating_sub(before);
    println!(
        "64 MiB to a reader that sleeps: at most {} KiB on the heap of both sides together",
        peak / 1024
    );
    assert!(peak < MOST, "{peak} bytes");
}

#[test]
fn a_sleeping_reader_stops_its_sender() {
    // One after the other: the heap is the process's.
    Tokio::block_on(within::<Tokio, _>(PATIENCE, read_slowly::<Tokio>(serving())));
    Smol::block_on(within::<Smol, _>(PATIENCE, read_slowly::<Smol>(serving())));
}
