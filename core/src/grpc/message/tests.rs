use proptest::prelude::*;

use super::*;

const LIMIT: u32 = 1 << 22;

fn frame(compressed: bool, payload: &[u8]) -> Vec<u8> {
    let prefix = Prefix { compressed, length: u32::try_from(payload.len()).unwrap() };
    [&prefix.to_bytes(), payload].concat()
}

fn drain(buffer: &mut MessageBuffer) -> Vec<(bool, Vec<u8>)> {
    let mut out = Vec::new();
    while let Some(message) = buffer.pop() {
        assert_eq!(message.wire_len as usize, message.payload.len() + PREFIX_LEN);
        out.push((message.compressed, message.payload.to_vec()));
    }
    out
}

fn payload(bytes: &[u8], owned: bool) -> Payload<'_> {
    if owned { Payload::Owned(Bytes::copy_from_slice(bytes)) } else { Payload::Borrowed(bytes) }
}

#[test]
fn prefixes() {
    let table = [
        ([0, 0, 0, 0, 0], Ok(Prefix { compressed: false, length: 0 })),
        ([1, 0, 0, 1, 2], Ok(Prefix { compressed: true, length: 258 })),
        ([0, 255, 255, 255, 255], Ok(Prefix { compressed: false, length: u32::MAX })),
        ([2, 0, 0, 0, 0], Err(MessageError::Flag(2))),
        ([255, 0, 0, 0, 0], Err(MessageError::Flag(255))),
    ];
    for (bytes, expected) in table {
        assert_eq!(Prefix::parse(bytes), expected);
        if let Ok(prefix) = expected {
            assert_eq!(prefix.to_bytes(), bytes);
        }
    }
}

#[test]
fn the_limit_at_its_edges() {
    for owned in [false, true] {
        for (len, fits) in [(99, true), (100, true), (101, false)] {
            let wire = frame(false, &vec![1; len]);
            let expected = if fits {
                Ok(())
            } else {
                Err(MessageError::TooLarge { length: u32::try_from(len).unwrap(), limit: 100 })
            };
            let mut arena = Arena::new();
            assert_eq!(MessageBuffer::new().push(payload(&wire, owned), 100, &mut arena), expected);
            // The prefix alone decides, also if it arrives byte by byte.
            let mut buffer = MessageBuffer::new();
            for byte in &wire[..4] {
                assert_eq!(buffer.push(payload(&[*byte], owned), 100, &mut arena), Ok(()));
            }
            assert_eq!(buffer.push(payload(&wire[4..5], owned), 100, &mut arena), expected);
            assert_eq!(buffer.missing(), fits.then_some(u32::try_from(len).unwrap()));
        }
    }
}

#[test]
fn a_bad_prefix_spares_what_came_before_and_ends_the_rest() {
    let mut arena = Arena::new();
    let wire = [frame(false, b"one"), frame(true, b""), b"\x02\0\0\0\0".to_vec()].concat();
    for cut in 0..wire.len() {
        let mut buffer = MessageBuffer::new();
        let _ = buffer.push(Payload::Borrowed(&wire[..cut]), LIMIT, &mut arena);
        assert_eq!(
            buffer.push(Payload::Borrowed(&wire[cut..]), LIMIT, &mut arena),
            Err(MessageError::Flag(2))
        );
        assert_eq!(buffer.complete(), 2);
        assert_eq!(buffer.buffered(), 13);
        assert!(!buffer.is_mid_message());
        let good = frame(false, b"late");
        assert_eq!(buffer.push(Payload::Borrowed(&good), LIMIT, &mut arena), Err(MessageError::Flag(2)));
        assert_eq!(drain(&mut buffer), [(false, b"one".to_vec()), (true, Vec::new())]);
        assert_eq!(buffer.clear(), 0);
        assert_eq!(buffer.push(Payload::Borrowed(&good), LIMIT, &mut arena), Ok(()));
        assert_eq!(drain(&mut buffer).len(), 1);
    }
}

