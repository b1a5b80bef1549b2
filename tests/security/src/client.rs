//! Attacks of a hostile server on a client. A client never panics, hangs, spins or accepts a truncated answer
//! (SECURITY.md).

use std::time::Duration;

use halfclose::frame::ErrorCode;
use halfclose::{CallType, Cause, Client, Code, Initiator, Outcome, Recv, Request};

use crate::wire::{
    ACK, Block, END_HEADERS, END_STREAM, data, frame, headers, kind, message, prefixed, reset, settings,
    update,
};
use crate::{Attack, Expect, Target};

const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;
const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const KIB: usize = 1024;

type AttackedClient = Target<Client>;

/// Returns the outcome of the only call that has ended.
fn ended(t: &mut AttackedClient) -> Outcome {
    assert_eq!(t.outcomes.len(), 1, "one call has ended, once");
    t.outcomes.remove(0)
}

/// Answers one call with `frames`, and checks that it ends with `code`.
fn answered(t: &mut AttackedClient, code: Code, frames: impl Fn(u32) -> Vec<u8>) -> Cause {
    let id = t.start();
    t.send(&frames(id));
    let outcome = ended(t);
    assert_eq!(outcome.status.code, code, "{outcome:?}");
    outcome.cause
}

fn response(id: u32) -> Vec<u8> {
    headers(id, 0, &Block::response().0)
}

fn ok(id: u32) -> Vec<u8> {
    headers(id, END_STREAM, &Block::status("0").0)
}

/// Answers a call with a message and trailers that hold `size` bytes of `grpc-message`, in frames of the usual size.
pub fn long_trailers(t: &mut Target<Client>, size: usize) {
    let id = t.start();
    t.send(&[response(id), data(id, 0, &message(b"pong"))].concat());
    let block = Block::status("5").field(b"grpc-message", &vec![b'm'; size]).0;
    let mut pieces = block.chunks(16_384);
    t.send(&frame(kind::HEADERS, END_STREAM, id, pieces.next().unwrap_or_default()));
    for piece in pieces {
        t.send(&frame(kind::CONTINUATION, 0, id, piece));
    }
    t.send(&frame(kind::CONTINUATION, END_HEADERS, id, b""));
}

fn whole(id: u32) -> Vec<u8> {
    [response(id), data(id, 0, &message(b"pong")), ok(id)].concat()
}

/// Declares an attack whose frames, after a call has begun, end the connection.
macro_rules! fatal {
    ($name:literal, $class:literal, $code:expr, $debug:literal, $frames:expr) => {
        Attack {
            name: $name,
            class: $class,
            expect: Expect::Closed($code, $debug),
            memory: 128 * KIB,
            run: |t| {
                let id = t.start();
                let frames: fn(u32) -> Vec<u8> = $frames;
                t.send(&frames(id));
                assert!(!ended(t).status.is_ok(), "the call ends with the connection");
            },
        }
    };
}

/// Declares an attack whose answer is a stream error: the call fails, and the connection stays open.
macro_rules! reset_by {
    ($name:literal, $class:literal, $frames:expr) => {
        Attack {
            name: $name,
            class: $class,
            expect: Expect::Resets(PROTOCOL, 1),
            memory: 64 * KIB,
            run: |t| {
                let cause = answered(t, Code::Internal, $frames);
                assert!(matches!(cause, Cause::Violation(_)), "{cause:?}");
            },
        }
    };
}

/// Declares an attack whose answer gives the call this status, and has no other effect.
macro_rules! status {
    ($name:literal, $class:literal, $code:expr, $frames:expr) => {
        Attack {
            name: $name,
            class: $class,
            expect: Expect::Serves,
            memory: 256 * KIB,
            run: |t| {
                answered(t, $code, $frames);
            },
        }
    };
}

/// Returns every attack of a server, with its required result and the most memory that it may use.
pub fn attacks() -> impl Iterator<Item = &'static Attack<Client>> {
    ATTACKS.iter()
}

