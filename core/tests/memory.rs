//! Messages larger than their stream's window (P-103), and the memory that bounds them: which message gets it, which
//! one waits and for how long, and which call ends.

mod common;

use std::time::Duration;

use common::proxy::Proxy;
use common::{Pair, Scripted, credit, message};
use halfclose::{CallId, CallType, Code, Config, Event, Metadata, Outcome, Recv, Server, Status};
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

/// Two ends whose windows are half of the memory of one of them where so many calls are open: 4 KiB of 8 KiB for each.
fn many_windows(calls: u32, config: fn() -> Config) -> Config {
    let mut config = config();
    (config.initial_stream_window, config.max_stream_window) = (4_096, 4_096);
    config.connection_window = 64 << 20;
    config.limits.max_concurrent_streams = calls;
    (config.limits.max_receive_message, config.limits.memory) = (256 * 1024, u64::from(calls) * 8_192);
    config
}

/// Unary calls, all at once, whose callers take everything as it comes.
struct Burst {
    pair: Pair,
    calls: Vec<CallId>,
    response: usize,
    answered: usize,
}

impl Burst {
    fn new(mut pair: Pair, calls: u32, request: usize, response: usize) -> Self {
        let calls = (0..calls).map(|_| pair.start(CallType::UNARY)).collect::<Vec<_>>();
        for call in &calls {
            assert!(matches!(pair.client.recv(*call), Ok(Recv::Pending)));
            pair.client.send_message(*call, vec![7; request].into(), false).unwrap();
            pair.client.half_close(*call).unwrap();
        }
        Self { pair, calls, response, answered: 0 }
    }

    fn serve(&mut self) {
        let server = &mut self.pair.server;
        while let Some(event) = server.poll_event() {
            if let Event::Request(call) = event {
                server.accept(call, CallType::UNARY).unwrap();
            }
            let (Event::Request(call) | Event::Readable(call)) = event else { continue };
            if let Ok(Recv::Message(_)) = server.recv(call) {
                server.send_message(call, vec![7; self.response].into(), false).unwrap();
                server.finish(call, Status::ok(), Metadata::new()).unwrap();
            }
        }
    }

    /// Carries everything until nothing moves any more, and says how the calls ended.
    fn run(mut self) -> (usize, Vec<Outcome>) {
        while self.pair.carry_up() + self.pair.carry_down() > 0 {
            self.serve();
            while let Some(event) = self.pair.client.poll_event() {
                let Event::Readable(call) = event else { continue };
                if let Ok(Recv::Message(_)) = self.pair.client.recv(call) {
                    self.answered += 1;
                }
            }
        }
        let calls = self.calls.clone();
        (self.answered, calls.into_iter().map(|call| self.pair.outcome(call)).collect())
    }
}

#[test]
fn no_call_ends_because_of_what_others_were_promised() {
    let count = 300;
    // What is promised beside windows that are open, on either side, with sizes in proportion to 272 kB and 314 kB at 64 KiB.
    let tight = |config| many_windows(count, config);
    let free = |config: fn() -> Config| {
        let mut config = many_windows(count, config);
        config.limits.memory = 1 << 30;
        config
    };
    for (client, server, request, response) in [
        (tight(Config::client), free(Config::server), 10, 19_600),
        (tight(Config::client), free(Config::server), 17_000, 19_600),
        (free(Config::client), tight(Config::server), 17_000, 10),
        (tight(Config::client), tight(Config::server), 17_000, 19_600),
    ] {
        let (answered, outcomes) = Burst::new(Pair::with(client, server), count, request, response).run();
        let failed = outcomes.iter().filter(|outcome| outcome.status.code != Code::Ok).count();
        let text = outcomes.iter().map(|outcome| outcome.status.message()).find(|text| !text.is_empty());
        assert_eq!((answered, failed, text), (count as usize, 0, None));
    }
}

#[test]
fn a_message_that_waits_to_be_sent_keeps_no_other_one_out() {
    for count in [1, 2, 20] {
        let tight = |mut config: Config| {
            // One message must fit beside what windows let in.
            (config.initial_stream_window, config.max_stream_window) = (8_192, 8_192);
            (config.limits.max_receive_message, config.limits.memory) = (300_000, 512 * 1024);
            config
        };
        let mut pair = Pair::with(tight(Config::client()), tight(Config::server()));
        let calls: Vec<_> =
            (0..count).map(|_| (pair.start(CallType::BIDI), pair.accept(CallType::BIDI))).collect();
        for (at_client, at_server) in &calls {
            assert!(matches!(pair.client.recv(*at_client), Ok(Recv::Pending)));
            assert!(matches!(pair.server.recv(*at_server), Ok(Recv::Pending)));
            pair.client.send_message(*at_client, vec![7; 270_000].into(), false).unwrap();
            pair.server.send_message(*at_server, vec![7; 270_000].into(), false).unwrap();
        }
        let (mut up, mut down) = (0, 0);
        // No time passes.
        while pair.carry_up() + pair.carry_down() > 0 {
            for (at_client, at_server) in &calls {
                down += usize::from(matches!(pair.client.recv(*at_client), Ok(Recv::Message(_))));
                up += usize::from(matches!(pair.server.recv(*at_server), Ok(Recv::Message(_))));
            }
        }
        assert_eq!((up, down), (count, count));
    }
}
