//! The state of one HTTP/2 connection, its construction and its preface.
//!
//! The engine is not generic over the role: the state tables and the [`Side`] of a stream decide what differs between
//! client and server. The modules beside this one hold the rest of its methods; the table in `http2/mod.rs` lists
//! them.

use std::sync::Arc;

use super::abuse::AbuseLimits;
use super::bdp::PathEstimate;
use super::block_reader::{BlockReader, OpenBlock};
use super::block_writer::BlockWriter;
use super::deadlines::DeadlineHeap;
use super::events::EventQueue;
use super::ids::{ClosedIds, IdTable};
use super::memory::Ledger;
use super::outbox::Outbox;
use super::output_limits::Output;
use super::peer_settings::PeerSettings;
use super::poll::PollState;
use super::queues::{SlotQueue, SlotQueues};
use super::replies::Replies;
use super::role::RoleKind;
use super::shortage::Silence;
use super::slots::Slots;
use super::timers::Clock;
use crate::config::{Config, Seed};
use crate::error::{CloseReason, ConnectionError};
use crate::frame::{
    DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW, PREFACE, Setting, SettingId, WindowUpdate, write_settings,
};
use crate::grpc::arena::Arena;
use crate::grpc::headers::check_authority;
use crate::grpc::metadata::Metadata;
use crate::machine::{Lifecycle, LifecycleInput, Step, Wire};
use crate::time::Time;
use crate::types::ConnectionTag;

/// The queue of calls that have something to send.
pub(super) const READY: u8 = 0;
/// The queue of client calls that wait for a stream ([P-19](crate::manual::rules#p-19)).
pub(super) const WAITING: u8 = 1;
/// The queue of calls whose DATA waits for the connection's window.
pub(super) const STARVED: u8 = 2;

/// One HTTP/2 connection, client or server.
pub(crate) struct Engine {
    pub(super) role: RoleKind,
    pub(super) config: Config,
    /// Whether the `:authority` in `config` may be sent.
    pub(super) authority_is_valid: bool,
    pub(super) now: Time,

    // Receiving.
    pub(super) wire: Wire,
    pub(super) preface_met: usize,
    /// Work of this turn beyond reading its frames, in bytes.
    pub(super) work: usize,
    pub(super) turn: PollState,
    pub(super) open_block: Option<OpenBlock>,
    pub(super) reader: BlockReader,
    pub(super) arena: Arena,
    pub(super) abuse: AbuseLimits,

    // Sending.
    pub(super) outbox: Outbox,
    pub(super) output: Output,
    pub(super) writer: BlockWriter,
    pub(super) replies: Replies,
    /// `outbox.written()` when reading stopped because too much output waited; `None` when it has not.
    pub(super) unread_since: Option<u64>,

    // The calls.
    pub(super) slots: Slots,
    pub(super) ids: IdTable,
    pub(super) closed_ids: ClosedIds,
    /// Streams that have an id and have not ended on the wire.
    pub(super) open_streams: u32,
    /// Client calls without a stream id: those that wait for one, and those whose request is about to be written.
    pub(super) queued_calls: u32,
    pub(super) last_remote_id: u32,
    pub(super) next_local_id: u32,
    /// The queues of calls with something to send: [`READY`], [`WAITING`], [`STARVED`].
    pub(super) queues: SlotQueues<3>,
    /// Calls whose partly received message waits for memory.
    pub(super) short: SlotQueue,
    /// Events that the caller has not polled yet.
    pub(super) events: EventQueue,

    // Flow control.
    pub(super) send_window: i64,
    pub(super) recv_window: i64,
    pub(super) recv_owed: u32,
    pub(super) ledger: Ledger,
    /// What windows let in, while messages are promised their rest one after the other.
    pub(super) windows: Option<u64>,
    /// Bytes that came and are owed to the peer no longer.
    pub(super) credited: u64,
    /// Since when nothing moves, while memory is short.
    pub(super) silence: Silence,
    /// The measurement of the path, and how far windows may grow for it.
    pub(super) path: PathEstimate,
    /// What it took to decompress the messages that were received, in the unit of `Decompression::work`.
    pub(super) decompressed: u64,

    // The connection itself.
    pub(super) peer: PeerSettings,
    pub(super) unacked_settings: u32,
    pub(super) lifecycle: Lifecycle,
    /// Server: streams above this id were started too late, after our GOAWAY, and are ignored.
    pub(super) accept_limit: u32,
    pub(super) peer_goaway: Option<u32>,
    pub(super) clock: Clock,
    pub(super) deadlines: DeadlineHeap,
    /// The empty metadata that all outcomes without trailing metadata share.
    pub(super) no_metadata: Arc<Metadata>,
    pub(super) close_reason: Option<CloseReason>,
    /// The error of a failed connection, returned again to callers that keep feeding it.
    pub(crate) failure: Option<ConnectionError>,
    /// Whether the transport ended in the middle of a frame or a call.
    pub(super) cut_short: bool,
    /// The peer's GOAWAY with an error code, which explains the end of the transport that follows it.
    pub(super) goaway_error: Option<ConnectionError>,
}

