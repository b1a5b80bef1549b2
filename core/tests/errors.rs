//! The contents of errors: whether they end the stream or the connection, the code on the wire, the rule, and the
//! text.

use bytes::Bytes;
use halfclose::Timeout;
use halfclose::frame::{ErrorCode, Scope};
use halfclose::grpc::MalformedReason;
use halfclose::grpc::field::FieldError;
use halfclose::machine::{ClientRecv, ClientSend, ServerRecv, ServerSend};
use halfclose::{
    Cause, Client, Config, Connection, ConnectionError, Flood, HalfStates, Initiator, Outcome, Seed, Server,
    Status, Time, TimerKind, Violation,
};

fn row(violation: &Violation) -> (Scope, ErrorCode, &'static str, String) {
    (violation.scope(), violation.code(), violation.section(), violation.to_string())
}

#[test]
fn violations() {
    use Scope::{Connection, Stream};
    let table = [
        (
            Violation::FrameTooLarge { length: 20_000, limit: 16_384 },
            (Connection, ErrorCode::FRAME_SIZE_ERROR, "RFC 9113 §4.2"),
            "a frame of 20000 bytes, over SETTINGS_MAX_FRAME_SIZE 16384",
        ),
        (
            Violation::Preface,
            (Connection, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §3.4"),
            "the connection does not begin with the HTTP/2 client preface",
        ),
        (
            Violation::ContentLength { expected: 5, met: 6 },
            (Stream, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §8.1.1"),
            "content-length says 5, 6 bytes came",
        ),
        (
            Violation::WindowExceeded { connection: true, length: 9, window: 8 },
            (Connection, ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §5.2"),
            "9 bytes of DATA, the connection window had 8",
        ),
        (
            Violation::WindowExceeded { connection: false, length: 9, window: -8 },
            (Stream, ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §5.2"),
            "9 bytes of DATA, the stream window had -8",
        ),
        (
            Violation::WindowOverflow { connection: true, window: 1 << 31 },
            (Connection, ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1"),
            "the connection window would grow to 2147483648, over 2^31-1",
        ),
        (
            Violation::WindowOverflow { connection: false, window: 1 << 31 },
            (Stream, ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1"),
            "the stream window would grow to 2147483648, over 2^31-1",
        ),
        (
            Violation::PushEnabledByServer,
            (Connection, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §6.5.2"),
            "SETTINGS_ENABLE_PUSH 1 from a server",
        ),
        (
            Violation::UnexpectedAck,
            (Connection, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §6.5.3"),
            "SETTINGS ACK without SETTINGS",
        ),
        (
            Violation::GoAwayRaised { previous: 1, met: 3 },
            (Connection, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §6.8"),
            "GOAWAY with last stream 3, after one with 1",
        ),
        (
            Violation::Flood { flood: Flood::Pings, met: 3, limit: 2 },
            (Connection, ErrorCode::ENHANCE_YOUR_CALM, "RFC 9113 §10.5"),
            "too_many_pings: 3, the limit is 2",
        ),
        (
            Violation::Timeout(Timeout::Preface),
            (Connection, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §3.4"),
            "timed out: preface_timeout",
        ),
        (
            Violation::Timeout(Timeout::SettingsAck),
            (Connection, ErrorCode::SETTINGS_TIMEOUT, "RFC 9113 §6.5.3"),
            "timed out: settings_timeout",
        ),
        (
            Violation::Timeout(Timeout::HeaderBlock),
            (Connection, ErrorCode::PROTOCOL_ERROR, "RFC 9113 §4.3"),
            "timed out: header_block_timeout",
        ),
        (
            Violation::Timeout(Timeout::Keepalive),
            (Connection, ErrorCode::NO_ERROR, "P-96"),
            "timed out: keepalive_timeout",
        ),
    ];
    for (violation, (scope, code, section), text) in table {
        assert_eq!(row(&violation), (scope, code, section, text.to_owned()));
        // The connection's error has the same code, and names the rule.
        let error = ConnectionError::Violation(violation);
        assert_eq!(error.code(), code);
        assert_eq!(error.to_string(), format!("the peer broke a rule ({section}): {text}"));
    }
}

#[test]
fn malformed_heads() {
    use MalformedReason as Reason;
    let table = [
        (Reason::Field(FieldError::UpperCase(b'A')), "§8.2.1"),
        (Reason::ConnectionSpecific, "§8.2.2"),
        (Reason::Te, "§8.2.2"),
        (Reason::PseudoOrder, "§8.3"),
        (Reason::UnknownPseudo, "§8.3"),
        (Reason::DuplicatePseudo(":path"), "§8.3"),
        (Reason::MissingPseudo(":path"), "§8.3.1"),
        (Reason::InvalidPseudo(":scheme"), "§8.3.1"),
        (Reason::MissingPseudo(":status"), "§8.3.2"),
        (Reason::InvalidPseudo(":status"), "§8.3.2"),
        (Reason::ConnectPseudo(":path"), "§8.5"),
        (Reason::PseudoInTrailers, "§8.1"),
        (Reason::InterimEnd, "§8.1"),
        (Reason::ContentLength, "§8.1.1"),
        (Reason::SwitchingProtocols, "§8.6"),
    ];
    for (reason, section) in table {
        let expected = (Scope::Stream, ErrorCode::PROTOCOL_ERROR, format!("RFC 9113 {section}"));
        let violation = Violation::Malformed(reason);
        assert_eq!(
            (violation.scope(), violation.code(), violation.section().to_owned()),
            expected,
            "{reason:?}"
        );
    }
}

#[test]
fn the_end_of_a_connection() {
    let debug = Bytes::from_static(b"too_many_pings");
    let table = [
        (
            ConnectionError::GoAway { code: ErrorCode::ENHANCE_YOUR_CALM, debug },
            ErrorCode::ENHANCE_YOUR_CALM,
            "the peer closed the connection with ENHANCE_YOUR_CALM: too_many_pings",
        ),
        (
            ConnectionError::GoAway { code: ErrorCode::NO_ERROR, debug: Bytes::new() },
            ErrorCode::NO_ERROR,
            "the peer closed the connection with NO_ERROR",
        ),
        (ConnectionError::Eof, ErrorCode::NO_ERROR, "the transport was closed by the peer"),
        (
            ConnectionError::Closed { code: ErrorCode::INTERNAL_ERROR, debug: "enough".into() },
            ErrorCode::INTERNAL_ERROR,
            "closed by the caller with INTERNAL_ERROR: enough",
        ),
    ];
    for (error, code, text) in table {
        assert_eq!((error.code(), error.to_string()), (code, text.to_owned()));
    }
}

#[test]
fn calls_that_were_certainly_not_processed() {
    let reset = |code, by| Cause::Reset { code, by };
    let goaway = |processed| Cause::GoAway { code: ErrorCode::NO_ERROR, processed };
    let table = [
        (Cause::NeverSent, true),
        (goaway(false), true),
        (goaway(true), false),
        (reset(ErrorCode::REFUSED_STREAM, Initiator::Remote), true),
        (reset(ErrorCode::REFUSED_STREAM, Initiator::Library), false),
        (reset(ErrorCode::CANCEL, Initiator::Remote), false),
        (Cause::Trailers, false),
        (Cause::Connection, false),
    ];
    for (cause, expected) in table {
        let outcome = Outcome::new(Status::ok(), cause.clone());
        assert_eq!(outcome.not_processed(), expected, "{cause:?}");
    }
}

#[test]
fn names() {
    let client = HalfStates::Client { send: ClientSend::HalfClosed, recv: ClientRecv::Body };
    assert_eq!(client.to_string(), "send=HalfClosed recv=Body");
    let server = HalfStates::Server { send: ServerSend::Closing, recv: ServerRecv::Ended };
    assert_eq!(server.to_string(), "send=Closing recv=Ended");
    assert_eq!(TimerKind::KeepaliveTimeout.to_string(), "KeepaliveTimeout");
    let mut client = Connection::<Client>::new(Config::client(), Seed(1), Time::ZERO);
    assert_eq!(format!("{client:?}"), "Connection { role: Client, closed: false, idle: true, .. }");
    let call = client.unary(Time::ZERO, "/a/b").unwrap();
    client.close(Time::ZERO, ErrorCode::NO_ERROR, "");
    assert_eq!(format!("{client:?}"), "Connection { role: Client, closed: true, idle: false, .. }");
    call.release(&mut client);
    assert_eq!(format!("{client:?}"), "Connection { role: Client, closed: true, idle: true, .. }");
    let server = Connection::<Server>::new(Config::server(), Seed(1), Time::ZERO);
    assert_eq!(format!("{server:?}"), "Connection { role: Server, closed: false, idle: true, .. }");
}
