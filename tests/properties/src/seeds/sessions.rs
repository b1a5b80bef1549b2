//! The bytes that two real cores wrote to each other.

use bytes::{Buf, Bytes, BytesMut};
use halfclose::grpc::encoding::Encoding;
use halfclose::{
    CallId, CallType, Client, Config, Connection, Event, Metadata, Needed, Recv, Request, Role,
    Seed as CoreSeed, Server, Status, Time,
};

use super::Seed;

const NOW: Time = Time::ZERO;

/// The calls of one session.
struct Scenario {
    name: &'static str,
    call_type: CallType,
    messages: usize,
    size: usize,
    encoding: Option<Encoding>,
    metadata: usize,
    cancel: bool,
    shutdown: bool,
    status: fn() -> Status,
}

const UNARY: Scenario = Scenario {
    name: "unary",
    call_type: CallType::UNARY,
    messages: 1,
    size: 20,
    encoding: None,
    metadata: 1,
    cancel: false,
    shutdown: false,
    status: Status::ok,
};

const SCENARIOS: [Scenario; 6] = [
    UNARY,
    Scenario {
        name: "bidi-gzip",
        call_type: CallType::BIDI,
        messages: 3,
        encoding: Some(Encoding::Gzip),
        ..UNARY
    },
    Scenario { name: "status", messages: 0, status: || Status::not_found("50 %"), ..UNARY },
    Scenario { name: "cancelled", call_type: CallType::CLIENT_STREAMING, cancel: true, ..UNARY },
    Scenario { name: "shutdown", shutdown: true, ..UNARY },
    Scenario { name: "large", call_type: CallType::BIDI, size: 1500, metadata: 6, ..UNARY },
];

/// Returns the bytes that clients wrote.
pub(super) fn from_client() -> Vec<Seed> {
    SCENARIOS.iter().map(|scenario| (scenario.name.to_owned(), play(scenario).0)).collect()
}

/// Returns the bytes that servers wrote.
pub(super) fn from_server() -> Vec<Seed> {
    SCENARIOS.iter().map(|scenario| (scenario.name.to_owned(), play(scenario).1)).collect()
}

/// Returns the bytes of both, each preceded by `front`, without the preface, which is not a frame.
pub(super) fn both_ways(front: &[u8]) -> Vec<Seed> {
    let client =
        from_client().into_iter().map(|(name, wire)| (format!("client-{name}"), wire[24..].to_vec()));
    let server = from_server().into_iter().map(|(name, wire)| (format!("server-{name}"), wire));
    client.chain(server).map(|(name, wire)| (name, [front, &wire].concat())).collect()
}

/// Plays a session. Returns what the client and what the server wrote.
fn play(scenario: &Scenario) -> (Vec<u8>, Vec<u8>) {
    let mut client = Connection::<Client>::new(Config::client(), CoreSeed(1), NOW);
    let mut server = Connection::<Server>::new(Config::server(), CoreSeed(2), NOW);
    let mut wires = (Vec::new(), Vec::new());
    let mut request = Request::new("/demo.Echo/Call", scenario.call_type);
    request.encoding = scenario.encoding;
    request.deadline = Some(NOW + std::time::Duration::from_secs(5));
    for number in 0..scenario.metadata {
        request.metadata.append("x-number", &number.to_string().repeat(50)).expect("legal");
    }
    let call = client.start(NOW, request).expect("a first call");
    for number in 0..scenario.messages {
        client.send_message(call, payload(scenario, number), scenario.encoding.is_some()).expect("room");
    }
    if scenario.cancel {
        pump(&mut client, &mut server, &mut wires.0);
        client.cancel(call).expect("open");
    } else {
        client.half_close(call).expect("open");
    }
    pump(&mut client, &mut server, &mut wires.0);
    while let Some(event) = server.poll_event() {
        if let Event::Request(call) = event {
            answer(&mut server, call, scenario);
        }
    }
    if scenario.shutdown {
        server.shutdown(NOW);
    }
    for _ in 0..3 {
        pump(&mut server, &mut client, &mut wires.1);
        while !matches!(client.recv(call), Err(_) | Ok(Recv::Pending)) {}
        pump(&mut client, &mut server, &mut wires.0);
    }
    wires
}

fn payload(scenario: &Scenario, number: usize) -> Bytes {
    vec![b'a' + number as u8; scenario.size].into()
}

fn answer(server: &mut Connection<Server>, call: CallId, scenario: &Scenario) {
    server.accept(call, scenario.call_type).expect("open");
    while let Ok(Recv::Message(message)) = server.recv(call) {
        let _ = server.set_encoding(call, scenario.encoding);
        let _ = server.send_message(call, message.payload, scenario.encoding.is_some());
    }
    let mut trailers = Metadata::new();
    trailers.append_bin("x-sum-bin", &[1, 2, 3]).expect("legal");
    let _ = server.finish(call, (scenario.status)(), trailers);
}

fn pump<A: Role, B: Role>(from: &mut Connection<A>, to: &mut Connection<B>, wire: &mut Vec<u8>) {
    let before = wire.len();
    while let Some(mut out) = from.poll_transmit(NOW) {
        let count = out.chunk().len();
        wire.extend_from_slice(out.chunk());
        out.advance(count);
    }
    let mut input = BytesMut::from(&wire[before..]);
    while matches!(to.receive(NOW, &mut input), Ok(Needed::Again)) {}
}
