//! Events out: what the caller has not heard yet, in the order in which it happened.

use std::collections::VecDeque;

use super::engine::Engine;
use super::slots::Slots;
use super::stream::{Pending, Side};
use crate::types::{CallId, Cause, Event};

/// The events that the caller has not heard yet.
#[derive(Default)]
pub(super) struct EventQueue {
    /// Those of calls, each once at most, as the bits of its call say. One whose call has lost the bit, or is over, is void.
    calls: VecDeque<(CallId, Pending)>,
    /// Those of the connection.
    notices: VecDeque<Event>,
}

impl EventQueue {
    #[inline]
    fn push(&mut self, slots: &Slots, call: CallId, what: Pending) {
        if self.calls.len() == self.calls.capacity() {
            self.make_space(slots);
        }
        self.calls.push_back((call, what));
    }

    /// Drops what is void before the queue grows: a caller that takes its calls without listening leaves much of it.
    #[cold]
    fn make_space(&mut self, slots: &Slots) {
        self.calls.retain(|(call, what)| slots.is_due(*call, *what));
        if self.calls.len() > self.calls.capacity() / 2 {
            self.calls.reserve(self.calls.len());
        }
    }

    /// Gives back the memory that only speed needs.
    pub(super) fn shrink(&mut self) {
        self.calls.shrink_to_fit();
        self.notices.shrink_to_fit();
    }
}

impl Slots {
    /// Returns whether a call still has this event to tell.
    fn is_due(&self, call: CallId, what: Pending) -> bool {
        self.call_id(call.slot) == call
            && self.get(call.slot).is_some_and(|stream| stream.pending.contains(what))
    }
}

impl Engine {
    /// Queues an event of a call, unless the same one waits already.
    #[inline]
    pub(super) fn tell(&mut self, slot: u32, what: Pending) {
        if let Some((call, stream)) = self.slots.named_mut(slot)
            && !stream.pending.contains(what)
        {
            stream.pending.insert(what);
            self.events.push(&self.slots, call, what);
        }
    }

    /// Tells a caller that waits for it that `recv` has something now.
    #[inline]
    pub(super) fn tell_readable(&mut self, slot: u32) {
        if let Some(stream) = self.slots.get_mut(slot)
            && stream.want_read
        {
            stream.want_read = false;
            self.tell(slot, Pending::READABLE);
        }
    }

    /// Queues an event of the connection in place of an older one of its kind: only the newest of what the peer says of
    /// itself is told.
    pub(super) fn tell_notice(&mut self, notice: Event) {
        let kind = std::mem::discriminant(&notice);
        self.events.notices.retain(|event| std::mem::discriminant(event) != kind);
        self.events.notices.push_back(notice);
    }

    pub(crate) fn has_events(&self) -> bool {
        let is_due = |(call, what): &(CallId, Pending)| self.slots.is_due(*call, *what);
        self.close_reason.is_some() || !self.events.notices.is_empty() || self.events.calls.iter().any(is_due)
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if !self.events.notices.is_empty() {
            return self.poll_notice();
        }
        self.abuse.pending_resets = 0;
        while let Some((call, what)) = self.events.calls.pop_front() {
            let Some((named, stream)) = self.slots.named_mut(call.slot) else { continue };
            if named != call || !stream.pending.contains(what) {
                continue;
            }
            if what == Pending::REQUEST && stream.deadline.is_some_and(|deadline| deadline <= self.now) {
                // P-7: no handler starts at or after its deadline.
                self.on_deadline(call.slot);
                continue;
            }
            stream.pending.remove(what);
            match what {
                Pending::REQUEST => return Some(Event::Request(call)),
                Pending::RESPONSE => return Some(Event::Response(call)),
                Pending::READABLE => return Some(Event::Readable(call)),
                Pending::WRITABLE => return Some(Event::Writable(call)),
                Pending::ENDED => return Some(self.ended(call)),
                _ => {}
            }
        }
        self.poll_closed()
    }

    #[cold]
    fn poll_notice(&mut self) -> Option<Event> {
        self.events.notices.pop_front()
    }

    // `Closed` comes after everything else, once.
    fn poll_closed(&mut self) -> Option<Event> {
        self.close_reason.take().map(Event::Closed)
    }

    /// Tells the end of a server's call: its slot is freed when the wire is done with it too.
    #[inline(never)]
    fn ended(&mut self, call: CallId) -> Event {
        let mut unusual = None;
        if let Some(stream) = self.slots.get_mut(call.slot) {
            stream.caller_done = true;
            if let Side::Server(server) = &mut stream.side
                && !matches!(server.cause, None | Some(Cause::Trailers))
            {
                unusual = server.cause.take();
            }
        }
        self.free_if_done(call.slot);
        // Two arms: most calls end with their trailers, and nothing has to be moved.
        match unusual {
            None => Event::Ended(call, Cause::Trailers),
            Some(cause) => Event::Ended(call, cause),
        }
    }
}
