//! The table of calls.

use super::role::RoleKind;
use super::stream::Stream;
use crate::types::{CallId, CallType, ConnectionTag};

/// The initial windows of a stream.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) send: i64,
    pub(crate) recv: i64,
    /// The size at which the receive window is kept.
    pub(crate) recv_target: u32,
}

/// A place for a call. While it is free, its stream stays allocated and blank.
struct Slot {
    generation: u32,
    taken: bool,
    stream: Stream,
}

/// The table of calls, indexed by slot number.
pub(crate) struct Slots {
    role: RoleKind,
    /// In the id of every call: an id of another connection names none here.
    tag: ConnectionTag,
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: u32,
    /// The generation of a new slot: higher than that of any id given out before.
    first_generation: u32,
    /// Slots visited by walks.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<usize>,
}

impl Slots {
    pub(crate) const fn new(role: RoleKind, tag: ConnectionTag) -> Self {
        Self {
            role,
            tag,
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            first_generation: 0,
            #[cfg(test)]
            steps: std::cell::Cell::new(0),
        }
    }

    /// Returns the number of calls that hold a slot.
    pub(crate) const fn live(&self) -> u32 {
        self.live
    }

    /// Returns the number of slots: the most calls that were ever open at once.
    pub(crate) const fn places(&self) -> usize {
        self.slots.len()
    }

    /// Adds a call in its initial states, without a stream id, and returns its slot.
    #[inline]
    pub(crate) fn insert(&mut self, call_type: CallType, windows: Windows) -> u32 {
        self.live = self.live.saturating_add(1);
        let slot = self.free.pop().unwrap_or_else(|| self.add());
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.taken = true;
            let stream = &mut entry.stream;
            stream.call_type = call_type;
            stream.send_window = windows.send;
            stream.recv_window = windows.recv;
            stream.recv_target = windows.recv_target;
        }
        slot
    }

    #[cold]
    fn add(&mut self) -> u32 {
        // There is one slot for each live call, and calls are limited far below 2^32.
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let generation = self.first_generation;
        self.slots.push(Slot { generation, taken: false, stream: Stream::blank(self.role) });
        slot
    }

    /// Frees a slot: drops everything that the call held and invalidates its id.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(entry) = self.slots.get_mut(slot as usize)
            && entry.taken
        {
            entry.taken = false;
            entry.stream.wipe();
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(slot);
            self.live = self.live.saturating_sub(1);
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Stream> {
        let entry = self.slots.get(slot as usize)?;
        if entry.taken { Some(&entry.stream) } else { None }
    }

    /// Returns the call in `slot`, which has one: a slot number comes from an id, a queue or a timer, and a call
    /// leaves all of these before its slot. So no caller ever takes the branch for `None`.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Stream> {
        debug_assert!(self.get(slot).is_some(), "slot {slot} has no call");
        let entry = self.slots.get_mut(slot as usize)?;
        if entry.taken { Some(&mut entry.stream) } else { None }
    }

    /// Returns the call in `slot`, with its id.
    #[inline]
    pub(crate) fn named_mut(&mut self, slot: u32) -> Option<(CallId, &mut Stream)> {
        let tag = self.tag;
        let entry = self.slots.get_mut(slot as usize)?;
        let call = CallId { slot, generation: entry.generation, tag };
        if entry.taken { Some((call, &mut entry.stream)) } else { None }
    }

    /// Returns the id of the call in `slot`.
    #[inline]
    pub(crate) fn call_id(&self, slot: u32) -> CallId {
        let generation = self.slots.get(slot as usize).map_or(0, |entry| entry.generation);
        CallId { slot, generation, tag: self.tag }
    }

    /// Returns the call with this id, if the id is still valid.
    #[inline]
    pub(crate) fn find(&self, call: CallId) -> Option<&Stream> {
        let entry = self.slots.get(call.slot as usize)?;
        if entry.is_named(call) && call.tag == self.tag { Some(&entry.stream) } else { None }
    }

    /// Returns the call with this id, if the id is still valid.
    #[inline]
    pub(crate) fn find_mut(&mut self, call: CallId) -> Option<&mut Stream> {
        let entry = self.slots.get_mut(call.slot as usize)?;
        if entry.is_named(call) && call.tag == self.tag { Some(&mut entry.stream) } else { None }
    }

    /// Returns the slots in use, in slot order. This walks the whole table, so it is for rare events only.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = u32> + '_ {
        #[cfg(test)]
        self.steps.update(|steps| steps + self.slots.len());
        (0..).zip(&self.slots).filter(|(_, entry)| entry.taken).map(|(slot, _)| slot)
    }

    /// Frees the table if no call is open.
    pub(crate) fn shrink(&mut self) {
        if self.live == 0 {
            // No stale id may match a new call, so new slots start above every generation that was used.
            let newest = self.slots.iter().map(|entry| entry.generation).max();
            self.first_generation = newest.unwrap_or(0).max(self.first_generation);
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }
}