const ATTACKS: &[Attack<Client>] = &[
    fatal!("MAX_FRAME_SIZE 0", "CVE-2026-33814", PROTOCOL, "RFC 9113 §6.5.2", |_| settings(&[(5, 0)])),
    fatal!("MAX_FRAME_SIZE 16,383", "CVE-2026-33814", PROTOCOL, "RFC 9113 §6.5.2", |_| settings(&[(
        5, 16_383
    )])),
    fatal!(
        "INITIAL_WINDOW_SIZE 2^31",
        "section 8",
        ErrorCode::FLOW_CONTROL_ERROR,
        "RFC 9113 §6.5.2",
        |_| { settings(&[(4, 1 << 31)]) }
    ),
    fatal!("ENABLE_PUSH 1", "section 8", PROTOCOL, "RFC 9113 §6.5.2", |_| settings(&[(2, 1)])),
    fatal!("PUSH_PROMISE", "section 8", PROTOCOL, "RFC 9113 §8.4", |id| {
        frame(kind::PUSH_PROMISE, 4, id, &[&[0, 0, 0, 2][..], &Block::request().0].concat())
    }),
    fatal!("HEADERS on an even stream", "section 8", PROTOCOL, "RFC 9113 §5.1.1", |_| response(2)),
    fatal!("HEADERS on an idle stream", "section 8", PROTOCOL, "RFC 9113 §5.1.1", |_| response(99)),
    fatal!("DATA on an idle stream", "section 8", PROTOCOL, "RFC 9113 §5.1", |_| data(99, 0, b"x")),
    fatal!("GOAWAY that takes its word back", "section 8", PROTOCOL, "RFC 9113 §6.8", |_| {
        let goaway = |last: u32| frame(kind::GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat());
        [goaway(1), goaway(3)].concat()
    }),
    fatal!("HPACK index 0", "section 8", ErrorCode::COMPRESSION_ERROR, "RFC 9113 §4.3", |id| headers(
        id,
        0,
        &[0x80]
    )),
    fatal!("CONTINUATION flood", "CVE-2024-28182", CALM, "too_many_continuations", |id| {
        let mut bytes = frame(kind::HEADERS, 0, id, &Block::response().0);
        (0..9).for_each(|_| bytes.extend(frame(kind::CONTINUATION, 0, id, b"")));
        bytes
    }),
    fatal!("HPACK bomb", "CVE-2016-1544", CALM, "header_list_too_large", |id| {
        headers(id, 0, &Block::response().indexing(b"x-bomb", &[b'b'; 3_800]).raw(&[0xbe; 11_000]).0)
    }),
    fatal!("SETTINGS of 2,730 entries", "CVE-2020-11080", CALM, "too_many_settings", |_| {
        settings(&vec![(0x99, 1); 2730])
    }),
    fatal!("SETTINGS ACK that nobody asked for", "RFC 9113 §6.5.3", PROTOCOL, "RFC 9113 §6.5.3", |_| {
        frame(kind::SETTINGS, ACK, 0, b"")
    }),
    Attack {
        name: "ping flood",
        class: "CVE-2019-9512",
        expect: Expect::Closed(CALM, "too_many_control_frames"),
        memory: 64 * KIB,
        run: |t| {
            let taken = t.flood(&frame(kind::PING, 0, 0, b"pingpong"), 100_000);
            assert_eq!(taken, 999, "the first SETTINGS took a token");
        },
    },
    Attack {
        name: "ping flood, ACKs unread",
        class: "CVE-2019-9512",
        expect: Expect::Closed(CALM, "too_many_unread_replies"),
        memory: 64 * KIB,
        run: |t| {
            t.reads = false;
            let taken = t.flood(&frame(kind::PING, 0, 0, b"pingpong"), 100_000);
            assert_eq!(taken, 64);
            t.wait_unread();
        },
    },
    Attack {
        name: "settings flood",
        class: "CVE-2019-9515",
        expect: Expect::Closed(CALM, "too_many_control_frames"),
        memory: 64 * KIB,
        run: |t| {
            t.flood(&settings(&[]), 100_000);
        },
    },
    Attack {
        name: "1xx without end",
        class: "section 8",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.start();
            t.flood(&headers(id, 0, &Block::new().field(b":status", b"103").0), 100_000);
            assert_eq!(ended(t).status.code, Code::Unavailable);
        },
    },
    Attack {
        name: "empty DATA",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.start();
            t.send(&response(id));
            t.flood(&data(id, 0, b""), 10_000);
        },
    },
    reset_by!("response without :status", "section 8", |id| {
        headers(id, 0, &Block::new().field(b"content-type", b"application/grpc").0)
    }),
    reset_by!("two :status", "section 8", |id| {
        headers(id, 0, &Block::new().index(8).index(8).field(b"content-type", b"application/grpc").0)
    }),
    reset_by!("pseudo-header field in trailers", "section 8", |id| {
        [response(id), headers(id, END_STREAM, &Block::new().index(8).field(b"grpc-status", b"0").0)].concat()
    }),
    reset_by!("trailers without END_STREAM", "section 8", |id| {
        [response(id), data(id, 0, &message(b"pong")), headers(id, 0, &Block::status("0").0)].concat()
    }),
    reset_by!("DATA before HEADERS", "section 8", |id| data(id, 0, &message(b"pong"))),
    status!("grpc-status out of range", "P-27", Code::Unknown, |id| {
        [response(id), headers(id, END_STREAM, &Block::status("99").0)].concat()
    }),
    status!("two grpc-status, OK first", "section 8", Code::PermissionDenied, |id| {
        let trailers = Block::status("0").field(b"grpc-status", b"7");
        [response(id), data(id, 0, &message(b"pong")), headers(id, END_STREAM, &trailers.0)].concat()
    }),
    status!("two grpc-status, OK last", "section 8", Code::Internal, |id| {
        let trailers = Block::status("13").field(b"grpc-status", b"0");
        [response(id), data(id, 0, &message(b"pong")), headers(id, END_STREAM, &trailers.0)].concat()
    }),
    status!("no trailers", "P-26", Code::Internal, |id| {
        [response(id), data(id, END_STREAM, &message(b"pong"))].concat()
    }),
    status!("OK behind half a message", "P-56", Code::Internal, |id| {
        [response(id), data(id, 0, &prefixed(0, 100, b"half")), ok(id)].concat()
    }),
    status!("RST_STREAM(NO_ERROR) behind half a message", "P-27", Code::Internal, |id| {
        [response(id), data(id, 0, &prefixed(0, 100, b"half")), reset(id, ErrorCode::NO_ERROR)].concat()
    }),
    status!("OK without the one message", "P-70", Code::Unimplemented, |id| [response(id), ok(id)].concat()),
    status!("two messages where one is due", "P-71", Code::Unimplemented, |id| {
        [response(id), data(id, 0, &[message(b"a"), message(b"b")].concat()), ok(id)].concat()
    }),
    status!("flag 2", "P-50", Code::Internal, |id| [
        response(id),
        data(id, 0, &prefixed(2, 1, b"x")),
        ok(id)
    ]
    .concat()),
    status!("compressed without an encoding", "P-51", Code::Internal, |id| {
        [response(id), data(id, 0, &prefixed(1, 1, b"x")), ok(id)].concat()
    }),
    status!("message of 4 GiB", "P-54", Code::ResourceExhausted, |id| {
        [response(id), data(id, 0, &prefixed(0, u32::MAX, b"x"))].concat()
    }),
    status!("header list over the limit", "P-45", Code::ResourceExhausted, |id| {
        let head = Block::new().index(8).field(b"content-type", b"application/grpc");
        headers(id, END_STREAM, &head.indexing(b"x-filler", &[b'x'; 3_800]).raw(&[0xbe; 5]).0)
    }),
    Attack {
        name: "trailers of 70,000 bytes",
        class: "P-45",
        expect: Expect::Serves,
        memory: 384 * KIB,
        run: |t| {
            long_trailers(t, 70_000);
            assert_eq!(ended(t).status.code, Code::ResourceExhausted);
        },
    },
    Attack {
        name: "trailers of 1,000,000 bytes, a hundred times",
        class: "P-45",
        expect: Expect::Serves,
        // The block grows by doubling, and the attacker holds one.
        memory: 4 * 1024 * KIB,
        run: |t| {
            for _ in 0..100 {
                long_trailers(t, 1_000_000);
                let outcome = ended(t);
                assert_eq!((outcome.status.code, outcome.trailers.len()), (Code::ResourceExhausted, 0));
            }
        },
    },
    Attack {
        name: "trailers over the absolute limit",
        class: "P-45",
        expect: Expect::Closed(CALM, "header_block_too_large"),
        memory: 4 * 1024 * KIB,
        run: |t| {
            long_trailers(t, 1_100_000);
            assert_eq!(ended(t).status.code, Code::Unavailable);
        },
    },
    Attack {
        name: "CONTINUATION of 1,000 bytes each",
        class: "CVE-2024-27316",
        expect: Expect::Closed(CALM, "too_many_continuations"),
        memory: 128 * KIB,
        run: |t| {
            let id = t.start();
            t.send(&frame(kind::HEADERS, 0, id, &Block::response().0));
            t.flood(&frame(kind::CONTINUATION, 0, id, &[0x88; 1_000]), 1_000);
        },
    },
    status!("HTTP 503", "P-28", Code::Unavailable, |id| {
        [headers(id, 0, &Block::new().field(b":status", b"503").0), data(id, END_STREAM, b"down")].concat()
    }),
    status!("content-type of a web page", "P-29", Code::Unknown, |id| {
        let head = Block::new().index(8).field(b"content-type", b"text/html");
        [headers(id, 0, &head.0), data(id, END_STREAM, b"<html>")].concat()
    }),
    status!("a web page without end", "P-28", Code::Unknown, |id| {
        let head = Block::new().index(8).field(b"content-type", b"text/html");
        [headers(id, 0, &head.0), data(id, 0, &[b'x'; 16_000])].concat()
    }),
    Attack {
        name: "a web page that stalls",
        class: "P-28",
        expect: Expect::Serves,
        memory: 64 * KIB,
        run: |t| {
            let id = t.start();
            let headers = Block::new().index(8).field(b"content-type", b"text/html");
            t.send(&frame(kind::HEADERS, 4, id, &headers.0));
            for _ in 0..2 {
                t.send(&data(id, 0, b"<p>"));
                t.wait(Duration::from_secs(1));
            }
            assert!(t.outcomes.is_empty());
            t.wait(Duration::from_secs(1));
            assert_eq!(ended(t).status.code, Code::Unknown);
        },
    },
    status!("REFUSED_STREAM", "section 8", Code::Unavailable, |id| reset(id, ErrorCode::REFUSED_STREAM)),
    Attack {
        name: "decompression bomb",
        class: "gzip, 64 kB to 64 MiB",
        expect: Expect::Serves,
        memory: 7 * 1024 * KIB,
        run: |t| {
            let bomb = crate::server::messages::gzip_bomb();
            let id = t.start();
            let head = Block::response().field(b"grpc-encoding", b"gzip");
            t.send(&headers(id, 0, &head.0));
            for piece in prefixed(1, u32::try_from(bomb.len()).expect("short"), &bomb).chunks(16_000) {
                t.send(&data(id, 0, piece));
            }
            // A lone message is looked into once the status is here.
            t.send(&ok(id));
            assert_eq!(ended(t).status.code, Code::ResourceExhausted);
        },
    },
    Attack {
        name: "malformed answers without end",
        class: "CVE-2019-9514",
        expect: Expect::Closed(CALM, "too_many_internal_resets"),
        memory: 256 * KIB,
        run: |t| {
            for _ in 0..1_000 {
                let id = t.start();
                if !t.send(&headers(id, 0, &Block::new().index(8).index(8).0)) {
                    break;
                }
            }
            assert!(t.outcomes.iter().all(|outcome| !outcome.status.is_ok()));
        },
    },
    Attack {
        name: "answers to calls of long ago",
        class: "useless frames",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 128 * KIB,
        run: |t| {
            let id = t.start();
            t.send(&whole(id));
            for _ in 0..200 {
                let id = t.start();
                t.send(&whole(id));
            }
            t.outcomes.clear();
            t.flood(&response(id), 100_000);
        },
    },
    Attack {
        name: "GOAWAY without end",
        class: "useless frames",
        expect: Expect::Closed(CALM, "too_many_useless_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.start();
            let goaway = [&id.to_be_bytes()[..], &[0; 4], &[b'd'; 1_000]].concat();
            t.flood(&frame(kind::GOAWAY, 0, 0, &goaway), 100_000);
        },
    },
    Attack {
        name: "a window that is never opened",
        class: "section 8",
        expect: Expect::Serves,
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&[(4, 0)]));
            let mut request = Request::new("/sec.Test/Call", CallType::UNARY);
            request.deadline = Some(t.now + Duration::from_secs(1));
            let call = t.conn.start(t.now, request).expect("a call");
            t.conn.send_message(call, vec![0; 10_000].into(), false).expect("room");
            t.conn.half_close(call).expect("open");
            t.drain(call);
            t.read();
            t.id();
            t.wait(Duration::from_secs(1));
            let outcome = ended(t);
            assert_eq!((outcome.status.code, outcome.cause), (Code::DeadlineExceeded, Cause::Deadline));
            t.send(&settings(&[(4, 65_535)]));
        },
    },
    Attack {
        name: "MAX_CONCURRENT_STREAMS 0",
        class: "section 8",
        expect: Expect::Serves,
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&[(3, 0)]));
            let mut request = Request::new("/sec.Test/Call", CallType::UNARY);
            request.deadline = Some(t.now + Duration::from_secs(1));
            let call = t.conn.start(t.now, request).expect("a place in the queue");
            assert!(matches!(t.conn.recv(call), Ok(Recv::Pending)));
            t.read();
            assert!(t.fields.is_empty(), "nothing is sent");
            t.wait(Duration::from_secs(1));
            assert_eq!(ended(t).status.code, Code::DeadlineExceeded);
            t.send(&settings(&[(3, 100)]));
        },
    },
    Attack {
        name: "GOAWAY below the call",
        class: "section 8",
        expect: Expect::Closed(ErrorCode::NO_ERROR, ""),
        memory: 64 * KIB,
        run: |t| {
            t.start();
            t.send(&frame(kind::GOAWAY, 0, 0, &[0; 8]));
            let outcome = ended(t);
            assert!(outcome.not_processed(), "{outcome:?}");
        },
    },
    Attack {
        name: "cancelled calls that are answered",
        class: "h2#856",
        expect: Expect::Serves,
        memory: 2 * 1024 * KIB,
        run: |t| {
            for _ in 0..50 {
                let ids: Vec<u32> = (0..90).map(|_| t.start()).collect();
                for call in t.running.clone() {
                    t.conn.cancel(call).expect("open");
                    t.drain(call);
                }
                t.settle();
                for id in ids {
                    t.send(&whole(id));
                    t.send(&update(id, 1_000));
                }
            }
            assert!(t.outcomes.iter().all(|outcome| outcome.cause == Cause::Cancelled));
            let by_user =
                |outcome: &Outcome| !matches!(outcome.cause, Cause::Reset { by: Initiator::Library, .. });
            assert!(t.outcomes.iter().all(by_user));
        },
    },
];
