//! Connections that end at any byte: a client never mistakes a part of an answer for the whole, and a server
//! continues.

use halfclose::{CallType, Code, Config};
use halfclose_conformance::case::{ask_echo, greet_client, greet_server};
use halfclose_conformance::memory::InMemory;
use halfclose_conformance::tcp::Tcp;
use halfclose_conformance::{Caller, ECHO, End, Line, Transport};
use halfclose_e2e::{Smol, Tokio};
use halfclose_wire::{Block, END_STREAM, Frame, RESPONSE, TRAILERS, block, data, headers, message};

/// Checks P-26 with every prefix of a good answer, including the whole.
fn answers_cut_at_every_byte<T: Transport>() {
    let answer = [
        headers(1, 0, &block(&RESPONSE)),
        data(1, 0, &message(b"answer")),
        headers(1, END_STREAM, &block(&TRAILERS)),
    ]
    .concat();
    for at in 0..=answer.len() {
        let mut client = T::client(Config::client());
        greet_client(&mut client);
        let call = client.start(CallType::UNARY, true);
        client.read_until(Frame::ends_stream);
        client.write(&answer[..at]);
        client.close();
        let expected = if at == answer.len() {
            End { code: Code::Ok, messages: vec![b"answer".to_vec()] }
        } else {
            End { code: Code::Unavailable, messages: Vec::new() }
        };
        let mut end = client.end(call);
        if at < answer.len() {
            // Whether the message arrived before the end or not, the call has failed.
            end.messages.clear();
        }
        assert_eq!(end, expected, "cut at byte {at} of {}", answer.len());
    }
}

/// Checks P-105 with every prefix of a good request; the server ends the connection, and serves the next one.
fn requests_cut_at_every_byte<T: Transport>() {
    let server = T::serve(Config::server());
    let request =
        [headers(1, 0, &Block::request_to(ECHO.as_bytes()).0), data(1, END_STREAM, &message(b"request"))]
            .concat();
    for at in 0..request.len() {
        let mut line = T::connect(&server);
        greet_server(&mut line);
        line.write(&request[..at]);
        line.close();
        let sent = line.read_until(|_| false);
        assert!(!sent.iter().any(Frame::ends_stream), "cut at byte {at}, and answered: {sent:?}");
    }
    let mut line = T::connect(&server);
    greet_server(&mut line);
    assert_eq!(ask_echo(&mut line), Some("0".to_owned()));
}

macro_rules! on_every_transport {
    ($($transport:ident: $type:ty;)+) => { $(
        mod $transport {
            use super::*;

            #[test]
            fn p26_answers_cut_at_every_byte() {
                answers_cut_at_every_byte::<$type>();
            }

            #[test]
            fn p105_requests_cut_at_every_byte() {
                requests_cut_at_every_byte::<$type>();
            }
        }
    )+ };
}

on_every_transport! {
    memory: InMemory;
    tokio: Tcp<Tokio>;
    smol: Tcp<Smol>;
}
