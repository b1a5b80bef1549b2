use halfclose::{Answering, BidiServerCall, CallId, Connection, Event, Incoming, Metadata, Misuse, Server, Status};

/// The calls of one connection, by slot.
#[derive(Default)]
pub struct Handlers(Vec<Option<BidiServerCall<Answering>>>);

impl Handlers {
    pub fn on_event(&mut self, server: &mut Connection<Server>, event: Event) -> Result<(), Misuse> {
        match event {
            Event::Request(call) => {
                let handler = server.accept_bidi(call)?.without_metadata();
                if self.0.len() <= call.slot() {
                    self.0.resize_with(call.slot() + 1, || None);
                }
                self.0[call.slot()] = Some(handler);
                self.work(server, call)
            }
            Event::Readable(call) | Event::Writable(call) => self.work(server, call),
            // Whatever the cause: nobody waits for this handler any more.
            Event::Ended(call, _) => {
                self.0[call.slot()] = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Echoes what has come, as long as there is buffer space for the answer.
    fn work(&mut self, server: &mut Connection<Server>, call: CallId) -> Result<(), Misuse> {
        let Some(mut handler) = self.0[call.slot()].take() else { return Ok(()) };
        // Without space this asks for one `Event::Writable`, so that the call is worked on again.
        while server.want_write(call)? {
            match handler.recv(server)? {
                Incoming::Message(message) => {
                    handler.send(server, message.payload)?;
                }
                Incoming::HalfClosed => return handler.finish(server, Status::ok(), Metadata::new()),
                // This has asked for one `Event::Readable`.
                Incoming::Pending => break,
            }
        }
        self.0[call.slot()] = Some(handler);
        Ok(())
    }
}