impl Slot {
    /// Returns whether `call` is the call in this slot. Its id is invalid once the caller has received the end of the
    /// call.
    #[inline]
    fn is_named(&self, call: CallId) -> bool {
        self.generation == call.generation && self.taken && !self.stream.caller_done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::compress::CodecIndex;
    use crate::grpc::metadata::Metadata;
    use crate::grpc::status::Status;
    use crate::http2::stream::{ContentLength, Pending, ServerHeaders, Side};
    use crate::machine::{OneRequest, ServerRecv, ServerSend};
    use crate::time::Time;
    use crate::types::Cause;

    const WINDOWS: Windows = Windows { send: 10, recv: 20, recv_target: 30 };

    fn insert(slots: &mut Slots) -> CallId {
        let slot = slots.insert(CallType::BIDI, WINDOWS);
        slots.call_id(slot)
    }

    #[test]
    fn an_id_names_one_call_and_never_another_one_in_its_slot() {
        let mut slots = Slots::new(RoleKind::Server, ConnectionTag(0));
        let [first, second] = [0; 2].map(|_| insert(&mut slots));
        assert_eq!((first.slot(), second.slot(), slots.live()), (0, 1, 2));
        assert!(slots.find(first).is_some() && slots.find_mut(second).is_some());
        slots.remove(first.slot);
        slots.remove(first.slot);
        assert_eq!(slots.live(), 1);
        assert!(slots.find(first).is_none() && slots.find_mut(first).is_none());
        assert!(slots.get(first.slot).is_none());
        assert!(slots.named_mut(first.slot).is_none());
        assert_eq!(slots.occupied().collect::<Vec<_>>(), [1]);
        let third = insert(&mut slots);
        assert_eq!((third.slot, slots.live()), (first.slot, 2));
        assert!(slots.find(first).is_none() && slots.find(third).is_some());
        assert!(slots.named_mut(third.slot).is_some_and(|(call, _)| call == third));
        // One call at a time uses a slot.
        assert_eq!(insert(&mut slots).slot(), 2);
        assert!(slots.get(7).is_none());
    }

    #[test]
    fn a_caller_that_was_told_of_the_end_finds_the_call_no_more() {
        let mut slots = Slots::new(RoleKind::Server, ConnectionTag(0));
        let call = insert(&mut slots);
        slots.get_mut(call.slot).unwrap().caller_done = true;
        assert!(slots.find(call).is_none() && slots.find_mut(call).is_none());
        assert!(slots.get(call.slot).is_some(), "the wire is not done with it");
    }

    #[test]
    fn a_call_begins_as_new_where_another_one_stood() {
        let mut slots = Slots::new(RoleKind::Server, ConnectionTag(0));
        let call = insert(&mut slots);
        let stream = slots.get_mut(call.slot).unwrap();
        stream.id = 1;
        (stream.want_read, stream.want_write, stream.sent_one) = (true, true, true);
        (stream.wire_done, stream.caller_done) = (true, true);
        (stream.codec, stream.peer_codec) = (Some(CodecIndex::FIRST), Some(CodecIndex::FIRST));
        (stream.send_window, stream.recv_window, stream.recv_target) = (-1, -2, 3);
        (stream.recv_owed, stream.recv_pressed, stream.recv_excess) = (4, true, 5);
        stream.pending.insert(Pending::READABLE);
        stream.content_length = Some(ContentLength { expected: 6, met: 7 });
        (stream.deadline, stream.opened) = (Some(Time::ZERO), Time::MAX);
        stream.queue.push_raw("left".into());
        let Side::Server(server) = &mut stream.side else { panic!("a server's") };
        (server.send, server.recv) = (ServerSend::Ended, ServerRecv::Ended);
        (server.requests, server.headers) = (OneRequest::Complete, ServerHeaders::Sent);
        (server.status, server.cause) = (Some((Status::ok(), Metadata::new())), Some(Cause::Trailers));
        slots.remove(call.slot);
        let call = insert(&mut slots);
        let stream = slots.find(call).unwrap();
        assert_eq!((stream.id, stream.queue.bytes(), stream.inbound.complete()), (0, 0, 0));
        assert!(!stream.want_read && !stream.want_write && !stream.sent_one);
        assert!(!stream.wire_done && !stream.caller_done && stream.pending == Pending::default());
        assert_eq!((stream.codec, stream.peer_codec), (None, None));
        assert_eq!((stream.send_window, stream.recv_window, stream.recv_target), (10, 20, 30));
        assert_eq!((stream.recv_owed, stream.recv_pressed, stream.recv_excess), (0, false, 0));
        let Side::Server(server) = &stream.side else { panic!("a server's") };
        assert_eq!((server.send, server.recv), (ServerSend::AwaitHeaders, ServerRecv::Idle));
        assert!(server.requests == OneRequest::Missing && matches!(server.headers, ServerHeaders::Unset));
        assert!(server.request.is_none() && server.status.is_none() && server.cause.is_none());
        assert!(stream.content_length.is_none() && stream.deadline.is_none() && stream.opened == Time::ZERO);
    }

    #[test]
    fn shrinking_keeps_calls_and_lets_no_old_id_name_a_new_one() {
        let mut slots = Slots::new(RoleKind::Server, ConnectionTag(0));
        let calls: Vec<CallId> = (0..50).map(|_| insert(&mut slots)).collect();
        slots.shrink();
        assert!(calls.iter().all(|call| slots.find(*call).is_some()));
        for call in &calls {
            slots.remove(call.slot);
        }
        slots.shrink();
        assert_eq!((slots.slots.capacity(), slots.free.capacity()), (0, 0));
        assert!(calls.iter().all(|call| slots.find(*call).is_none()));
        // The same after any number of uses, and any number of shrinks.
        let mut calls = calls;
        for round in 0..5 {
            for _ in 0..round {
                calls.push(insert(&mut slots));
                slots.remove(calls.last().unwrap().slot);
            }
            slots.shrink();
            slots.shrink();
            let next: Vec<CallId> = (0..60).map(|_| insert(&mut slots)).collect();
            assert!(calls.iter().all(|call| slots.find(*call).is_none()));
            assert!(next.iter().all(|call| slots.find(*call).is_some()));
            next.iter().for_each(|call| slots.remove(call.slot));
            calls.extend(next);
        }
    }
}
