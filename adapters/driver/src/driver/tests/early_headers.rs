//! Initial metadata and when it is sent: set, flushed, and early, while a handler waits for a first request.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use halfclose::{
    CallId, CallType, Cause, Client, Code, Config, Metadata, Misuse, Outcome, Recv, Request, Seed, Status,
    Time,
};

use super::kit::{Peer, Still, Wire, poll};
use super::{CHAT, SAY};
use crate::server::ServerDriver;
use crate::{BidiStreamingServer, Many, Method, Raw, Response, Router, Shutdown};

const LIST: Method<Bytes, Many<Bytes>, Raw> = Method::new("/driver.Test/List");
const COUNT: Method<Many<Bytes>, Bytes, Raw> = Method::new("/driver.Test/Count");
/// The four methods, and whether their handlers wait for a first request.
const METHODS: [(&str, CallType, bool); 4] = [
    (SAY.path(), CallType::UNARY, false),
    (LIST.path(), CallType::SERVER_STREAMING, false),
    (COUNT.path(), CallType::CLIENT_STREAMING, true),
    (CHAT.path(), CallType::BIDI, true),
];

fn metadata(name: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append(name, "x").expect("a legal entry");
    metadata
}

/// A server, and a client that has sent nothing yet.
struct Joined {
    wire: Wire,
    driver: ServerDriver<Wire, Still>,
    client: Peer<Client>,
}

impl Joined {
    fn new(router: Router) -> Self {
        let wire = Wire::default();
        let driver = Arc::new(router).serve(
            wire.clone(),
            Still::default(),
            Config::server(),
            Seed(1),
            &Shutdown::new(),
        );
        Self { wire, driver, client: Peer::<Client>::new(Config::client()) }
    }

    fn start(&mut self, path: &'static str, call_type: CallType) -> CallId {
        self.client.connection.start(Time::ZERO, Request::new(path, call_type)).expect("a call")
    }

    fn send(&mut self, call: CallId, message: &'static str) {
        self.client.connection.send_message(call, message.into(), false).expect("room");
    }

    fn half_close(&mut self, call: CallId) {
        self.client.connection.half_close(call).expect("an open call");
    }

    /// Carries the output of both sides until there is none.
    fn exchange(&mut self) {
        loop {
            self.client.exchange(&self.wire);
            assert!(poll(&mut self.driver).is_pending());
            if self.wire.lock().written.is_empty() {
                break;
            }
        }
    }

    /// Returns whether the response headers of a call have arrived.
    fn has_headers(&self, call: CallId) -> bool {
        self.client.connection.response(call).is_some()
    }

    fn headers(&self, call: CallId, name: &str) -> Option<String> {
        self.client.connection.response(call)?.metadata.get_str(name).map(str::to_owned)
    }

    fn receive(&mut self, call: CallId) -> Recv {
        self.client.connection.recv(call).expect("a call")
    }

    fn outcome(&mut self, call: CallId) -> Outcome {
        match self.receive(call) {
            Recv::End(outcome) => outcome,
            other => panic!("no end: {other:?}"),
        }
    }
}

/// Creates handlers that read their requests and answer each.
fn router() -> Router {
    Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .server_streaming(&LIST, |request, mut call| async move { Ok(call.send(&request.message).await?) })
        .client_streaming(&COUNT, |mut call| async move {
            let mut last = Bytes::new();
            while let Some(message) = call.recv().await? {
                last = message;
            }
            Ok(call.send_and_close(last))
        })
        .bidi_streaming(&CHAT, |mut call| async move {
            while let Some(message) = call.recv().await? {
                call.send(&message).await?;
            }
            Ok(())
        })
}

/// Returns which methods have sent their headers before any request has arrived.
fn early(router: Router) -> [bool; 4] {
    let mut joined = Joined::new(router);
    METHODS.map(|(path, call_type, _)| {
        let call = joined.start(path, call_type);
        joined.exchange();
        let early = joined.has_headers(call);
        joined.send(call, "hello");
        joined.half_close(call);
        joined.exchange();
        assert!(joined.has_headers(call), "{path}: with the response at the latest");
        assert!(matches!(joined.receive(call), Recv::Message(message) if message.payload == "hello"));
        assert!(joined.outcome(call).status.is_ok());
        early
    })
}

