//! Messages larger than their stream's window (P-103), and the memory that bounds them: which message gets it, which
//! one waits and for how long, and which call ends.

mod common;

use std::time::Duration;

use common::proxy::Proxy;
use common::{Pair, Scripted, credit, feed, message, written};
use halfclose::frame::ErrorCode;
use halfclose::{CallId, CallType, Code, Config, Event, Metadata, Outcome, Recv, Server, Status, Time};
use halfclose_wire::{END_STREAM, data, prefixed, reset};

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

/// Returns two ends, one of which has windows of half its memory for this number of calls: 4 KiB of 8 KiB for each.
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

    /// The server takes what came, and answers what is whole.
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

    fn take_answers(&mut self) {
        while let Some(event) = self.pair.client.poll_event() {
            let Event::Readable(call) = event else { continue };
            match self.pair.client.recv(call) {
                Ok(Recv::Message(_)) => self.answered += 1,
                Ok(Recv::End(outcome)) => panic!("not answered: {:?}", outcome.status),
                _ => {}
            }
        }
    }

    /// Carries everything until nothing moves any more, and says how the calls ended.
    fn run(mut self) -> (usize, Vec<Outcome>) {
        while self.pair.carry_up() + self.pair.carry_down() > 0 {
            self.serve();
            self.take_answers();
        }
        self.outcomes()
    }

    fn outcomes(mut self) -> (usize, Vec<Outcome>) {
        let calls = self.calls.clone();
        (self.answered, calls.into_iter().map(|call| self.pair.outcome(call)).collect())
    }

    /// Carries `bytes` up in each step of time, until every call is answered or none can be. Also returns for how long
    /// messages waited for memory.
    fn run_at(mut self, bytes: usize, step: Duration) -> (usize, Vec<Outcome>, Duration) {
        let mut waited = Duration::ZERO;
        while self.pair.now < Time::ZERO + Duration::from_secs(600) && self.answered < self.calls.len() {
            let now = self.pair.now;
            self.pair.up.unsplit(written(&mut self.pair.client, now));
            let mut piece = self.pair.up.split_to(bytes.min(self.pair.up.len()));
            feed(&mut self.pair.server, now, &mut piece);
            // A frame that is not whole yet comes with the next piece.
            piece.unsplit(std::mem::take(&mut self.pair.up));
            self.pair.up = piece;
            self.pair.carry_down();
            self.serve();
            self.take_answers();
            if self.pair.server.memory().waiting > 0 {
                waited += step;
            }
            self.pair.now = now + step;
            self.pair.server.handle_timeout(self.pair.now);
            self.pair.client.handle_timeout(self.pair.now);
        }
        let (answered, outcomes) = self.outcomes();
        (answered, outcomes, waited)
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

#[test]
fn uploads_that_wait_for_memory_get_it_in_time() {
    // A sixteenth of sixty uploads of 4 MiB at once, over 200 Mbit/s, with the default memory of a server.
    let mut config = many_windows(200, Config::server);
    config.limits.memory = Config::server().limits.memory / 16;
    (config.connection_window, config.max_connection_window) = (65_535, 2 << 20);
    let mut client = Config::client();
    client.limits.max_concurrent_streams = 200;
    let burst = Burst::new(Pair::with(client, config), 60, (4 << 20) / 16 - 5, 10);
    let (answered, outcomes, waited) = burst.run_at(25_000_000 / 16 / 10, Duration::from_millis(100));
    assert!(outcomes.iter().all(|outcome| outcome.status.code == Code::Ok));
    println!("sixty uploads of 4 MiB at 200 Mbit/s: messages wait for memory for {waited:?} at most");
    assert_eq!(answered, 60);
    assert!(waited >= Duration::from_secs(1), "they do not wait at all: {waited:?}");
    assert!(waited <= Config::server().limits.memory_timeout / 2, "{waited:?}");
}

/// A server with room for two messages on their way, of which the first is on its way, the second waits with much of it here,
/// and the third behind it lacks less than that.
fn two_that_wait(peer: &mut Scripted<Server>) -> [CallId; 3] {
    let calls = [1, 3, 5].map(|stream| peer.open(stream));
    for (stream, length, here) in [(1, 60_000, 10), (3, 90_000, 15_000), (5, 25_000, 10_000)] {
        assert!(matches!(peer.core.recv(calls[stream as usize / 2]), Ok(Recv::Pending)));
        peer.feed(&data(stream, 0, &prefixed(0, length, &vec![7; here]))).expect("within the window");
    }
    let sent = peer.sent();
    assert!(credit(&sent, 1) >= 60_000 - 20_480, "the first one goes on");
    assert_eq!((credit(&sent, 3), credit(&sent, 5)), (0, 0), "the others wait");
    calls
}

#[test]
fn whoever_can_go_on_does_whatever_took_the_one_before_it_away() {
    type TakeAway = fn(&mut Scripted<Server>, CallId);
    let ways: [(&str, TakeAway); 4] = [
        ("its client resets it", |peer, _| peer.feed(&reset(3, ErrorCode::CANCEL)).expect("allowed")),
        ("its handler cancels it", |peer, call| peer.core.cancel(call).expect("an open call")),
        ("its handler answers early", |peer, call| {
            peer.core.finish(call, Status::ok(), Metadata::new()).expect("an open call");
        }),
        ("its client ends it in the middle", |peer, _| {
            peer.feed(&data(3, END_STREAM, b"")).expect("allowed");
        }),
    ];
    for (name, take_away) in ways {
        let mut config = Config::server();
        (config.initial_stream_window, config.max_stream_window) = (20_480, 20_480);
        // Half of it is left to windows: 62,000 bytes hold the first message, and what is here of the others without the second.
        (config.limits.max_receive_message, config.limits.memory) = (100_000, 124_000);
        let mut peer = Scripted::<Server>::server(config, &[]);
        let [_, second, _] = two_that_wait(&mut peer);
        take_away(&mut peer, second);
        assert!(credit(&peer.sent(), 5) >= 25_000 - 20_480, "{name}: the third one goes on");
    }
}

#[test]
fn messages_of_more_than_a_window_can_hold_are_given_the_largest_window() {
    let largest = u64::from(u32::MAX >> 1);
    for length in [0x7fff_ffff, 0x8000_0000, 0x8000_feff, u32::MAX] {
        let mut config = Config::server();
        (config.limits.max_receive_message, config.limits.memory) = (u32::MAX, 1 << 40);
        let mut peer = Scripted::<Server>::server(config, &[]);
        let call = peer.open(1);
        assert!(matches!(peer.core.recv(call), Ok(Recv::Pending)));
        peer.feed(&data(1, 0, &prefixed(0, length, b""))).expect("within the window");
        // RFC 9113 §6.9.1: no window is over 2^31-1, and no increment is 0 or has another bit.
        assert_eq!(65_535 - 5 + credit(&peer.sent(), 1), largest, "{length:#x}");
        assert_eq!(peer.core.memory().held, 5, "nothing is reserved");
    }
}
