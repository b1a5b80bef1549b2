//! DATA that is never read is credited too, so that its sender can finish (P-31, P-82, RFC 9113 §6.9).

mod common;

use bytes::Bytes;
use common::Pair;
use halfclose::{CallId, CallType, Config, Metadata, Sent, Status};

/// Far more than the window of a stream.
const UPLOAD: usize = 400_000;

/// A call whose answer is larger than the window of a client that does not read.
struct Upload {
    pair: Pair,
    call: CallId,
    at_server: CallId,
}

impl Upload {
    fn new() -> Self {
        let mut config = Config::client();
        config.initial_stream_window = 100;
        let mut pair = Pair::with(config, Config::server());
        let call = pair.start(CallType::BIDI);
        let at_server = pair.accept(CallType::BIDI);
        Self { pair, call, at_server }
    }

    /// Ends the call in the handler; its status follows an answer that the client's window does not let through.
    fn answer(&mut self) {
        for size in [90, 1_000] {
            self.pair.server.send_message(self.at_server, vec![7; size].into(), false).unwrap();
        }
        self.pair.server.finish(self.at_server, Status::ok(), Metadata::new()).unwrap();
    }

    /// Lets the client send up to `bytes` while the window allows. Returns how many bytes the server accepted.
    fn send(&mut self, bytes: usize) -> usize {
        let mut taken = 0;
        for _ in 0..bytes / 10_000 {
            if !self.pair.client.is_writable(self.call) {
                break;
            }
            let sent = self.pair.client.send_message(self.call, Bytes::from_static(&[1; 10_000]), false);
            assert!(matches!(sent, Ok(Sent::Ready | Sent::Full)));
            loop {
                let carried = self.pair.carry_up();
                taken += carried;
                if carried + self.pair.carry_down() == 0 {
                    break;
                }
            }
        }
        taken
    }
}

#[test]
fn what_comes_after_the_status_was_ordered_is_credited() {
    let mut upload = Upload::new();
    upload.answer();
    assert!(upload.send(UPLOAD) > UPLOAD);
}

#[test]
fn what_was_unread_when_the_status_was_ordered_is_credited() {
    let mut upload = Upload::new();
    // The handler reads nothing, so its window is full before the end.
    assert!(upload.send(UPLOAD) < UPLOAD / 2);
    upload.answer();
    upload.pair.exchange();
    assert!(upload.send(UPLOAD) > UPLOAD);
}