#[test]
fn headers_wait_for_the_first_message_by_default() {
    assert_eq!(early(router()), [false; 4]);
    assert_eq!(early(router().early_headers(false)), [false; 4]);
}

#[test]
fn a_server_sends_early_headers_where_a_handler_waits_for_a_first_request() {
    let waiting = METHODS.map(|(_, _, waits)| waits);
    assert_eq!(early(router().early_headers(true)), waiting);
    // The setting may precede the methods.
    let before = Router::new().early_headers(true).bidi_streaming(&CHAT, |mut call| async move {
        call.recv().await?;
        Ok(())
    });
    let mut joined = Joined::new(before);
    let call = joined.start(CHAT.path(), CallType::BIDI);
    joined.exchange();
    assert!(joined.has_headers(call));
}

#[test]
fn a_method_sends_early_headers_whatever_its_server_does() {
    assert_eq!(early(router().early_headers_of(&CHAT, true)), [false, false, false, true]);
    assert_eq!(early(router().early_headers_of(&COUNT, true)), [false, false, true, false]);
    let all_but_one = router().early_headers(true).early_headers_of(&CHAT, false);
    assert_eq!(early(all_but_one), [false, false, true, false]);
    // A method that sends a single response sends no early headers.
    let unary = router().early_headers_of(&SAY, true).early_headers_of(&LIST, true);
    assert_eq!(early(unary), [false; 4]);
}

#[test]
fn a_first_request_that_has_come_sends_no_early_headers() {
    let router = Router::new().early_headers(true).bidi_streaming(&CHAT, |mut call| async move {
        match call.recv().await? {
            Some(_) => Err(Status::aborted("after the first")),
            None => Err(Status::aborted("without one")),
        }
    });
    let mut joined = Joined::new(router);
    for (message, text) in [(Some("hello"), "after the first"), (None, "without one")] {
        let call = joined.start(CHAT.path(), CallType::BIDI);
        if let Some(message) = message {
            joined.send(call, message);
        }
        joined.half_close(call);
        joined.exchange();
        let outcome = joined.outcome(call);
        assert_eq!((outcome.status.message(), outcome.cause), (text, Cause::TrailersOnly));
    }
}

#[test]
fn later_waits_send_nothing() {
    let mut joined = Joined::new(router().early_headers(true));
    let call = joined.start(CHAT.path(), CallType::BIDI);
    joined.exchange();
    assert!(joined.has_headers(call));
    for _ in 0..3 {
        joined.send(call, "hello");
        joined.exchange();
        assert!(matches!(joined.receive(call), Recv::Message(_)));
        assert!(matches!(joined.receive(call), Recv::Pending), "one message, and no second headers");
    }
    joined.half_close(call);
    joined.exchange();
    let outcome = joined.outcome(call);
    assert_eq!((outcome.status.code, outcome.cause), (Code::Ok, Cause::Trailers));
}