#[test]
fn progress_is_visible() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    assert_eq!((buffer.missing(), buffer.is_mid_message(), buffer.buffered()), (None, false, 0));
    let states = [
        (0_u8, Some(4), true, 0, 1),
        (0, Some(3), true, 0, 2),
        (0, Some(2), true, 0, 3),
        (0, Some(1), true, 0, 4),
        (2, Some(2), true, 0, 5),
        (9, Some(1), true, 0, 6),
        (9, None, false, 1, 7),
    ];
    for (byte, missing, mid, complete, buffered) in states {
        buffer.push(Payload::Borrowed(&[byte]), LIMIT, &mut arena).unwrap();
        assert_eq!(buffer.missing(), missing);
        assert_eq!(buffer.is_mid_message(), mid);
        assert_eq!(buffer.complete(), complete);
        assert_eq!(buffer.buffered(), buffered);
    }
    assert_eq!(drain(&mut buffer), [(false, vec![9, 9])]);
    assert_eq!((buffer.complete(), buffer.buffered()), (0, 0));
}

#[test]
fn a_promise_reserves_nothing() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    buffer.push(Payload::Borrowed(&[0, 255, 255, 255, 255]), u32::MAX, &mut arena).unwrap();
    assert_eq!(buffer.missing(), Some(u32::MAX));
    assert_eq!(buffer.partial.as_ref().unwrap().reserved_ahead(), 0);
    for sent in 1..100_u32 {
        buffer.push(Payload::Borrowed(&[7; 1000]), u32::MAX, &mut arena).unwrap();
        let ahead = buffer.partial.as_ref().unwrap().reserved_ahead();
        let come = sent as usize * 1000;
        assert!(ahead <= (come / 2).max(16 * 1024) && ahead <= come.max(512), "{ahead} after {sent}");
        assert_eq!(buffer.missing(), Some(u32::MAX - sent * 1000));
    }
}

#[test]
fn no_more_is_reserved_than_the_message_needs() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let wire = frame(false, &[3; 100]);
    buffer.push(Payload::Borrowed(&wire[..10]), LIMIT, &mut arena).unwrap();
    assert_eq!(buffer.partial.as_ref().unwrap().reserved_ahead(), 95);
}

#[test]
fn a_message_in_many_pieces_is_moved_a_few_times() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let wire = frame(false, &vec![3; 4 << 20]);
    let mut capacities = Vec::new();
    for piece in wire[..4 << 20].chunks(1000) {
        buffer.push(Payload::Borrowed(piece), LIMIT, &mut arena).unwrap();
        capacities.push(buffer.buffered() + buffer.partial.as_ref().unwrap().reserved_ahead());
    }
    capacities.dedup();
    // Up to 16 KiB by the message's size, up to 64 KiB by 16 KiB, and then by half of its size.
    assert!(capacities.len() <= 5 + 4 + 12, "{capacities:?}");
}

#[test]
fn a_large_owned_chunk_is_not_copied() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let chunk = Bytes::from([frame(false, &[1; 5000]), frame(true, &[2; 6000])].concat());
    buffer.push(Payload::Owned(chunk.clone()), LIMIT, &mut arena).unwrap();
    // A second chunk queues behind, and is not copied either.
    buffer.push(Payload::Owned(chunk.clone()), LIMIT, &mut arena).unwrap();
    for _ in 0..2 {
        assert_eq!(buffer.pop().unwrap().payload.as_ptr(), chunk[5..].as_ptr());
        assert_eq!(buffer.pop().unwrap().payload.as_ptr(), chunk[5010..].as_ptr());
    }
    // A chunk is not copied either if only a part of it is whole messages, or if it is one message.
    let part = [&chunk[..], &[0, 0, 0]].concat();
    for wire in [part, frame(false, &[1; 5000])] {
        let chunk = Bytes::from(wire);
        buffer.push(Payload::Owned(chunk.clone()), LIMIT, &mut arena).unwrap();
        assert_eq!(buffer.pop().unwrap().payload.as_ptr(), chunk[5..].as_ptr());
        let _ = buffer.clear();
    }
    // Small messages are copied, so that they do not keep the receive buffer alive.
    for count in [1, 2] {
        let small = Bytes::from(frame(false, &[1; 50]).repeat(count));
        buffer.push(Payload::Owned(small.clone()), LIMIT, &mut arena).unwrap();
        assert!(!small.as_ptr_range().contains(&buffer.pop().unwrap().payload.as_ptr()));
        let _ = buffer.clear();
    }
}

