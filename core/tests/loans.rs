//! Window on loan from the pool: for messages larger than their stream's window (P-103).

mod common;

use common::{Pair, Scripted, credit, message};
use halfclose::{CallType, Config, Recv, Server};
use halfclose_wire::data;

/// A client whose windows are small and whose pool is no larger than it has to be.
fn tight() -> Pair {
    let mut config = Config::client();
    config.initial_stream_window = 10;
    config.limits.window_pool = 0;
    config.limits.max_receive_message = 30_000;
    Pair::with(config, Config::server())
}

#[test]
fn a_stream_that_has_its_message_does_not_keep_what_another_ones_message_needs() {
    let mut pair = tight();
    let calls = [0; 2].map(|_| pair.start(CallType::BIDI));
    let at_server = [0; 2].map(|_| pair.accept(CallType::BIDI));
    for (n, size) in [100, 25_000].into_iter().enumerate() {
        pair.server.send_message(at_server[n], vec![7; size].into(), false).unwrap();
        pair.exchange();
        assert_eq!(message(pair.client.recv(calls[n]).unwrap()).len(), size);
        pair.exchange();
        // The call goes on, and its server has nothing to say.
        assert!(matches!(pair.client.recv(calls[n]), Ok(Recv::Pending)));
    }
}

#[test]
fn the_message_in_progress_gets_its_loan_when_the_one_before_it_is_taken() {
    // Whether the window may grow besides or not.
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
fn a_window_grows_to_a_prefix_and_a_padding_and_nothing_is_lent_for_that() {
    for bytes in 1..5 {
        let mut config = Config::server();
        config.initial_stream_window = 10;
        let mut peer = Scripted::<Server>::server(config, &[]);
        peer.open(1);
        peer.feed(&data(1, 0, &vec![0; bytes])).expect("within the window");
        assert_eq!(credit(&peer.sent(), 1), 261 - 10, "{bytes} bytes of a prefix");
    }
}

#[test]
fn what_is_left_of_the_pool_is_lent_to_its_last_byte() {
    // What lacks of the second message, and the padding it may have, is what the first one's loan has left, or one more.
    for (second, lent) in [(24_870, true), (24_871, false)] {
        let mut config = Config::server();
        (config.initial_stream_window, config.max_stream_window) = (10_000, 10_000);
        config.limits.max_receive_message = 30_000;
        config.limits.window_pool = 30_261;
        let mut peer = Scripted::<Server>::server(config, &[]);
        for (stream, size) in [(1, 24_869), (3, second)] {
            peer.open(stream);
            peer.feed(&data(stream, 0, &halfclose_wire::message(&vec![7; size])[..10_000]))
                .expect("within the window");
        }
        let sent = peer.sent();
        assert!(credit(&sent, 1) > 0);
        assert_eq!(credit(&sent, 3) > 0, lent, "{second}");
    }
}
