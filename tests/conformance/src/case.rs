//! One rule, provoked: what the peer sends to a connection in a known state, and the required reaction.

use halfclose::frame::ErrorCode;
use halfclose::{CallType, Code, Config};
use halfclose_wire::{
    Block, END_STREAM, Frame, PREFACE, REQUEST, RESPONSE, Reader, TRAILERS, block, data, headers,
    kind::{DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS},
    message, ping, settings, settings_ack,
};

use crate::transport::{Caller, ECHO, End, Line, Transport};

/// The state of the connection when the bytes arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Nothing was sent, not even the preface.
    Nothing,
    /// SETTINGS were exchanged.
    Settings,
    /// A call is open on stream 1 and its request continues. The handler does not read it.
    Open,
    /// A call is open on stream 1 and its request is complete; a client has sent everything.
    HalfClosed,
    /// As `HalfClosed`, and a client has the response headers.
    Headers,
    /// A client has sent a unary request on stream 1.
    Incoming,
    /// As `Incoming`, and the call's deadline is near.
    Timed,
}

/// The required reaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// GOAWAY with this code, and the end of the connection. A client's calls are UNAVAILABLE.
    Connection(ErrorCode),
    /// The end of the connection, with GOAWAY or without: RFC 9113 §3.4 lets an endpoint omit it towards a peer that does
    /// not speak HTTP/2, and the driver does where it recognises another protocol. A client's calls are UNAVAILABLE.
    Foreign,
    /// RST_STREAM with this code on stream 1; the connection stays open. A client's call is INTERNAL.
    Stream(ErrorCode),
    /// The same on the stream with this number.
    Reset(u32, ErrorCode),
    /// No error.
    Fine,
    /// An acknowledgement of the frame of this type.
    Acknowledged(u8),
    /// A server answers on stream 1 with this HTTP status and this gRPC status; the connection stays open.
    Answer(&'static str, &'static str),
    /// A client's call ends with this status; the connection stays open.
    Status(Code),
    /// The deadline of a client's call passes: the open one, or one that starts after the bytes. If the call was
    /// sent, the client resets it with this code. The connection stays open.
    Late(Option<ErrorCode>),
    /// The server closes the connection after the bytes; a client's call ends with this status.
    Cut(Code),
}

/// One rule, provoked.
#[derive(Debug)]
pub struct Case {
    /// The test's name, which begins with the rule.
    pub name: &'static str,
    /// A description of what is sent.
    pub text: &'static str,
    /// The state of the connection.
    pub before: Before,
    /// The changes to the configuration of the connection under test.
    pub configure: fn(&mut Config),
    /// The bytes that are sent.
    pub bytes: fn() -> Vec<u8>,
    /// The required reaction.
    pub expect: Expect,
}

impl Case {
    /// Returns these settings with the changes of the case.
    #[must_use]
    pub fn config(&self, mut config: Config) -> Config {
        (self.configure)(&mut config);
        config
    }

    /// Runs the case against a server, which must then serve other connections.
    ///
    /// # Panics
    ///
    /// If the reaction differs.
    pub fn on_server<T: Transport>(&self) {
        let server = T::serve(self.config(Config::server()));
        let mut line = T::connect(&server);
        self.provoke_server(&mut line);
        let mut other = T::connect(&server);
        greet_server(&mut other);
        let served = ask_echo(&mut other);
        assert_eq!(served, Some("0".to_owned()), "another connection's call is served");
    }

    /// Brings a server's connection to the state of the case.
    pub fn prepare_server<L: Line>(&self, line: &mut L) {
        if self.before != Before::Nothing {
            greet_server(line);
        }
        match self.before {
            Before::Nothing | Before::Settings => {}
            Before::Open => line.write(&headers(1, 0, &block(&REQUEST))),
            Before::HalfClosed => line.write(&headers(1, END_STREAM, &block(&REQUEST))),
            Before::Headers | Before::Incoming | Before::Timed => panic!("a state of clients"),
        }
    }

