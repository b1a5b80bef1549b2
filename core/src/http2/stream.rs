//! One call's slot, and the table of slots.

use std::sync::Arc;

use super::send_queue::SendQueue;
use crate::grpc::encoding::Encoding;
use crate::grpc::head::{RequestHead, ResponseHead};
use crate::grpc::message::MessageBuffer;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::Status;
use crate::machine::{ClientRecv, ClientSend, OneRequest, OneResponse, ServerRecv, ServerSend};
use crate::time::Time;
use crate::types::{CallId, Cause, Outcome, Request, Shape};

/// The events of one call that the caller has not taken yet, in the order in which they are told.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pending(u8);

impl Pending {
    pub(crate) const REQUEST: Self = Self(1);
    pub(crate) const RESPONSE: Self = Self(2);
    pub(crate) const READABLE: Self = Self(4);
    pub(crate) const WRITABLE: Self = Self(8);
    pub(crate) const ENDED: Self = Self(16);

    #[inline]
    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    #[inline]
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn clear(&mut self) {
        self.0 = 0;
    }

    /// Takes the first one.
    #[inline]
    pub(crate) fn take_first(&mut self) -> Self {
        let lowest = self.0 & self.0.wrapping_neg();
        self.0 &= !lowest;
        Self(lowest)
    }
}

/// What a client's call holds beside its halves.
pub(crate) struct ClientCall {
    pub(crate) send: ClientSend,
    pub(crate) recv: ClientRecv,
    pub(crate) responses: OneResponse,
    pub(crate) stage: ClientStage,
    pub(crate) response: Option<Arc<ResponseHead>>,
    /// An answer that is not gRPC's, while its text is gathered (P-28).
    pub(crate) foreign: Option<Box<Foreign>>,
}

/// An HTTP answer that is not gRPC's: the status that it will give, and the text of its body so far.
pub(crate) struct Foreign {
    pub(crate) status: Status,
    pub(crate) http_status: u16,
    pub(crate) text: Vec<u8>,
}

/// How far a client's call has come. The request is needed until its HEADERS are cut, the outcome from the end on.
pub(crate) enum ClientStage {
    Queued(Request),
    Open,
    Done(Outcome),
    /// The outcome was taken, or nobody wants it.
    Taken,
}

/// What a server's call holds beside its halves.
pub(crate) struct ServerCall {
    pub(crate) send: ServerSend,
    pub(crate) recv: ServerRecv,
    pub(crate) requests: OneRequest,
    pub(crate) request: Option<Arc<RequestHead>>,
    pub(crate) head: ServerHead,
    /// The status that waits behind queued messages, with its trailing metadata.
    pub(crate) status: Option<(Status, Metadata)>,
    /// Why the call ended; told to the caller by `Event::Ended`.
    pub(crate) cause: Option<Cause>,
}

/// The response headers of a server's call.
pub(crate) enum ServerHead {
    /// None were ordered: a status now is Trailers-Only.
    Unset,
    /// Ordered, not cut yet.
    Ready(Metadata),
    /// An HTTP answer that is not gRPC's: the request was refused before any handler could hear of it.
    Refused(u16),
    /// The same, on its way: the rest of the request is still listened to.
    RefusalSent,
    /// On their way.
    Sent,
}

pub(crate) enum Side {
    Client(ClientCall),
    Server(ServerCall),
}

