use bytes::{Buf, BytesMut};
use halfclose::{Connection, Event, Next, Role, Time, Wait};
use std::io::{ErrorKind, Read, Write};

/// A connection and its transport, which never blocks: where it can do nothing, it says `WouldBlock`.
pub struct Link<R: Role, T> {
    pub core: Connection<R>,
    transport: T,
    input: BytesMut,
    may_read: bool,
}

impl<R: Role, T: Read + Write> Link<R, T> {
    pub fn new(core: Connection<R>, transport: T) -> Self {
        Self { core, transport, input: BytesMut::new(), may_read: true }
    }

    /// Does everything that can be done now. Returns what to wait for before the next turn, or `None` when the
    /// connection is over and the transport may be closed.
    pub fn turn(
        &mut self,
        now: Time,
        mut on_event: impl FnMut(&mut Connection<R>, Event),
    ) -> Option<Wait> {
        if self.may_read {
            self.read(now);
        }
        loop {
            match self.core.poll(now) {
                Next::Event(event) => on_event(&mut self.core, event),
                Next::Transmit(mut out) => match self.transport.write(out.chunk()) {
                    Ok(written) => out.advance(written),
                    // The bytes stay where they are; `poll` goes on with the rest and asks to wait for the transport.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => self.core.transport_failed(now),
                },
                // A violation is reported once more, as the last event: `Event::Closed`.
                Next::Receive => drop(self.core.receive(now, &mut self.input)),
                Next::Wait(wait) => {
                    self.may_read = wait.may_read;
                    return Some(wait);
                }
                Next::Close => return None,
            }
        }
    }

    /// Reads once, and gives the connection what came.
    fn read(&mut self, now: Time) {
        let mut bytes = [0; 16 * 1024];
        match self.transport.read(&mut bytes) {
            Ok(0) => self.core.receive_eof(now),
            Ok(count) => {
                self.input.extend_from_slice(&bytes[..count]);
                let _ = self.core.receive(now, &mut self.input);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.core.transport_failed(now),
        }
    }
}