#[test]
fn what_goes_on_with_a_message_is_not_a_message_whatever_it_looks_like() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let inner = frame(false, b"abc");
    let wire = frame(true, &inner);
    buffer.push(Payload::Borrowed(&wire[..PREFIX_LEN]), LIMIT, &mut arena).unwrap();
    buffer.push(Payload::Borrowed(&wire[PREFIX_LEN..]), LIMIT, &mut arena).unwrap();
    assert_eq!(drain(&mut buffer), [(true, inner)]);
}

#[test]
fn nothing_is_kept_ready_for_a_message_that_has_not_begun() {
    let mut arena = Arena::new();
    for count in [1, 2] {
        let mut buffer = MessageBuffer::new();
        let wire = frame(false, b"abc").repeat(count);
        buffer.push(Payload::Borrowed(&wire), LIMIT, &mut arena).unwrap();
        assert!(buffer.partial.is_none());
    }
}

#[test]
fn clearing_drops_whatever_there_is() {
    let one = frame(false, b"abc");
    for chunks in [&[&one[..]][..], &[&one[..3]], &[&one, &one[..6]], &[&one, &one, &one[..1]], &[]] {
        let mut arena = Arena::new();
        let mut buffer = MessageBuffer::new();
        for chunk in chunks {
            buffer.push(Payload::Borrowed(chunk), LIMIT, &mut arena).unwrap();
        }
        let _ = buffer.clear();
        assert_eq!((buffer.complete(), buffer.buffered(), buffer.missing()), (0, 0, None));
        assert!(!buffer.is_mid_message() && buffer.pop().is_none() && buffer.backlog.is_none());
        buffer.push(Payload::Borrowed(&one), LIMIT, &mut arena).unwrap();
        assert_eq!(drain(&mut buffer), [(false, b"abc".to_vec())]);
    }
}

#[test]
fn a_backlog_costs_little_more_than_its_bytes_and_goes_away() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    for _ in 0..10_000 {
        buffer.push(Payload::Borrowed(&[0; PREFIX_LEN]), LIMIT, &mut arena).unwrap();
    }
    let runs = buffer.backlog.as_ref().unwrap().runs.len();
    assert!(runs <= 10_000 * PREFIX_LEN / BLOCK + 3, "{runs} runs");
    assert_eq!(buffer.complete(), 10_000);
    assert_eq!(buffer.buffered(), 50_000);
    assert_eq!(drain(&mut buffer).len(), 10_000);
    assert!(buffer.backlog.is_none());
    assert_eq!(buffer.buffered(), 0);
}

#[test]
fn views_are_counted_until_the_last_message_in_them_is_taken() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let one = Payload::Owned(Bytes::from(frame(false, &[1; 5000])));
    let two = Payload::Owned(Bytes::from([frame(false, &[1; 5000]), frame(true, &[2; 6000])].concat()));
    let mut counts = Vec::new();
    for chunk in [one.clone(), two.clone(), Payload::Borrowed(one.as_slice()), two.clone()] {
        buffer.push(chunk, LIMIT, &mut arena).unwrap();
        counts.push(buffer.pinned());
    }
    assert_eq!(counts, [1, 2, 2, 3], "a copy is no view");
    let left: Vec<u32> = std::iter::from_fn(|| buffer.pop().map(|_| buffer.pinned())).collect();
    assert_eq!(left, [2, 2, 1, 1, 1, 0]);
    buffer.push(two, LIMIT, &mut arena).unwrap();
    assert_eq!((buffer.clear(), buffer.pinned(), buffer.clear()), (1, 0, 0));
}

#[test]
fn a_message_in_pieces_keeps_no_buffer() {
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let wire = Bytes::from(frame(false, &[1; 50_000]));
    for piece in [wire.slice(..20_000), wire.slice(20_000..40_000), wire.slice(40_000..)] {
        buffer.push(Payload::Owned(piece), LIMIT, &mut arena).unwrap();
        assert_eq!(buffer.pinned(), 0);
    }
    assert!(wire.is_unique());
    assert_eq!(drain(&mut buffer), [(false, vec![1; 50_000])]);
}