    /// Brings a server's connection to the state of the case, sends its bytes and judges the reaction.
    pub fn provoke_server<L: Line>(&self, line: &mut L) {
        self.prepare_server(line);
        line.write(&(self.bytes)());
        match self.expect {
            Expect::Answer(http, grpc) => {
                let met = answer(line, 1);
                let expected = (Some(http.to_owned()), Some(grpc.to_owned()));
                assert_eq!(met, expected, "`:status` and `grpc-status`");
                assert!(still_answers(line).is_ok(), "the connection lives");
            }
            Expect::Status(_) | Expect::Late(_) | Expect::Cut(_) => panic!("expected of clients"),
            _ => self.judge(line),
        }
    }

    /// Runs the case against a client.
    ///
    /// # Panics
    ///
    /// If the reaction differs.
    pub fn on_client<T: Transport>(&self) {
        self.provoke_client(&mut T::client(self.config(Config::client())));
    }

    /// Brings a client's connection to the state of the case. Returns the call that is open then.
    pub fn prepare_client<C: Caller>(&self, client: &mut C) -> Option<C::Call> {
        if self.before != Before::Nothing {
            greet_client(client);
        }
        let call = match self.before {
            Before::Nothing | Before::Settings => None,
            Before::Open => Some(client.start(CallType::BIDI, false)),
            Before::HalfClosed | Before::Headers => Some(client.start(CallType::BIDI, true)),
            Before::Incoming => Some(client.start(CallType::UNARY, true)),
            Before::Timed => Some(client.start_timed()),
        };
        if call.is_some() {
            let complete = self.before != Before::Open;
            client.read_until(|frame| if complete { frame.ends_stream() } else { frame.kind == HEADERS });
        }
        if self.before == Before::Headers {
            client.write(&headers(1, 0, &block(&RESPONSE)));
        }
        call
    }

    /// Brings a client's connection to the state of the case, sends its bytes and judges the reaction.
    pub fn provoke_client<C: Caller>(&self, client: &mut C) {
        let call = self.prepare_client(client);
        client.write(&(self.bytes)());
        let next = if call.is_some() { 3 } else { 1 };
        match self.expect {
            Expect::Status(code) => {
                ends(client, call.expect("an open call"), code);
                assert!(still_answers(client).is_ok(), "the connection lives");
                answer_next(client, next);
            }
            Expect::Late(code) => is_late(client, call, code),
            Expect::Cut(code) => {
                client.close();
                ends(client, call.expect("an open call"), code);
            }
            Expect::Connection(_) | Expect::Foreign => {
                self.judge(client);
                // The open call, and one that starts too late.
                for call in call.into_iter().chain([client.start(CallType::UNARY, true)]) {
                    ends(client, call, Code::Unavailable);
                }
            }
            Expect::Stream(_) => {
                self.judge(client);
                ends(client, call.expect("an open call"), Code::Internal);
                answer_next(client, next);
            }
            Expect::Fine | Expect::Reset(..) | Expect::Acknowledged(_) => {
                self.judge(client);
                answer_next(client, next);
            }
            Expect::Answer(..) => panic!("expected of servers"),
        }
    }

    /// Judges a reaction that does not depend on the side.
    fn judge<L: Line>(&self, line: &mut L) {
        if self.expect == Expect::Foreign {
            assert!(still_answers(line).is_err(), "the connection ends");
            return;
        }
        if let Expect::Connection(code) = self.expect {
            let sent = line.read_until(|_| false);
            let goaway = sent.iter().rev().find(|frame| frame.kind == GOAWAY);
            assert_eq!(goaway.and_then(Frame::code), Some(code), "{sent:?}");
            return;
        }
        let sent = still_answers(line)
            .unwrap_or_else(|sent| panic!("{}: the connection ended: {sent:?}", self.text));
        let resets: Vec<_> = sent
            .iter()
            .filter(|frame| frame.kind == RST_STREAM)
            .map(|frame| (frame.stream, frame.code().unwrap_or(ErrorCode::NO_ERROR)))
            .collect();
        match self.expect {
            Expect::Stream(code) => assert_eq!(resets, [(1, code)]),
            Expect::Reset(stream, code) => assert_eq!(resets, [(stream, code)]),
            Expect::Acknowledged(kind) => {
                assert!(sent.iter().any(|frame| frame.kind == kind && frame.is_ack()));
            }
            _ => assert_eq!(resets, []),
        }
    }
}

