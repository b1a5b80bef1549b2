//! Commands of a caller. The state tables say whether a command is legal, and the core must agree. A refused command
//! changes nothing.

use bytes::Bytes;
use halfclose::grpc::encoding::Encoding;
use halfclose::machine::{ClientSend, ClientSendInput, ServerSend, ServerSendInput, Step};
use halfclose::{
    CallId, CallType, Client, HalfStates, Metadata, Misuse, Request, Role, Sent, Server, Status,
};

use super::endpoint::Endpoint;

/// Returns the tables' answer to a command: the misuse, or the state that it leads to.
fn verdict<S: Copy>(step: Step<S>, state: S) -> Result<S, Misuse> {
    match step {
        Step::To(next) => Ok(next),
        Step::Misuse(misuse) => Err(misuse),
        Step::Ignore => Ok(state),
        other => panic!("a caller's order is no peer's breach: {}", matches!(other, Step::Stream(_))),
    }
}

impl<R: Role> Endpoint<R> {
    /// Sends a message. Returns whether it was accepted.
    pub(super) fn send(&mut self, id: CallId, payload: Bytes, compress: bool) -> bool {
        let before = self.core.states(id).expect("an open call has states");
        let allowed = match before {
            HalfStates::Client { send, .. } => verdict(send.step(ClientSendInput::Message), send).map(drop),
            HalfStates::Server { send, .. } => verdict(send.step(ServerSendInput::Message), send).map(drop),
        };
        let writable = self.core.is_writable(id);
        let sent = self.core.send_message(id, payload, compress);
        match (sent, allowed) {
            (Ok(sent), Ok(())) => {
                assert!(writable, "taken, though it was said not to be writable");
                self.call(id).expect("open").fixed = true;
                if sent == Sent::Full {
                    self.call(id).expect("open").wants_write += 1;
                }
            }
            (Err(Misuse::NotWritable { queued, limit }), Ok(())) => {
                assert!(!writable && queued >= limit);
                self.call(id).expect("open").wants_write += 1;
            }
            (Err(Misuse::SecondMessage), Ok(())) => assert!(!writable),
            (Err(met), Err(expected)) => assert_eq!(met, expected),
            (met, expected) => panic!("{met:?} in {before}, the table says {expected:?}"),
        }
        if sent.is_err() {
            assert_eq!(self.core.states(id), Ok(before), "misuse changed the state");
        }
        self.check_states();
        sent.is_ok()
    }

    /// Cancels a call.
    pub(super) fn cancel(&mut self, id: CallId) {
        assert_eq!(self.core.cancel(id), Ok(()), "an open call can be cancelled");
        self.check_states();
    }
}

impl Endpoint<Client> {
    /// Starts a call, if the connection accepts one.
    pub(super) fn start(&mut self, request: Request) -> Option<CallId> {
        match self.core.start(self.now, request) {
            Ok(id) => {
                self.begin(id);
                Some(id)
            }
            Err(Misuse::Closed) => {
                assert!(self.core.is_closed());
                None
            }
            Err(Misuse::GoingAway | Misuse::TooManyQueuedCalls { .. } | Misuse::UnsupportedEncoding) => None,
            Err(misuse) => panic!("a request without fault: {misuse}"),
        }
    }

    /// Half-closes.
    pub(super) fn half_close(&mut self, id: CallId) {
        let before = self.core.states(id).expect("open");
        let HalfStates::Client { send, recv } = before else { panic!("a client's call") };
        let expected = verdict(send.step(ClientSendInput::HalfClose), send);
        assert_eq!(self.core.half_close(id), expected.map(drop), "in {before}");
        let send = expected.unwrap_or(send);
        assert_eq!(self.core.states(id), Ok(HalfStates::Client { send, recv }));
        if send == ClientSend::Ended {
            assert_eq!(self.core.half_close(id), Err(Misuse::CallEnded));
        }
        self.check_states();
    }

    /// Forgets a call.
    pub(super) fn release(&mut self, id: CallId) {
        self.core.release(id);
        self.end(id);
    }
}

impl Endpoint<Server> {
    /// Declares the call type of the method.
    pub(super) fn accept(&mut self, id: CallId, call_type: CallType) {
        let fixed = self.call(id).expect("open").fixed;
        let expected = if fixed { Err(Misuse::AcceptedLate) } else { Ok(()) };
        assert_eq!(self.core.accept(id, call_type), expected);
        assert!(self.core.request(id).is_ok(), "an open call has a request");
    }

    /// Selects the encoding of what is sent.
    pub(super) fn set_encoding(&mut self, id: CallId, encoding: Encoding) {
        let HalfStates::Server { send, .. } = self.core.states(id).expect("open") else {
            panic!("a server's")
        };
        let result = self.core.set_encoding(id, Some(encoding));
        if matches!(send, ServerSend::Body) {
            assert_eq!(result, Err(Misuse::HeadersTwice));
        }
    }

    /// Sets initial metadata under the conditions of [`send_headers`](Self::send_headers); no state changes.
    pub(super) fn set_headers(&mut self, id: CallId, metadata: Metadata) {
        let before = self.core.states(id).expect("open");
        let HalfStates::Server { send, .. } = before else { panic!("a server's call") };
        let expected = verdict(send.step(ServerSendInput::Headers), send).map(drop);
        match self.core.set_headers(id, metadata) {
            Err(Misuse::HeaderListTooLarge { size, limit }) => assert!(size > limit && expected.is_ok()),
            result => assert_eq!(result, expected, "in {before}"),
        }
        assert_eq!(self.core.states(id), Ok(before));
        self.check_states();
    }

    /// Sends the response headers.
    pub(super) fn send_headers(&mut self, id: CallId, metadata: Metadata) {
        self.order(id, ServerSendInput::Headers, |core| core.send_headers(id, metadata));
    }

    /// Ends a call with its status.
    pub(super) fn finish(&mut self, id: CallId, status: Status, trailers: Metadata) {
        self.order(id, ServerSendInput::Status, |core| core.finish(id, status, trailers));
    }

    fn order(
        &mut self,
        id: CallId,
        input: ServerSendInput,
        order: impl FnOnce(&mut halfclose::Connection<Server>) -> Result<(), Misuse>,
    ) {
        let before = self.core.states(id).expect("open");
        let HalfStates::Server { send, .. } = before else { panic!("a server's call") };
        let mut expected = verdict(send.step(input), send);
        let result = order(&mut self.core);
        // RFC 9113 §6.5.2: headers beyond the client's limit are refused, even in a state that allows headers.
        if let (Err(refused @ Misuse::HeaderListTooLarge { size, limit }), ServerSendInput::Headers) =
            (result, input)
            && expected.is_ok()
        {
            assert!(size > limit, "{refused:?}");
            expected = Err(refused);
        }
        assert_eq!(result, expected.map(drop), "{input:?} in {before}");
        match (expected, self.core.states(id)) {
            (Ok(next), Ok(HalfStates::Server { send, .. })) => assert_eq!(send, next),
            (Err(_), after) => assert_eq!(after, Ok(before), "misuse changed the state"),
            (Ok(next), after) => panic!("{next:?} was due, {after:?} came"),
        }
        self.check_states();
    }
}
