use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum OutboxOp {
    Append(usize),
    Payload(usize),
    /// A share of the output in 1/1000; above 1000 is more than everything.
    Advance(usize),
    /// A number of bytes, so that short steps cross every boundary.
    Step(usize),
    Take(usize),
    Shrink,
}

fn any_op() -> impl Strategy<Value = OutboxOp> {
    prop_oneof![
        6 => (0..40usize).prop_map(OutboxOp::Append),
        1 => (3000..6000usize).prop_map(OutboxOp::Append),
        2 => (0..200usize).prop_map(OutboxOp::Payload),
        4 => (CHAIN_THRESHOLD - 2..CHAIN_THRESHOLD + 3).prop_map(OutboxOp::Payload),
        3 => (0..1100usize).prop_map(OutboxOp::Advance),
        4 => (0..60usize).prop_map(OutboxOp::Step),
        1 => (0..1100usize).prop_map(OutboxOp::Take),
        1 => Just(OutboxOp::Shrink),
    ]
}

/// Bytes that encode their position, so that a wrong order shows.
struct Source(u32);

impl Source {
    fn take(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| {
                self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (self.0 >> 24) as u8
            })
            .collect()
    }
}

/// Checks that everything `buf` shows through `room` slices is the front of `model`, in pieces that are not empty.
fn check_view(buf: &impl Buf, model: &[u8], room: usize) {
    assert_eq!(buf.remaining(), model.len());
    assert_eq!(buf.chunk().is_empty(), model.is_empty());
    assert!(model.starts_with(buf.chunk()));
    let mut slices = vec![IoSlice::new(&[]); room];
    let count = buf.chunks_vectored(&mut slices);
    assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
    let seen = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
    assert!(model.starts_with(&seen));
    assert!(count == room || seen.len() == model.len());
}

fn check_bounds(outbox: &Outbox) {
    let unread = outbox.unread().len();
    assert!(outbox.inline.len() <= unread + COMPACT_FROM.max(unread + 1), "written bytes are kept");
    assert_eq!(outbox.chained_len, outbox.chained.iter().map(|chained| chained.payload.len()).sum::<usize>());
}

/// Writes an owned form in two parts. Returns what it held.
fn drain_owned(mut owned: OwnedTransmit, share: usize, model: &[u8]) {
    check_view(&owned, model, 4);
    let cut = (model.len() * share / 1000).min(model.len());
    owned.advance(cut);
    check_view(&owned, &model[cut..], 3);
    assert_eq!(owned.segments().concat(), &model[cut..]);
    owned.advance(usize::MAX);
    assert!(!owned.has_remaining() && owned.segments().is_empty());
}

proptest! {
    #[test]
    fn bytes_leave_in_the_order_in_which_they_came(ops in vec(any_op(), 0..120), room in 0..12usize) {
        let (mut outbox, mut model, mut source) = (Outbox::default(), Vec::new(), Source(1));
        for op in ops {
            match op {
                OutboxOp::Append(count) => {
                    let bytes = source.take(count);
                    outbox.buf().extend_from_slice(&bytes);
                    model.extend(bytes);
                }
                OutboxOp::Payload(count) => {
                    let bytes = source.take(count);
                    model.extend_from_slice(&bytes);
                    outbox.push_payload(bytes.into());
                }
                OutboxOp::Advance(share) => {
                    let count = model.len() * share / 1000;
                    outbox.transmit().advance(count);
                    model.drain(..count.min(model.len()));
                    check_bounds(&outbox);
                }
                OutboxOp::Step(count) => {
                    outbox.transmit().advance(count);
                    model.drain(..count.min(model.len()));
                }
                OutboxOp::Take(share) => {
                    drain_owned(outbox.transmit().into_owned(), share, &model);
                    model.clear();
                }
                OutboxOp::Shrink => {
                    outbox.shrink();
                    prop_assert_eq!(outbox.inline.capacity() == 0, outbox.inline.is_empty());
                }
            }
            prop_assert_eq!((outbox.len(), outbox.is_empty()), (model.len(), model.is_empty()));
            check_view(&outbox.transmit(), &model, room);
        }
    }
}

