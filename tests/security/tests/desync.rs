//! Whatever becomes of a header block, the table stays in step: the next call that uses an entry which it set is read
//! right (CVE-2023-32731, CVE-2024-7246).

use halfclose::Server;
use halfclose::frame::ErrorCode;
use halfclose_security::wire::{Block, END_STREAM, frame, headers, reset};
use halfclose_security::{Met, Side, Target};

/// A request that sets the newest entry of the table, with `more` behind it.
fn marking(more: &Block) -> Vec<u8> {
    Block::request().indexing(b"x-mark", b"the entry").raw(&more.0).0
}

/// A call that names the newest entry, and what the server reads there.
fn mark_of_next_call(t: &mut Target<Server>, name: &str) -> Option<String> {
    t.answers = false;
    let before = t.running.len();
    let id = t.id();
    t.send(&headers(id, 0, &Block::request().index(62).0));
    assert_eq!(t.running.len(), before + 1, "{name}: {:?}", t.met());
    let head = t.conn.request(*t.running.last()?).ok()?;
    head.metadata.get_str("x-mark").map(str::to_owned)
}

#[test]
fn after_every_kind_of_block() {
    type Case = (&'static str, fn(&mut Target<Server>));
    let cases: [Case; 9] = [
        ("an answered call", |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &marking(&Block::new())));
        }),
        ("refused: too many streams", |t| {
            t.answers = false;
            for _ in 0..200 {
                let id = t.id();
                t.send(&headers(id, 0, &Block::request().0));
            }
            let id = t.id();
            t.send(&headers(id, END_STREAM, &marking(&Block::new())));
            assert_eq!(t.resets.get(&ErrorCode::REFUSED_STREAM.0), Some(&1));
            t.send(&reset(1, ErrorCode::CANCEL));
        }),
        ("malformed", |t| {
            let id = t.id();
            t.send(&headers(id, END_STREAM, &marking(&Block::new().field(b"Upper", b"x"))));
            assert_eq!(t.resets.get(&ErrorCode::PROTOCOL_ERROR.0), Some(&1));
        }),
        ("malformed before the entry", |t| {
            let id = t.id();
            let block = Block::new().field(b"connection", b"close").raw(&marking(&Block::new()));
            t.send(&headers(id, END_STREAM, &block.0));
        }),
        ("oversized", |t| {
            let id = t.id();
            let block = Block::request()
                .field(b"x", &[b'x'; 16_000])
                .field(b"y", &[b'y'; 300])
                .indexing(b"x-mark", b"the entry");
            let mut pieces = block.0.chunks(16_384);
            t.send(&frame(1, END_STREAM, id, pieces.next().unwrap()));
            t.send(&frame(9, 4, id, pieces.next().unwrap_or_default()));
            assert_eq!(t.end_of(id).and_then(|fields| fields.get("grpc-status")), Some("8"));
        }),
        ("not gRPC", |t| {
            let id = t.id();
            let block = Block::new().index(2).index(6).index(4).indexing(b"x-mark", b"the entry");
            t.send(&headers(id, END_STREAM, &block.0));
            assert_eq!(t.end_of(id).map(|fields| fields.stream), Some(id));
        }),
        ("trailers of a request", |t| {
            let id = t.id();
            t.send(&headers(id, 0, &Block::request().0));
            t.send(&headers(id, END_STREAM, &Block::new().indexing(b"x-mark", b"the entry").0));
        }),
        ("a stream that the client has reset", |t| {
            let id = t.id();
            t.send(&headers(id, 0, &Block::request().0));
            t.send(&reset(id, ErrorCode::CANCEL));
            t.send(&headers(id, END_STREAM, &marking(&Block::new())));
            assert_eq!(t.resets.get(&ErrorCode::STREAM_CLOSED.0), Some(&1));
        }),
        ("a dependency on itself", |t| {
            let id = t.id();
            let payload = [&id.to_be_bytes()[..], &[15], &marking(&Block::new())].concat();
            t.send(&frame(1, 0x20 | 4 | END_STREAM, id, &payload));
            assert_eq!(t.resets.get(&ErrorCode::PROTOCOL_ERROR.0), Some(&1));
        }),
    ];
    for (name, run) in cases {
        let mut t = Server::target(Server::config());
        run(&mut t);
        assert_eq!(t.met(), Met::Alive, "{name}");
        assert_eq!(mark_of_next_call(&mut t, name).as_deref(), Some("the entry"), "{name}");
    }
}

#[test]
fn a_stream_started_after_the_last_goaway() {
    let mut t = Server::target(Server::config());
    t.answers = false;
    let id = t.id();
    t.send(&headers(id, 0, &Block::request().0));
    t.conn.shutdown(t.now);
    t.settle();
    // The table is filled by a call that is not looked at, while the connection drains.
    t.send(&frame(6, 1, 0, b"hc-drain"));
    let late = t.id();
    t.send(&headers(late, END_STREAM, &marking(&Block::new())));
    assert_eq!((t.met(), t.running.len()), (Met::Alive, 1));
    // An entry that is not there would cost the connection, in a block that is not looked at either.
    let later = t.id();
    t.send(&headers(later, END_STREAM, &Block::request().index(62).0));
    assert_eq!(t.met(), Met::Alive);
}