/// One call.
pub(crate) struct Stream {
    pub(crate) side: Side,
    /// The stream id; 0 while a client's call is queued, and again once the id is retired.
    pub(crate) id: u32,
    pub(crate) shape: Shape,
    pub(crate) pending: Pending,
    /// The last `recv` found nothing: tell the caller when there is something.
    pub(crate) want_read: bool,
    /// The last `send_message` filled the buffer: tell the caller when there is room.
    pub(crate) want_write: bool,
    /// The one message of a `One` direction was sent.
    pub(crate) sent_one: bool,
    /// Nothing more goes over the wire for this call.
    pub(crate) wire_done: bool,
    /// The caller has been told of the end, or never heard of the call.
    pub(crate) caller_done: bool,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) peer_encoding: Option<Encoding>,

    pub(crate) queue: SendQueue,
    pub(crate) send_window: i64,

    pub(crate) inbound: MessageBuffer,
    /// What the peer may still send.
    pub(crate) recv_window: i64,
    /// Octets taken by the caller and not yet credited to the peer.
    pub(crate) recv_owed: u32,
    /// The window that this stream is kept at; grows while its reader keeps up.
    pub(crate) recv_target: u32,
    /// More than half of the window was under way at once, and the window may grow.
    pub(crate) recv_pressed: bool,
    /// Octets lent from the connection's pool for the message in progress.
    pub(crate) loan: u32,
    /// Octets that content-length still promises (RFC 9113 §8.1.1).
    pub(crate) content_length: Option<ContentLength>,
    pub(crate) deadline: Option<Time>,
}

/// The windows of a new stream.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) send: i64,
    pub(crate) recv: i64,
    /// What the receiving window is kept at.
    pub(crate) recv_target: u32,
}

impl Stream {
    fn new(side: Side, shape: Shape, windows: Windows) -> Self {
        Self {
            side,
            id: 0,
            shape,
            pending: Pending::default(),
            want_read: false,
            want_write: false,
            sent_one: false,
            wire_done: false,
            caller_done: false,
            encoding: None,
            peer_encoding: None,
            queue: SendQueue::default(),
            send_window: windows.send,
            inbound: MessageBuffer::new(),
            recv_window: windows.recv,
            recv_owed: 0,
            recv_target: windows.recv_target,
            recv_pressed: false,
            loan: 0,
            content_length: None,
            deadline: None,
        }
    }

    /// Begins a call where another one stood, whose memory [`empty`](Self::empty) has given back: as new, without moving
    /// a stream.
    fn begin(&mut self, new_side: Side, new_shape: Shape, windows: Windows) {
        // By name, so that no field can be forgotten.
        let Self {
            side,
            id,
            shape,
            pending,
            want_read,
            want_write,
            sent_one,
            wire_done,
            caller_done,
            encoding,
            peer_encoding,
            queue: _,
            send_window,
            inbound: _,
            recv_window,
            recv_owed,
            recv_target,
            recv_pressed,
            loan,
            content_length,
            deadline,
        } = self;
        *side = new_side;
        (*id, *shape, *pending) = (0, new_shape, Pending::default());
        (*want_read, *want_write, *sent_one) = (false, false, false);
        (*wire_done, *caller_done) = (false, false);
        (*encoding, *peer_encoding) = (None, None);
        (*send_window, *recv_window, *recv_target) = (windows.send, windows.recv, windows.recv_target);
        (*recv_owed, *recv_pressed, *loan) = (0, false, 0);
        (*content_length, *deadline) = (None, None);
    }

    /// The call is over: gives back the memory that it holds.
    fn empty(&mut self) {
        self.queue.clear();
        // `free_if_done` has counted the views.
        let _ = self.inbound.clear();
        match &mut self.side {
            Side::Client(call) => {
                call.stage = ClientStage::Taken;
                call.response = None;
                call.foreign = None;
            }
            Side::Server(call) => {
                call.request = None;
                call.head = ServerHead::Sent;
                call.status = None;
                call.cause = None;
            }
        }
    }
}

/// A content-length and what came of it.
#[derive(Clone, Copy)]
pub(crate) struct ContentLength {
    pub(crate) expected: u64,
    pub(crate) met: u64,
}

/// A place for a call. The stream of a call that is over stays where it stood, empty, and is used again.
struct Slot {
    generation: u32,
    taken: bool,
    stream: Stream,
}