proptest! {
    #[test]
    fn what_is_lent_goes_before_what_comes_meanwhile(
        ops in vec((any_op(), 0..2000usize), 0..120),
        room in 1..12usize,
    ) {
        let (mut outbox, mut lent) = (Outbox::default(), LentTransmit::default());
        let (mut model, mut source, mut wrote) = (Vec::new(), Source(1), 0_u64);
        for (op, count) in ops {
            match op {
                OutboxOp::Append(count) => {
                    let bytes = source.take(count);
                    outbox.buf().extend_from_slice(&bytes);
                    model.extend(bytes);
                }
                OutboxOp::Payload(count) => {
                    let bytes = source.take(count);
                    model.extend_from_slice(&bytes);
                    outbox.push_payload(bytes.into());
                }
                OutboxOp::Shrink => {
                    outbox.shrink();
                    lent.shrink();
                }
                _ => {
                    let was_lent = lent.has_remaining();
                    prop_assert_eq!(outbox.lend(&mut lent), !was_lent && !model.is_empty());
                    let there = lent.remaining();
                    check_view(&lent, &model[..there], room);
                    let count = count.min(there);
                    lent.advance(count);
                    outbox.lent_written(count);
                    model.drain(..count);
                    wrote += count as u64;
                }
            }
            prop_assert_eq!(outbox.may_give(), !lent.has_remaining() && !model.is_empty());
            prop_assert_eq!((outbox.len(), outbox.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!((outbox.written(), outbox.appended()), (wrote, wrote + model.len() as u64));
        }
    }
}

#[test]
fn large_payloads_are_not_copied_and_small_ones_are() {
    let large = Bytes::from(vec![1; CHAIN_THRESHOLD]);
    let small = Bytes::from(vec![2; CHAIN_THRESHOLD - 1]);
    let mut outbox = Outbox::default();
    outbox.buf().extend_from_slice(b"head");
    outbox.push_payload(large.clone());
    outbox.push_payload(small.clone());
    let mut slices = [IoSlice::new(&[]); 4];
    let transmit = outbox.transmit();
    assert_eq!(transmit.chunks_vectored(&mut slices), 3);
    assert_eq!(slices[1].as_ptr(), large.as_ptr());
    assert_ne!(slices[2].as_ptr(), small.as_ptr());

    outbox.transmit().advance(5);
    let owned = outbox.transmit().into_owned();
    assert_eq!(owned.segments()[0].as_ptr(), large[1..].as_ptr());
    assert_eq!(owned.remaining(), large.len() - 1 + small.len());
    assert!(outbox.is_empty());
}

#[test]
fn a_payload_is_released_once_it_is_written() {
    let payload = Bytes::from(vec![0; CHAIN_THRESHOLD]);
    let mut outbox = Outbox::default();
    outbox.push_payload(payload.clone());
    outbox.buf().push(0);
    outbox.transmit().advance(CHAIN_THRESHOLD - 1);
    assert!(!payload.is_unique());
    outbox.transmit().advance(1);
    assert!(payload.is_unique());

    outbox.push_payload(payload.clone());
    let mut owned = outbox.transmit().into_owned();
    owned.advance(CHAIN_THRESHOLD);
    assert!(!payload.is_unique());
    owned.advance(1);
    assert!(payload.is_unique());
}

#[test]
fn memory_is_kept_when_all_is_written_and_freed_on_demand() {
    let mut outbox = Outbox::default();
    let mut capacities = Vec::new();
    for _ in 0..3 {
        outbox.buf().extend_from_slice(&[7; 10_000]);
        outbox.push_payload(Bytes::from_static(&[0; CHAIN_THRESHOLD]));
        outbox.transmit().advance(10_000 + CHAIN_THRESHOLD);
        capacities.push((outbox.inline.capacity(), outbox.chained.capacity()));
    }
    assert!(capacities[0].0 >= 10_000 && capacities.iter().all(|capacity| *capacity == capacities[0]));
    outbox.shrink();
    assert_eq!((outbox.inline.capacity(), outbox.chained.capacity()), (0, 0));
}

/// Counts what is moved when a long queue is written in small steps and never becomes empty.
#[test]
fn what_is_moved_is_less_than_what_is_written() {
    let mut outbox = Outbox::default();
    outbox.buf().extend_from_slice(&[0; 100_000]);
    let (mut moved, mut written) = (0, 0);
    while written < 1_000_000 {
        outbox.buf().extend_from_slice(&[0; 100]);
        let base = outbox.base;
        outbox.transmit().advance(100);
        written += 100;
        if outbox.base != base {
            moved += outbox.inline.len();
        }
    }
    assert!(moved <= written, "{moved} bytes moved for {written} written");
    assert!(moved > 0 && outbox.inline.len() <= 200_100);
}
