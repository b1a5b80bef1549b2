//! The adapters' servers and clients on TCP sockets of this machine.

use std::fmt;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use halfclose::{CallType, Code, Config};
use halfclose_driver::{BidiStreaming, CallError, CallOptions, Channel, Many, Method, Raw, Response, Router};
use halfclose_e2e::{Runtime, Serving, within};
use halfclose_wire::{Frame, PATIENCE, Socket};

use crate::transport::{Caller, DEADLINE, ECHO, End, HOLD, Line, Transport};

const ECHO_METHOD: Method<Bytes, Bytes, Raw> = Method::new(ECHO);
const HOLD_METHOD: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new(HOLD);
/// The unary method, called as if it were another.
const ECHO_AS_STREAMS: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new(ECHO);

/// A runtime's adapter.
#[derive(Debug)]
pub struct Tcp<R>(PhantomData<R>);

fn router() -> Router {
    Router::new()
        .unary(&ECHO_METHOD, |request| async move { Ok(Response::new(request.message)) })
        .bidi_streaming(&HOLD_METHOD, |call| async move {
            std::future::pending::<()>().await;
            drop(call);
            Ok(())
        })
}

impl<R: Runtime> Transport for Tcp<R> {
    const NAME: &'static str = R::NAME;

    type Server = Serving<R>;
    type Line = Socket;
    type Caller = TcpCaller<R>;

    fn serve(config: Config) -> Serving<R> {
        Serving::with(router(), config)
    }

    fn connect(server: &Serving<R>) -> Socket {
        Socket::connect(server.address()).expect("the server accepts")
    }

    fn client(config: Config) -> TcpCaller<R> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        // The kernel completes the connection before it is accepted.
        let channel = R::block_on(R::connect(address, config)).expect("the listener's queue has room");
        let socket = Socket::accept(&listener).expect("the client that has just connected");
        TcpCaller { channel, socket, runtime: PhantomData }
    }
}

impl Line for Socket {
    fn write(&mut self, bytes: &[u8]) {
        // The other side may have closed the connection, and its last frames are still to be read.
        let _ = Self::write(self, bytes);
    }

    fn read(&mut self) -> Option<Frame> {
        self.next_frame()
    }

    fn close(&mut self) {
        // The other side may have closed earlier.
        let _ = self.finish();
    }
}

/// A client under test and the socket of its server.
pub struct TcpCaller<R> {
    channel: Channel,
    socket: Socket,
    runtime: PhantomData<R>,
}

impl<R> fmt::Debug for TcpCaller<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpCaller").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl<R> Line for TcpCaller<R> {
    fn write(&mut self, bytes: &[u8]) {
        Line::write(&mut self.socket, bytes);
    }

    fn read(&mut self) -> Option<Frame> {
        self.socket.read()
    }

    fn close(&mut self) {
        self.socket.close();
    }
}

/// A call of a [`TcpCaller`].
#[derive(Debug)]
pub enum Call {
    /// A unary call, in a task of its own.
    Unary(Receiver<End>),
    /// A call whose end is read when the test asks for it.
    Bidi(Result<BidiStreaming<Bytes, Bytes, Raw>, CallError>),
}

fn end(result: Result<(), CallError>, messages: Vec<Bytes>) -> End {
    let code = result.map_or_else(|error| error.code(), |()| Code::Ok);
    End { code, messages: messages.into_iter().map(Vec::from).collect() }
}

impl<R: Runtime> TcpCaller<R> {
    /// Starts a unary call in a task of its own.
    fn unary(&self, options: CallOptions) -> Call {
        let (tell, told) = channel();
        let channel = self.channel.clone();
        R::spawn(async move {
            let request = Bytes::from_static(b"request");
            let end = match channel.unary(&ECHO_METHOD, &request, options).await {
                Ok(response) => end(Ok(()), vec![response.message]),
                Err(error) => end(Err(error), Vec::new()),
            };
            // A test that has failed does not receive.
            let _ = tell.send(end);
        });
        Call::Unary(told)
    }
}

impl<R: Runtime> Caller for TcpCaller<R> {
    type Call = Call;

    fn start_timed(&mut self) -> Call {
        self.unary(CallOptions::new().timeout(DEADLINE))
    }

    fn start(&mut self, call_type: CallType, ends: bool) -> Call {
        if call_type == CallType::UNARY {
            return self.unary(CallOptions::new());
        }
        let mut call = self.channel.bidi_streaming(&ECHO_AS_STREAMS, CallOptions::new());
        if let (true, Ok(call)) = (ends, &mut call) {
            call.close_send().expect("the first half-close");
        }
        Call::Bidi(call)
    }

    fn end(&mut self, call: Call) -> End {
        match call {
            Call::Unary(told) => told.recv_timeout(PATIENCE).expect("the call ends"),
            Call::Bidi(Err(error)) => end(Err(error), Vec::new()),
            Call::Bidi(Ok(mut call)) => R::block_on(within::<R, _>(PATIENCE, async {
                let mut messages = Vec::new();
                loop {
                    match call.recv().await {
                        Ok(Some(message)) => messages.push(message),
                        Ok(None) => break end(Ok(()), messages),
                        Err(error) => break end(Err(error), messages),
                    }
                }
            })),
        }
    }
}
