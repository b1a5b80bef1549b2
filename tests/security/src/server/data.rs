//! DATA and windows: dribbles, empty and tiny frames, windows that overflow, a transport that accepts nothing.

use bytes::Bytes;
use halfclose::Server;
use halfclose::frame::ErrorCode;

use super::{CALM, KIB, ended};
use crate::wire::{Block, END_STREAM, data, headers, message, prefixed, settings, update};
use crate::{Attack, Expect};

/// The attacks of this class.
pub const ATTACKS: &[Attack<Server>] = &[
    Attack {
        name: "data dribble",
        class: "CVE-2019-9511",
        expect: Expect::Serves,
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&[(4, 0)]));
            let id = t.id();
            t.send(&headers(id, 0, &Block::request().0));
            t.send(&data(id, END_STREAM, &message(&[7; 3000])));
            t.flood(&update(id, 1), 3005);
            let (frames, bytes) = t.data.get(&id).cloned().unwrap_or_default();
            assert_eq!(bytes, message(&[7; 3000]), "the answer is exact");
            assert!(frames <= 3005, "{frames}");
            t.send(&settings(&[(4, 65_535)]));
        },
    },
    Attack {
        name: "data dribble, every update at once",
        class: "CVE-2019-9511",
        expect: Expect::Serves,
        memory: 128 * KIB,
        run: |t| {
            t.send(&settings(&[(4, 0)]));
            let id = t.open();
            t.send(&data(id, END_STREAM, &message(&[7; 3000])));
            t.send(&update(id, 1).repeat(3005));
            let (frames, bytes) = t.data.get(&id).cloned().unwrap_or_default();
            assert_eq!(bytes, message(&[7; 3000]), "the answer is exact");
            // One for each turn that the updates took, not for each of them.
            assert!(frames <= 3005 / 64 + 4, "{frames}");
            t.send(&settings(&[(4, 65_535)]));
        },
    },
    Attack {
        name: "HTTP/2 windows open, transport shut",
        class: "CVE-2019-9517",
        expect: Expect::Serves,
        // 1 MiB of send buffer, one message over it, and what is cut already.
        memory: 3 * 1024 * KIB,
        run: |t| {
            t.send(&settings(&[(4, 0x7fff_ffff)]));
            t.send(&update(0, 0x7ffe_0000));
            t.reads = false;
            t.answers = false;
            let ids: Vec<u32> = (0..150).map(|_| ended(t)).collect();
            for call in t.running.clone() {
                let mut sent = 0;
                while t.conn.is_writable(call) && sent < 1000 {
                    t.conn.send_message(call, Bytes::from(vec![0; 8 * KIB]), false).expect("room");
                    sent += 1;
                }
                assert!(sent <= 9, "{sent} messages of 8 KiB on one call");
                // Something is cut into frames, and stays there.
                assert!(t.conn.poll_transmit(t.now).is_some());
            }
            assert_eq!(ids.len(), t.running.len());
            for call in t.running.clone() {
                t.conn.cancel(call).expect("open");
            }
            t.reads = true;
            t.settle();
            t.send(&settings(&[(4, 65_535)]));
        },
    },
    Attack {
        name: "empty DATA",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.open();
            let taken = t.flood(&data(id, 0, b""), 10_000);
            assert!(taken <= 100, "{taken}");
        },
    },
    Attack {
        name: "one-byte DATA",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 128 * KIB,
        run: |t| {
            let id = t.open();
            t.send(&data(id, 0, &prefixed(0, 1_000_000, b"")));
            let taken = t.flood(&data(id, 0, b"x"), 100_000);
            assert!(taken <= 10_000, "{taken}");
        },
    },
    Attack {
        name: "one-byte DATA on a closed stream",
        class: "CVE-2019-9518",
        expect: Expect::Closed(CALM, "too_many_data_frames"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.open();
            // Over the message limit: answered, and closed on the server's side.
            t.send(&data(id, 0, &prefixed(0, u32::MAX, b"")));
            t.flood(&data(id, 0, b"x"), 100_000);
        },
    },
    Attack {
        name: "window overflow of the connection",
        class: "window overflow",
        expect: Expect::Closed(ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1"),
        memory: 64 * KIB,
        run: |t| {
            t.send(&update(0, 0x7fff_ffff));
        },
    },
    Attack {
        name: "window overflow by SETTINGS",
        class: "window overflow",
        expect: Expect::Closed(ErrorCode::FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1"),
        memory: 64 * KIB,
        run: |t| {
            let id = t.open();
            t.send(&update(id, 0x7fff_0000));
            t.send(&settings(&[(4, 0x7fff_ffff)]));
        },
    },
    Attack {
        name: "DATA over the window of a stream",
        class: "window overflow",
        expect: Expect::Resets(ErrorCode::FLOW_CONTROL_ERROR, 1),
        // The message, briefly twice while it grows.
        memory: 9 * 1024 * KIB,
        run: |t| {
            t.answers = false;
            let id = t.open();
            t.send(&data(id, 0, &prefixed(0, 4_000_000, b"")));
            t.flood(&data(id, 0, &[0; 16_384]), 300);
            // The window is opened for the message; the attack exceeds that.
            while t.resets.is_empty() && t.send(&data(id, 0, &[0; 16_384])) {}
        },
    },
];