/// Sends a client's preface, SETTINGS and the acknowledgement of the server's; reads up to that of its own.
pub fn greet_server<L: Line>(line: &mut L) {
    line.write(&[PREFACE, &settings(&[])].concat());
    let frames = line.read_until(|frame| frame.kind == SETTINGS && frame.is_ack());
    assert_eq!(frames.first().map(|frame| (frame.kind, frame.is_ack())), Some((SETTINGS, false)));
    line.write(&settings_ack());
}

/// Sends a server's SETTINGS and the acknowledgement of the client's.
pub fn greet_client<L: Line>(line: &mut L) {
    line.write(&[settings(&[]), settings_ack()].concat());
    line.read_until(|frame| frame.kind == SETTINGS && frame.is_ack());
}

/// Checks that a PING is still acknowledged. Returns the frames up to that, or as an error those up to the end of the
/// connection.
fn still_answers<L: Line>(line: &mut L) -> Result<Vec<Frame>, Vec<Frame>> {
    line.write(&ping(b"still up"));
    let answers = |frame: &Frame| frame.kind == PING && frame.is_ack() && frame.payload == b"still up";
    let frames = line.read_until(answers);
    if frames.last().is_some_and(answers) { Ok(frames) } else { Err(frames) }
}

/// Returns `:status` and `grpc-status` of the answer on a stream.
fn answer<L: Line>(line: &mut L, stream: u32) -> (Option<String>, Option<String>) {
    let frames =
        line.read_until(|frame| frame.stream == stream && (frame.ends_stream() || frame.kind == RST_STREAM));
    let mut reader = Reader::new();
    let list: Vec<_> = frames
        .iter()
        .filter_map(|frame| reader.read(frame))
        .filter(|fields| fields.stream == stream)
        .flat_map(|fields| fields.list)
        .collect();
    let get = |name: &str| list.iter().find(|field| field.0 == name).map(|field| field.1.clone());
    (get(":status"), get("grpc-status"))
}

/// Makes a call to the echo method, the first of its connection. Returns its status, if the echo is one.
pub fn ask_echo<L: Line>(line: &mut L) -> Option<String> {
    // A server that has announced a smaller table requires a size update first (RFC 7541 §4.2).
    let fields = Block::new().resize(0).raw(&Block::request_to(ECHO.as_bytes()).0);
    line.write(&headers(1, 0, &fields.0));
    line.write(&data(1, END_STREAM, &message(b"echo")));
    let frames = line.read_until(Frame::ends_stream);
    let echo = frames.iter().find(|frame| frame.kind == DATA);
    assert_eq!(echo.map(|frame| frame.payload.clone()), Some(message(b"echo")));
    let mut reader = Reader::new();
    let trailers = frames.iter().filter_map(|frame| reader.read(frame)).last()?;
    trailers.get("grpc-status").map(str::to_owned)
}

/// Checks that a client's call ends with this status.
fn ends<C: Caller>(client: &mut C, call: C::Call, code: Code) {
    assert_eq!(client.end(call).code, code, "how the call ends");
}

/// Checks that the deadline of a client's call passes: this one or one that starts now.
fn is_late<C: Caller>(client: &mut C, call: Option<C::Call>, code: Option<ErrorCode>) {
    let call = call.unwrap_or_else(|| {
        still_answers(client).expect("it has read the bytes");
        client.start_timed()
    });
    ends(client, call, Code::DeadlineExceeded);
    let sent = still_answers(client).expect("the connection lives");
    let reset = sent.iter().find(|frame| frame.kind == RST_STREAM);
    assert_eq!(reset.and_then(Frame::code), code);
}

/// Answers the client's next call on this stream, and checks that it ends with OK.
fn answer_next<C: Caller>(client: &mut C, stream: u32) {
    let call = client.start(CallType::UNARY, true);
    client.read_until(|frame| frame.kind == HEADERS && frame.stream == stream);
    client.write(&headers(stream, 0, &block(&RESPONSE)));
    client.write(&data(stream, 0, &message(b"answer")));
    client.write(&headers(stream, END_STREAM, &block(&TRAILERS)));
    let expected = End { code: Code::Ok, messages: vec![b"answer".to_vec()] };
    assert_eq!(client.end(call), expected, "the next call on the connection");
}
