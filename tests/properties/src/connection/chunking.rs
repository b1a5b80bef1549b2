//! The result does not depend on how the received bytes or the written bytes are cut.

use bytes::{Buf, BytesMut};
use halfclose::{
    CallId, CallType, Client, Config, Connection, ConnectionError, Event, Needed, Recv, Request, Role, Seed,
    Server, Time,
};

use super::caller::config;

const NOW: Time = Time::ZERO;

/// The result of a connection's input.
#[derive(PartialEq, Debug)]
struct Transcript {
    events: Vec<Event>,
    received: Vec<String>,
    written: Vec<u8>,
    error: Option<ConnectionError>,
}

/// Checks that input given whole, byte by byte and cut as the data says causes the same events, the same messages and
/// the same bytes.
///
/// The first three bytes are the role and limits, and how both directions are cut; the rest comes from the peer.
pub fn chunking(data: &[u8]) {
    let Some((&[profile, input, output], wire)) = data.split_first_chunk() else { return };
    let run = |input: usize, output: usize| {
        if profile & 0x80 == 0 {
            transcript::<Server>(config(Config::server(), profile), wire, input, output)
        } else {
            transcript::<Client>(config(Config::client(), profile), wire, input, output)
        }
    };
    let whole = run(usize::MAX, usize::MAX);
    assert_eq!(run(1, 1), whole, "byte by byte");
    assert_eq!(run(usize::from(input) + 1, usize::from(output) + 1), whole, "cut");
}

/// The caller's part, which does not depend on how the bytes are cut: it acts once all of them have arrived.
trait Caller: Role + Sized {
    fn begin(core: &mut Connection<Self>) -> Vec<CallId>;
}

impl Caller for Server {
    fn begin(_: &mut Connection<Self>) -> Vec<CallId> {
        Vec::new()
    }
}

impl Caller for Client {
    fn begin(core: &mut Connection<Self>) -> Vec<CallId> {
        let mut calls = Vec::new();
        for call_type in [CallType::BIDI, CallType::UNARY] {
            let call = core.start(NOW, Request::new("/demo.Echo/Call", call_type)).expect("a legal request");
            // With small limits the second message finds the connection's buffer full.
            let _ = core.send_message(call, vec![7; 5000].into(), false);
            core.half_close(call).expect("the first half-close");
            calls.push(call);
        }
        calls
    }
}

fn transcript<R: Caller>(config: Config, wire: &[u8], input: usize, output: usize) -> Transcript {
    let mut core = Connection::<R>::new(config, Seed(1), NOW);
    let mut calls = R::begin(&mut core);
    let mut transcript =
        Transcript { events: Vec::new(), received: Vec::new(), written: Vec::new(), error: None };
    flush(&mut core, output, &mut transcript.written);
    let mut unread = BytesMut::new();
    for piece in wire.chunks(input) {
        unread.extend_from_slice(piece);
        loop {
            match core.receive(NOW, &mut unread) {
                Ok(Needed::Again) => {}
                Ok(Needed::Drain) => flush(&mut core, output, &mut transcript.written),
                Ok(_) => break,
                Err(error) => {
                    transcript.error = Some(error);
                    break;
                }
            }
        }
    }
    while let Some(event) = core.poll_event() {
        if let Event::Request(call) = &event {
            calls.push(*call);
        }
        transcript.events.push(event);
    }
    flush(&mut core, output, &mut transcript.written);
    for call in calls {
        while let Ok(received) = core.recv(call) {
            transcript.received.push(format!("{call:?} {received:?}"));
            if !matches!(received, Recv::Message(_)) {
                break;
            }
        }
    }
    flush(&mut core, output, &mut transcript.written);
    transcript
}

/// Reads all output of the core: at most `most` bytes at a time, or in its owned form.
fn flush<R: Role>(core: &mut Connection<R>, most: usize, written: &mut Vec<u8>) {
    if most == usize::MAX {
        while let Some(out) = core.take_transmit(NOW) {
            out.segments().iter().for_each(|segment| written.extend_from_slice(segment));
        }
        return;
    }
    while let Some(mut out) = core.poll_transmit(NOW) {
        let count = out.chunk().len().min(most);
        written.extend_from_slice(&out.chunk()[..count]);
        out.advance(count);
    }
}
