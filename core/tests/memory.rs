//! Messages larger than their stream's window (P-103), and the memory that bounds them: which message gets it, which
//! one waits and for how long, and which call ends.

mod common;

use std::time::Duration;

use common::proxy::Proxy;
use common::{Pair, Scripted, credit, message};
use halfclose::{CallType, Code, Config, Recv, Server};
use halfclose_wire::data;

/// Creates a client with small windows and the least memory.
fn tight() -> Pair {
    let mut config = Config::client();
    config.initial_stream_window = 10;
    config.limits.memory = 0;
    config.limits.max_receive_message = 30_000;
    Pair::with(config, Config::server())
}

#[test]
fn a_stream_that_has_its_message_does_not_keep_what_another_ones_message_needs() {
    let mut pair = tight();
    let calls = [0; 2].map(|_| pair.start(CallType::BIDI));
    let at_server = [0; 2].map(|_| pair.accept(CallType::BIDI));
    for (n, size) in [100, 25_000].into_iter().enumerate() {
        assert!(matches!(pair.client.recv(calls[n]), Ok(Recv::Pending)));
        pair.server.send_message(at_server[n], vec![7; size].into(), false).unwrap();
        pair.exchange();
        assert_eq!(message(pair.client.recv(calls[n]).unwrap()).len(), size);
        pair.exchange();
        // The call continues, and its server has nothing to send.
        assert!(matches!(pair.client.recv(calls[n]), Ok(Recv::Pending)));
    }
}

#[test]
fn the_message_in_progress_gets_its_window_when_the_one_before_it_is_taken() {
    // With and without a window that may also grow.
    for most in [1_000, 1 << 20] {
        let mut config = Config::client();
        (config.initial_stream_window, config.max_stream_window) = (1_000, most);
        let mut pair = Pair::with(config, Config::server());
        let call = pair.start(CallType::BIDI);
        let at_server = pair.accept(CallType::BIDI);
        for size in [100, 25_000] {
            pair.server.send_message(at_server, vec![7; size].into(), false).unwrap();
        }
        for size in [100, 25_000] {
            pair.exchange();
            assert_eq!(message(pair.client.recv(call).unwrap()).len(), size);
        }
    }
}

#[test]
fn a_window_grows_to_a_prefix_and_a_padding_for_good() {
    for bytes in 1..5 {
        let mut config = Config::server();
        config.initial_stream_window = 10;
        let mut peer = Scripted::<Server>::server(config, &[]);
        peer.open(1);
        peer.feed(&data(1, 0, &vec![0; bytes])).expect("within the window");
        assert_eq!(credit(&peer.sent(), 1), 261 - 10, "{bytes} bytes of a prefix");
    }
}

/// Returns what each call ended with, in order.
fn codes(proxy: &Proxy) -> Vec<Code> {
    proxy.ended.values().copied().collect()
}

#[test]
fn uploads_behind_a_proxy_that_shares_one_window_all_end() {
    for (count, size) in
        [(5, 4_000_000), (20, 1_000_000), (90, 272_000), (30, 4_000_000), (30, 4 << 20), (200, 500_000)]
    {
        let mut proxy = Proxy::new(Config::server());
        (0..count).for_each(|_| _ = proxy.upload(size, 0));
        let took = proxy.run(Duration::from_secs(60));
        assert_eq!(codes(&proxy), vec![Code::Ok; count], "{count} of {size}");
        assert_eq!(took, Duration::ZERO, "nobody waited: {count} of {size}");
        assert_eq!((proxy.peer.core.memory().held, proxy.peer.core.memory().promised), (0, 0));
    }
}
