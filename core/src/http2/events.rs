//! The events that the caller has not polled yet, in the order in which they happened.

use std::collections::VecDeque;

use super::engine::Engine;
use super::slots::Slots;
use super::stream::{Pending, Side};
use crate::types::{CallId, Cause, Event};

/// The events that the caller has not polled yet.
#[derive(Default)]
pub(super) struct EventQueue {
    /// Events of calls, at most one of each kind for a call. An entry is void if its call is gone or has lost the
    /// bit.
    calls: VecDeque<(CallId, Pending)>,
    /// Events of the connection.
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

    /// Drops void entries before the queue grows: a caller that receives without polling events leaves many of them.
    #[cold]
    fn make_space(&mut self, slots: &Slots) {
        self.calls.retain(|(call, what)| slots.is_due(*call, *what));
        if self.calls.len() > self.calls.capacity() / 2 {
            self.calls.reserve(self.calls.len());
        }
    }

    /// Frees spare capacity.
    pub(super) fn shrink(&mut self) {
        self.calls.shrink_to_fit();
        self.notices.shrink_to_fit();
    }
}

impl Slots {
    /// Returns whether a call's event is still pending.
    fn is_due(&self, call: CallId, what: Pending) -> bool {
        self.call_id(call.slot) == call
            && self.get(call.slot).is_some_and(|stream| stream.pending.contains(what))
    }
}

impl Engine {
    /// Queues an event of a call, unless the same one is pending already.
    #[inline]
    pub(super) fn tell(&mut self, slot: u32, what: Pending) {
        if let Some((call, stream)) = self.slots.named_mut(slot)
            && !stream.pending.contains(what)
        {
            stream.pending.insert(what);
            self.events.push(&self.slots, call, what);
        }
    }

    /// Queues `Readable` for a caller that waits for `recv` to have something.
    #[inline]
    pub(super) fn tell_readable(&mut self, slot: u32) {
        if let Some(stream) = self.slots.get_mut(slot)
            && stream.want_read
        {
            stream.want_read = false;
            self.tell(slot, Pending::READABLE);
        }
    }

    /// Queues an event of the connection, replacing an older one of its kind: only the peer's latest word is
    /// reported.
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

    // `Closed` is the last event, and is delivered once.
    fn poll_closed(&mut self) -> Option<Event> {
        self.close_reason.take().map(Event::Closed)
    }

    /// Returns the end event of a server's call, and frees its slot if the wire is done with it too.
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
        // Two arms: most calls end with trailers, and then nothing has to be moved.
        match unusual {
            None => Event::Ended(call, Cause::Trailers),
            Some(cause) => Event::Ended(call, cause),
        }
    }
}