impl Engine {
    pub(crate) fn new(role: RoleKind, config: Config, seed: Seed, now: Time) -> Self {
        let config = config.in_range(role == RoleKind::Client);
        let limits = config.limits;
        let no_metadata = Arc::default();
        let mut engine = Self {
            role,
            authority_is_valid: check_authority(&config.authority).is_ok(),
            now,
            wire: Wire::AwaitSettings,
            preface_met: 0,
            work: 0,
            turn: PollState::new(),
            open_block: None,
            reader: BlockReader::new(&limits),
            arena: Arena::new(),
            abuse: AbuseLimits::new(&config),
            outbox: Outbox::default(),
            output: Output::of(&config),
            writer: BlockWriter::new(&limits),
            replies: Replies::default(),
            unread_since: None,
            slots: Slots::new(role, tag_of(&no_metadata, role, seed, now)),
            ids: IdTable::default(),
            closed_ids: ClosedIds::default(),
            open_streams: 0,
            queued_calls: 0,
            last_remote_id: 0,
            next_local_id: 1,
            queues: SlotQueues::new(),
            short: SlotQueue::new(),
            events: EventQueue::default(),
            send_window: i64::from(DEFAULT_WINDOW),
            recv_window: i64::from(DEFAULT_WINDOW),
            recv_owed: 0,
            ledger: Ledger::new(&limits),
            windows: None,
            credited: 0,
            silence: Silence::default(),
            path: PathEstimate::new(&config, now),
            decompressed: 0,
            peer: PeerSettings::default(),
            unacked_settings: 0,
            lifecycle: Lifecycle::Running,
            accept_limit: u32::MAX,
            peer_goaway: None,
            clock: Clock::new(role, &config, seed, now),
            deadlines: DeadlineHeap::default(),
            no_metadata,
            close_reason: None,
            failure: None,
            cut_short: false,
            goaway_error: None,
            config,
        };
        engine.write_preface();
        engine
    }

    /// Writes our side of RFC 9113 §3.4: a client's preface, SETTINGS, and a WINDOW_UPDATE that raises the
    /// connection's window.
    fn write_preface(&mut self) {
        let limits = &self.config.limits;
        let mut settings = Vec::with_capacity(6);
        let mut set = |id, value, default| {
            if value != default {
                settings.push(Setting { id, value });
            }
        };
        if self.role == RoleKind::Client {
            set(SettingId::ENABLE_PUSH, 0, 1);
        } else {
            set(SettingId::MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams, u32::MAX);
        }
        set(SettingId::HEADER_TABLE_SIZE, limits.decoder_table, 4_096);
        set(SettingId::INITIAL_WINDOW_SIZE, self.config.initial_stream_window, DEFAULT_WINDOW);
        set(SettingId::MAX_FRAME_SIZE, limits.max_frame_size, DEFAULT_MAX_FRAME_SIZE);
        set(SettingId::MAX_HEADER_LIST_SIZE, limits.max_header_list, u32::MAX);

        let out = self.outbox.buf();
        if self.role == RoleKind::Client {
            out.extend_from_slice(PREFACE);
        }
        if write_settings(&settings, out).is_ok() {
            self.unacked_settings = 1;
        }
        let more = self.config.connection_window.saturating_sub(DEFAULT_WINDOW);
        if more > 0 {
            WindowUpdate { stream: crate::frame::StreamId::ZERO, increment: more }.write(out);
            self.recv_window += i64::from(more);
        }
    }

    // Time never runs backwards, whatever the caller passes.
    #[inline]
    pub(super) fn advance_clock(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Checks what must hold after every step, in builds with debug assertions.
    #[inline]
    pub(super) fn audit(&self) {
        #[cfg(debug_assertions)]
        {
            self.audit_memory();
            self.audit_waiting();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lifecycle == Lifecycle::Closed
    }

    pub(crate) fn is_running(&self) -> bool {
        self.lifecycle == Lifecycle::Running
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.slots.live() == 0
    }

    /// Returns whether no call has a stream or waits for one.
    pub(super) const fn has_no_calls(&self) -> bool {
        self.open_streams == 0 && self.queued_calls == 0
    }

    /// Frees caches and spare capacity. The HPACK tables stay, because the peer refers to them.
    pub(crate) fn shrink(&mut self) {
        self.outbox.shrink();
        self.arena.shrink();
        self.reader.shrink(&self.config.limits);
        self.writer.shrink();
        self.slots.shrink();
        self.ids.shrink();
        self.deadlines.shrink();
        self.queues.shrink();
        self.short.shrink();
        self.events.shrink();
    }

    /// Applies an input to the lifecycle.
    pub(super) fn lifecycle(&mut self, input: LifecycleInput) {
        if let Step::To(next) = self.lifecycle.step(input) {
            self.lifecycle = next;
        }
    }

    /// Closes a draining connection once its last call has ended.
    #[inline]
    pub(super) fn check_drained(&mut self) {
        if self.lifecycle == Lifecycle::Draining && self.has_no_calls() {
            self.close_drained();
        }
    }

    #[cold]
    fn close_drained(&mut self) {
        self.lifecycle(LifecycleInput::Drained);
        self.close_reason = Some(self.reason_of_end());
        self.clock.stop();
    }

    /// Returns the error of a failed connection, for callers that keep feeding it.
    pub(super) fn failure(&self) -> Option<ConnectionError> {
        self.failure.clone()
    }
}

/// Returns what tells a connection from others. No two that exist at the same time with the same seed have the same place
/// in memory, and where another seed or another time would make up for that is one chance in 2^32. Nothing but ids of
/// other connections is ever compared with it.
fn tag_of(place: &Arc<Metadata>, role: RoleKind, seed: Seed, now: Time) -> ConnectionTag {
    // A mixing step as of splitmix64: every bit of the seed matters.
    let side = u64::from(role == RoleKind::Client);
    let mixed = (seed.0 ^ now.as_nanos().rotate_left(32) ^ side).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let place = Arc::as_ptr(place).addr() as u64 >> 4;
    // The lower half of both.
    ConnectionTag(((mixed >> 32) ^ place) as u32)
}