/// The table of calls, indexed by slot number.
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: u32,
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), live: 0 }
    }

    /// Calls that hold a slot.
    pub(crate) const fn live(&self) -> u32 {
        self.live
    }

    /// A slot for a call without a stream id yet, with the windows of a new stream.
    pub(crate) fn insert(&mut self, side: Side, shape: Shape, windows: Windows) -> u32 {
        self.live = self.live.saturating_add(1);
        if let Some(slot) = self.free.pop()
            && let Some(entry) = self.slots.get_mut(slot as usize)
        {
            entry.taken = true;
            entry.stream.begin(side, shape, windows);
            return slot;
        }
        self.add(side, shape, windows)
    }

    #[cold]
    fn add(&mut self, side: Side, shape: Shape, windows: Windows) -> u32 {
        // One slot a live call, and calls are limited far below 2^32.
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let stream = Stream::new(side, shape, windows);
        self.slots.push(Slot { generation: 0, taken: true, stream });
        slot
    }

    /// Ends the use of a slot: what the call held is dropped, its id is no longer valid.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(entry) = self.slots.get_mut(slot as usize)
            && entry.taken
        {
            entry.taken = false;
            entry.stream.empty();
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

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Stream> {
        let entry = self.slots.get_mut(slot as usize)?;
        if entry.taken { Some(&mut entry.stream) } else { None }
    }

    /// The call in `slot`, with its id.
    #[inline]
    pub(crate) fn named_mut(&mut self, slot: u32) -> Option<(CallId, &mut Stream)> {
        let entry = self.slots.get_mut(slot as usize)?;
        let call = CallId { slot, generation: entry.generation };
        if entry.taken { Some((call, &mut entry.stream)) } else { None }
    }

    /// The id of the call in `slot`.
    #[inline]
    pub(crate) fn call_id(&self, slot: u32) -> CallId {
        let generation = self.slots.get(slot as usize).map_or(0, |entry| entry.generation);
        CallId { slot, generation }
    }

    /// The call that the caller names, if its id is still valid.
    #[inline]
    pub(crate) fn find(&self, call: CallId) -> Option<&Stream> {
        self.slots.get(call.slot as usize).filter(|entry| entry.is_named(call)).map(|entry| &entry.stream)
    }

    /// As [`find`](Self::find), to change it.
    #[inline]
    pub(crate) fn find_mut(&mut self, call: CallId) -> Option<&mut Stream> {
        let entry = self.slots.get_mut(call.slot as usize)?;
        if entry.is_named(call) { Some(&mut entry.stream) } else { None }
    }

    /// The slots in use, in slot order. Walks the whole table: for rare events only.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.slots).filter(|(_, entry)| entry.taken).map(|(slot, _)| slot)
    }

    pub(crate) fn shrink(&mut self) {
        if self.live == 0 {
            // Generations must outlive the slots, or a stale id could name a new call: keep them, drop the spare room.
            self.slots.shrink_to_fit();
            self.free.shrink_to_fit();
        }
    }
}