/// Returns a bidirectional method whose handler passes the result of each of its steps to the test.
fn bidi<F, Fut>(handler: F) -> Joined
where
    F: Fn(BidiStreamingServer<Bytes, Bytes, Raw>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Status>> + Send + 'static,
{
    Joined::new(Router::new().early_headers_of(&CHAT, true).bidi_streaming(&CHAT, handler))
}

fn twice(result: Result<(), Misuse>) -> Result<(), Status> {
    match result {
        Err(Misuse::HeadersTwice) => Ok(()),
        other => Err(Status::unknown(format!("{other:?}"))),
    }
}

fn taken(result: Result<(), Misuse>) -> Result<(), Status> {
    result.map_err(|misuse| Status::unknown(misuse.to_string()))
}

#[test]
fn early_headers_take_along_what_was_set_and_end_the_setting() {
    let mut joined = bidi(|mut call| async move {
        taken(call.context().set_headers(metadata("set")))?;
        while call.recv().await?.is_some() {}
        twice(call.context().set_headers(metadata("late")))?;
        twice(call.context().flush_headers())
    });
    let call = joined.start(CHAT.path(), CallType::BIDI);
    joined.exchange();
    assert_eq!(joined.headers(call, "set").as_deref(), Some("x"));
    joined.half_close(call);
    joined.exchange();
    let outcome = joined.outcome(call);
    assert!(outcome.status.is_ok(), "{outcome:?}");
}

#[test]
fn headers_that_a_handler_has_sent_are_not_sent_again_by_its_wait() {
    for flush_first in [true, false] {
        let mut joined = bidi(move |mut call| async move {
            if flush_first {
                taken(call.context().set_headers(metadata("set")))?;
                taken(call.context().flush_headers())?;
            } else {
                call.send(&Bytes::from_static(b"first")).await?;
            }
            while call.recv().await?.is_some() {}
            Ok(())
        });
        let call = joined.start(CHAT.path(), CallType::BIDI);
        joined.exchange();
        assert_eq!(joined.headers(call, "set").is_some(), flush_first);
        joined.half_close(call);
        joined.exchange();
        if !flush_first {
            assert!(matches!(joined.receive(call), Recv::Message(_)));
        }
        assert!(joined.outcome(call).status.is_ok());
    }
}

/// Returns the outcome of a unary call whose handler sets `set`, flushes if it should, and answers with `answered`.
fn unary(
    set: Option<&'static str>,
    flush: bool,
    answered: Option<&'static str>,
) -> (Option<Metadata>, Outcome) {
    let router = Router::new().unary(&SAY, move |request| async move {
        if let Some(name) = set {
            taken(request.context.set_headers(metadata(name)))?;
        }
        if flush {
            taken(request.context.flush_headers())?;
        }
        let mut response = Response::new(request.message);
        response.headers = answered.map(metadata).unwrap_or_default();
        response.trailers = metadata("tail");
        Ok(response)
    });
    let mut joined = Joined::new(router);
    let call = joined.start(SAY.path(), CallType::UNARY);
    joined.send(call, "hello");
    joined.half_close(call);
    joined.exchange();
    let header = joined.client.connection.response(call).map(|headers| headers.metadata.clone());
    loop {
        match joined.receive(call) {
            Recv::Message(_) => {}
            Recv::End(outcome) => return (header, outcome),
            other => panic!("no end: {other:?}"),
        }
    }
}

#[test]
fn what_a_response_brings_is_added_to_what_was_set() {
    for set in [None, Some("a")] {
        for flush in [false, true] {
            for answered in [None, Some("b")] {
                let (header, outcome) = unary(set, flush, answered);
                let header = header.expect("response headers");
                assert_eq!(header.get("a").is_some(), set.is_some());
                assert_eq!(outcome.trailers.get("tail"), Some(&b"x"[..]));
                if flush && answered.is_some() {
                    // They could not be sent any more, and the handler learns of that.
                    assert_eq!(outcome.status.code, Code::Internal, "{outcome:?}");
                    assert_eq!(outcome.status.message(), Misuse::HeadersTwice.to_string());
                } else {
                    assert!(outcome.status.is_ok(), "{outcome:?}");
                    assert_eq!(header.get("b").is_some(), answered.is_some());
                }
            }
        }
    }
}

#[test]
fn what_was_set_goes_ahead_of_an_error() {
    let mut joined = bidi(|mut call| async move {
        call.recv().await?;
        taken(call.context().set_headers(metadata("set")))?;
        Err(Status::aborted("no"))
    });
    let call = joined.start(CHAT.path(), CallType::BIDI);
    joined.send(call, "hello");
    joined.exchange();
    assert_eq!(joined.headers(call, "set").as_deref(), Some("x"));
    assert_eq!(joined.outcome(call).status.code, Code::Aborted);
}