#[test]
fn a_backlog_is_kept_in_little_more_than_its_bytes() {
    // The memory that the allocator returns for the runs of one stream, by their lengths and the blocks that they are
    // cut from.
    let mut arena = Arena::new();
    for size in [0_usize, 30, 200, 480, 507, 1000, 5000] {
        let mut buffer = MessageBuffer::new();
        let message = frame(false, &vec![7; size]);
        while buffer.buffered() < 65_000 {
            buffer.push(Payload::Borrowed(&message), LIMIT, &mut arena).unwrap();
        }
        let backlog = buffer.backlog.as_ref().unwrap();
        let shared = if message.len() < ALONE { backlog.runs.len() * BLOCK } else { 65_000 };
        assert!(shared <= 65_000 * 9 / 8 + 2 * BLOCK, "{size}: {} runs", backlog.runs.len());
        assert!(backlog.tail.capacity() <= BLOCK, "{size}: {}", backlog.tail.capacity());
    }
}

#[test]
fn the_buffer_is_small() {
    assert!(size_of::<MessageBuffer>() <= 120, "{}", size_of::<MessageBuffer>());
}

/// Messages of sizes around every threshold, and sometimes a bad prefix at the end.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop_oneof![
        4 => 0..40_usize,
        2 => 1000..1100_usize,
        2 => 2000..2100_usize,
        1 => 16_300..16_500_usize,
        1 => 40_000..40_010_usize,
    ];
    let message = (any::<bool>(), sizes, any::<u8>())
        .prop_map(|(compressed, len, fill)| frame(compressed, &vec![fill; len]));
    let end = prop_oneof![
        3 => Just(Vec::new()),
        1 => Just(vec![9, 0, 0, 0, 0]),
        1 => Just(vec![0, 0, 1, 0, 0]),
        1 => Just(vec![0, 0, 0]),
    ];
    (proptest::collection::vec(message, 0..8), end)
        .prop_map(|(messages, end)| messages.concat().into_iter().chain(end).collect())
}

type ParsedMessages = (Vec<(bool, Vec<u8>)>, Option<MessageError>, bool, Option<u32>, usize);

/// Pushes `wire` cut at `cuts`, and pops messages after each chunk for which `pops` is true.
fn run(wire: &[u8], cuts: &[usize], owned: &[bool], pops: &[bool]) -> ParsedMessages {
    const SMALL_LIMIT: u32 = 50_000;
    let mut arena = Arena::new();
    let mut buffer = MessageBuffer::new();
    let mut messages = Vec::new();
    let mut error = None;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).chain([wire.len()]).collect();
    ends.sort_unstable();
    let mut start = 0;
    for (i, end) in ends.into_iter().enumerate() {
        let result = buffer.push(payload(&wire[start..end], owned[i % owned.len()]), SMALL_LIMIT, &mut arena);
        error = error.or(result.err());
        start = end;
        let counted: usize = buffer.complete();
        if pops[i % pops.len()] {
            let taken = drain(&mut buffer);
            assert_eq!(taken.len(), counted);
            messages.extend(taken);
        }
    }
    let (mid, missing) = (buffer.is_mid_message(), buffer.missing());
    messages.extend(drain(&mut buffer));
    (messages, error, mid, missing, buffer.buffered())
}

proptest! {
    #[test]
    fn chunking_makes_no_difference(
        wire in streams(),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
        owned in proptest::collection::vec(any::<bool>(), 1..4),
        pops in proptest::collection::vec(any::<bool>(), 1..4),
    ) {
        let whole = run(&wire, &[], &[false], &[false]);
        prop_assert_eq!(run(&wire, &cuts, &owned, &pops), whole);
    }

    #[test]
    fn byte_by_byte(wire in proptest::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 0..4_u8], 0..60)) {
        let whole = run(&wire, &[], &[true], &[true]);
        let every: Vec<usize> = (0..wire.len()).collect();
        prop_assert_eq!(run(&wire, &every, &[true, false], &[false]), whole);
    }
}