impl Slot {
    /// Whether `call` is the call here. A caller that has been told of the end has no business with what is left of it.
    #[inline]
    fn is_named(&self, call: CallId) -> bool {
        self.generation == call.generation && self.taken && !self.stream.caller_done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { send: 10, recv: 20, recv_target: 30 };

    fn insert(slots: &mut Slots) -> CallId {
        let side = Side::Server(ServerCall {
            send: ServerSend::AwaitHeaders,
            recv: ServerRecv::Body,
            requests: OneRequest::Missing,
            request: None,
            head: ServerHead::Unset,
            status: None,
            cause: None,
        });
        let slot = slots.insert(side, Shape::BIDI, WINDOWS);
        slots.call_id(slot)
    }

    #[test]
    fn events_are_told_in_their_order_whatever_the_order_in_which_they_came() {
        let all = [Pending::REQUEST, Pending::RESPONSE, Pending::READABLE, Pending::WRITABLE, Pending::ENDED];
        let mut pending = Pending::default();
        assert!(pending.is_empty());
        for event in all.into_iter().rev() {
            pending.insert(event);
            pending.insert(event);
        }
        for (n, event) in all.into_iter().enumerate() {
            assert!(all[n..].iter().all(|later| pending.contains(*later)));
            assert!(!all[..n].iter().any(|told| pending.contains(*told)));
            assert!(pending.take_first() == event);
        }
        assert!(pending.is_empty());
        pending.insert(Pending::READABLE);
        pending.clear();
        assert!(pending.is_empty() && pending.take_first() == Pending::default());
    }

    #[test]
    fn an_id_names_one_call_and_never_another_one_in_its_slot() {
        let mut slots = Slots::new();
        let [first, second] = [0; 2].map(|_| insert(&mut slots));
        assert_eq!((first.slot(), second.slot(), slots.live()), (0, 1, 2));
        assert!(slots.find(first).is_some() && slots.find_mut(second).is_some());
        slots.remove(first.slot);
        slots.remove(first.slot);
        assert_eq!(slots.live(), 1);
        assert!(slots.find(first).is_none() && slots.find_mut(first).is_none());
        assert!(slots.get(first.slot).is_none() && slots.get_mut(first.slot).is_none());
        assert!(slots.named_mut(first.slot).is_none());
        assert_eq!(slots.occupied().collect::<Vec<_>>(), [1]);
        let third = insert(&mut slots);
        assert_eq!((third.slot, slots.live()), (first.slot, 2));
        assert!(slots.find(first).is_none() && slots.find(third).is_some());
        assert!(slots.named_mut(third.slot).is_some_and(|(call, _)| call == third));
        // A place is used by one call at a time.
        assert_eq!(insert(&mut slots).slot(), 2);
        assert!(slots.get(7).is_none() && slots.get_mut(7).is_none());
    }

    #[test]
    fn a_caller_that_was_told_of_the_end_finds_the_call_no_more() {
        let mut slots = Slots::new();
        let call = insert(&mut slots);
        slots.get_mut(call.slot).unwrap().caller_done = true;
        assert!(slots.find(call).is_none() && slots.find_mut(call).is_none());
        assert!(slots.get(call.slot).is_some(), "the wire is not done with it");
    }

    #[test]
    fn a_call_begins_as_new_where_another_one_stood() {
        let mut slots = Slots::new();
        let call = insert(&mut slots);
        let stream = slots.get_mut(call.slot).unwrap();
        stream.id = 1;
        (stream.want_read, stream.want_write, stream.sent_one) = (true, true, true);
        (stream.wire_done, stream.caller_done) = (true, true);
        (stream.encoding, stream.peer_encoding) = (Some(Encoding::Gzip), Some(Encoding::Gzip));
        (stream.send_window, stream.recv_window, stream.recv_target) = (-1, -2, 3);
        (stream.recv_owed, stream.loan) = (4, 5);
        stream.pending.insert(Pending::READABLE);
        stream.content_length = Some(ContentLength { expected: 6, met: 7 });
        stream.deadline = Some(Time::ZERO);
        stream.queue.push_raw("left".into());
        slots.remove(call.slot);
        let call = insert(&mut slots);
        let stream = slots.find(call).unwrap();
        assert_eq!((stream.id, stream.queue.octets(), stream.inbound.complete()), (0, 0, 0));
        assert!(!stream.want_read && !stream.want_write && !stream.sent_one);
        assert!(!stream.wire_done && !stream.caller_done && stream.pending.is_empty());
        assert_eq!((stream.encoding, stream.peer_encoding), (None, None));
        assert_eq!((stream.send_window, stream.recv_window, stream.recv_target), (10, 20, 30));
        assert_eq!((stream.recv_owed, stream.loan), (0, 0));
        assert!(stream.content_length.is_none() && stream.deadline.is_none());
    }

    #[test]
    fn shrinking_keeps_calls_and_lets_no_old_id_name_a_new_one() {
        let mut slots = Slots::new();
        let calls: Vec<CallId> = (0..50).map(|_| insert(&mut slots)).collect();
        slots.shrink();
        assert!(calls.iter().all(|call| slots.find(*call).is_some()));
        for call in &calls {
            slots.remove(call.slot);
        }
        slots.shrink();
        assert_eq!((slots.slots.capacity(), slots.free.capacity()), (slots.slots.len(), slots.free.len()));
        let next = insert(&mut slots);
        assert!(calls.iter().all(|call| slots.find(*call).is_none()) && slots.find(next).is_some());
    }
}
