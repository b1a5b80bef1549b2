//! The four call types over a real socket with threads and nothing else: no async, no runtime.
//!
//! `cargo run -p halfclose --example blocking`
//!
//! `blocking/link.rs` is the whole loop around a connection. This server takes one call after the other, to be short;
//! docs/embedding.md shows how to keep many going.

#[path = "blocking/link.rs"]
mod link;

use std::net::{TcpListener, TcpStream};
use std::thread;

use bytes::{Bytes, BytesMut};
use halfclose::{
    CallId, Client, Config, Connection, Incoming, Metadata, Misuse, Received, Reply, Server, Status,
};
use link::{Link, Result};

impl Link<Server> {
    /// Returns the next request of a call, or `None` at the client's half-close.
    fn next(
        &mut self,
        mut recv: impl FnMut(&mut Connection<Server>) -> Result<Incoming, Misuse>,
    ) -> Result<Option<Bytes>> {
        let asked =
            self.wait(|link| Ok(Some(recv(&mut link.core)?).filter(|asked| *asked != Incoming::Pending)))?;
        Ok(if let Some(Incoming::Message(request)) = asked { Some(request.payload) } else { None })
    }

    fn answer(&mut self, id: CallId) -> Result {
        let mut trailers = Metadata::new();
        trailers.append("x-server", "blocking")?;
        self.show(id, "                    server: asked");
        match self.core.request(id)?.method() {
            Some("Unary") => {
                let mut call = self.core.accept_unary(id)?;
                let request = self.next(|core| call.recv(core))?.unwrap_or_default();
                call.send_and_close(&mut self.core, request)?;
            }
            Some("Up") => {
                let (mut call, mut all) = (self.core.accept_client_streaming(id)?, BytesMut::new());
                while let Some(request) = self.next(|core| call.recv(core))? {
                    self.show(id, format!("                    server: took {request:?}"));
                    all.extend_from_slice(&request);
                }
                call.send_and_close(&mut self.core, all.freeze())?;
            }
            Some("Down") => {
                let mut call = self.core.accept_server_streaming(id)?;
                let request = self.next(|core| call.recv(core))?.unwrap_or_default();
                let mut call = call.without_metadata();
                for at in 0..request.len() {
                    call.send(&mut self.core, request.slice(at..=at))?;
                }
                call.finish(&mut self.core, Status::ok(), trailers)?;
            }
            Some("Bidi") => {
                let mut call = self.core.accept_bidi(id)?.without_metadata();
                while let Some(request) = self.next(|core| call.recv(core))? {
                    call.send(&mut self.core, request.to_ascii_uppercase().into())?;
                    self.show(id, format!("                    server: answered {request:?}"));
                }
                call.finish(&mut self.core, Status::out_of_range("that was all"), trailers)?;
            }
            _ => self.core.finish(id, Status::unimplemented("no such method"), trailers)?,
        }
        self.show(id, "                    server: finished");
        Ok(())
    }
}

impl Link<Client> {
    /// Returns the next response of a call, or `None` at its end.
    fn next(
        &mut self,
        call: CallId,
        mut recv: impl FnMut(&mut Connection<Client>) -> Result<Received, Misuse>,
    ) -> Result<bool> {
        let found = self.wait(|link| {
            Ok(Some(recv(&mut link.core)?).filter(|found| !matches!(found, Received::Pending)))
        })?;
        match found.ok_or("the connection closed")? {
            Received::End(end) => {
                println!("client: ended by {:?}, {}, {:?}", end.cause, end.status, end.trailers);
            }
            Received::Message(message) => {
                self.show(call, format!("client: got {:?}", message.payload));
                return Ok(true);
            }
            Received::Pending => {}
        }
        Ok(false)
    }

    fn reply(
        &mut self,
        recv: impl FnMut(&mut Connection<Client>) -> Result<Option<Reply>, Misuse>,
    ) -> Result {
        let mut recv = recv;
        let reply = self.wait(|link| Ok(recv(&mut link.core)?))?.ok_or("the connection closed")?;
        println!("client: got {:?}, {}", reply.message.map(|message| message.payload), reply.outcome.status);
        Ok(())
    }

    fn call_each(&mut self) -> Result {
        println!("\nUnary");
        let call = self.core.unary(self.now(), "/demo.Echo/Unary")?;
        self.show(call.id(), "client: opened");
        let mut call = call.send(&mut self.core, "hello".into())?;
        self.show(call.id(), "client: sent \"hello\" and half-closed");
        self.reply(|core| call.recv(core))?;

        println!("\nClient streaming");
        let mut call = self.core.client_streaming(self.now(), "/demo.Echo/Up")?;
        for word in ["half", "close"] {
            call.send(&mut self.core, word.into())?;
            self.turn()?;
            self.show(call.id(), format!("client: sent {word:?}"));
        }
        let mut call = call.close_send(&mut self.core);
        self.show(call.id(), "client: half-closed");
        self.reply(|core| call.recv(core))?;

        println!("\nServer streaming");
        let call = self.core.server_streaming(self.now(), "/demo.Echo/Down")?;
        let mut call = call.send(&mut self.core, "abc".into())?;
        self.show(call.id(), "client: sent \"abc\" and half-closed");
        while self.next(call.id(), |core| call.recv(core))? {}

        println!("\nBidirectional streaming");
        let mut call = self.core.bidi(self.now(), "/demo.Echo/Bidi")?;
        for word in ["ping", "pong"] {
            call.send(&mut self.core, word.into())?;
            self.show(call.id(), format!("client: sent {word:?}"));
            self.next(call.id(), |core| call.recv(core))?;
        }
        let mut call = call.close_send(&mut self.core);
        self.show(call.id(), "client: half-closed");
        self.next(call.id(), |core| call.recv(core)).map(drop)
    }
}

fn main() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> Result {
        let mut link = Link::<Server>::new(listener.accept()?.0, Config::server())?;
        while let Some(call) = link.wait(|link| Ok(link.requests.pop_front()))? {
            link.answer(call)?;
        }
        Ok(())
    });
    let mut link = Link::<Client>::new(TcpStream::connect(address)?, Config::client())?;
    link.call_each()?;
    link.core.shutdown(link.now());
    while link.wait(|_| Ok(None::<()>))?.is_some() {}
    drop(link);
    server.join().map_err(|_| "the server panicked")?
}

#[test]
fn all_four_calls_end() -> Result {
    main()
}
