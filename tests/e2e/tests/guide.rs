//! The code of docs/embedding.md, word by word, over Unix sockets with little buffer, both ends busy. No time passes
//! here: an end has its turn only when what it waits for has happened, and if neither may go on, something was lost.

use std::os::unix::net::UnixStream;

use bytes::Bytes;
use halfclose::{
    CallId, CallType, Client, Config, Connection, Event, Recv, Request, Seed, Server, Time, Wait,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[allow(unreachable_pub, reason = "as the guide has it")]
mod link {
    include!("../../../core/examples/embedding/link.rs");
}

#[allow(unreachable_pub, reason = "as the guide has it")]
mod handlers {
    include!("../../../core/examples/embedding/handlers.rs");
}

use handlers::Handlers;
use link::Link;

const GUIDE: &str = include_str!("../../../docs/embedding.md");

#[test]
fn the_guide_has_the_code_that_is_run_here() {
    for code in [
        include_str!("../../../core/examples/embedding/link.rs"),
        include_str!("../../../core/examples/embedding/handlers.rs"),
    ] {
        assert!(
            GUIDE.contains(&format!("```rust\n{code}```\n")),
            "docs/embedding.md has no block with\n{code}"
        );
    }
}

/// What one call of the client has to do.
struct Chat {
    call: CallId,
    to_send: usize,
    to_receive: usize,
    size: usize,
    half_closed: bool,
    ended: bool,
}

impl Chat {
    /// Sends while there is buffer space, receives what is there.
    fn work(&mut self, core: &mut Connection<Client>) {
        while self.to_send > 0 && core.want_write(self.call) == Ok(true) {
            self.to_send -= 1;
            let message = Bytes::from(vec![self.call.slot() as u8; self.size]);
            core.send_message(self.call, message, false).expect("buffer space");
        }
        if self.to_send == 0 && !std::mem::replace(&mut self.half_closed, true) {
            core.half_close(self.call).expect("an open call");
        }
        while !self.ended {
            match core.recv(self.call).expect("an open call") {
                Recv::Message(message) => {
                    assert_eq!(message.payload.len(), self.size);
                    assert!(message.payload.iter().all(|byte| *byte == self.call.slot() as u8));
                    self.to_receive -= 1;
                }
                Recv::End(outcome) => {
                    assert!(outcome.status.is_ok(), "{outcome:?}");
                    self.ended = true;
                }
                _ => return,
            }
        }
    }
}

/// Returns which of two ends may have their turn.
fn ready(sockets: [&UnixStream; 2], waits: [Option<Wait>; 2]) -> [bool; 2] {
    let flags = waits.map(|wait| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, wait.is_some_and(|wait| wait.may_read));
        flags.set(PollFlags::OUT, wait.is_some_and(|wait| wait.wants_write));
        flags
    });
    let [near, far] = sockets;
    let mut polled = [PollFd::new(near, flags[0]), PollFd::new(far, flags[1])];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("two sockets");
    [0, 1].map(|end| polled[end].revents().intersects(flags[end]))
}

/// Runs `calls` calls of `messages` messages each way, until all have ended or neither end can go on.
fn run(buffer: usize, client: Config, server: Config, calls: usize, messages: usize, size: usize) {
    let (near, far) = UnixStream::pair().expect("a pair");
    for socket in [&near, &far] {
        socket.set_nonblocking(true).expect("a socket");
        rustix::net::sockopt::set_socket_send_buffer_size(socket, buffer).expect("a socket");
    }
    let now = Time::ZERO;
    let mut client = Link::new(Connection::<Client>::new(client, Seed(1), now), &near);
    let mut server = Link::new(Connection::<Server>::new(server, Seed(2), now), &far);
    let mut handlers = Handlers::default();
    let mut chats: Vec<_> = (0..calls)
        .map(|_| {
            let request = Request::new("/demo.Echo/Chat", CallType::BIDI);
            let call = client.core.start(now, request).expect("a call");
            let (to_send, to_receive) = (messages, messages);
            Chat { call, to_send, to_receive, size, half_closed: false, ended: false }
        })
        .collect();
    for chat in &mut chats {
        chat.work(&mut client.core);
    }
    let mut may_turn = [true, true];
    let mut waits = [None, None];
    while chats.iter().any(|chat| !chat.ended) {
        let open = chats.iter().filter(|chat| !chat.ended).count();
        assert!(may_turn != [false, false], "{open} of {calls} calls hang: {waits:?}");
        if may_turn[0] {
            waits[0] = client.turn(now, |core, event| {
                if let Event::Readable(call) | Event::Writable(call) = event {
                    let chat = chats.iter_mut().find(|chat| chat.call == call && !chat.ended);
                    chat.into_iter().for_each(|chat| chat.work(core));
                }
            });
        }
        if may_turn[1] {
            waits[1] = server.turn(now, |core, event| {
                handlers.on_event(core, event).expect("no misuse");
            });
        }
        may_turn = ready([&near, &far], waits);
    }
    assert!(chats.iter().all(|chat| chat.to_send + chat.to_receive == 0));
}

#[test]
fn both_ends_are_busy_over_small_sockets() {
    for buffer in [2_000, 10_000, 200_000] {
        run(buffer, Config::client(), Config::server(), 16, 4, 300_000);
        run(buffer, Config::client(), Config::server(), 1, 10, 300_000);
        run(buffer, Config::client(), Config::server(), 100, 3, 20_000);
    }
}

#[test]
fn many_calls_wait_for_buffer_space() {
    let small = |mut config: Config, memory: u64| {
        (config.limits.send_buffer, config.limits.memory) = (20_000, memory);
        config
    };
    // Half of the memory is what may be queued before calls queue one message at a time.
    for memory in [400_000, 4 << 20] {
        let (client, server) = (small(Config::client(), memory), small(Config::server(), memory));
        run(4_000, client, server, 16, 20, 10_000);
    }
}
