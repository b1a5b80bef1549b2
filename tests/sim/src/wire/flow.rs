//! Flow control, computed from the frames alone.

use halfclose::frame::{FrameHeader, MAX_WINDOW};

use super::{FailedProperty, Wire, WireEnd, ensure};
use crate::program::Side;

/// The window of RFC 9113 §6.9.2.
const DEFAULT_WINDOW: i64 = 65_535;

/// One side's view of the connection's credit.
#[derive(Clone, Debug)]
pub struct Credit {
    /// The bytes that this side may send.
    pub send_window: i64,
    /// The bytes that it has allowed its peer, less those received.
    pub recv_window: i64,
    /// The most bytes that it has allowed before any arrived.
    pub target: i64,
    /// The size to which its window may grow, if that is larger.
    pub most: i64,
    /// Bytes of DATA that it has consumed.
    pub taken: u64,
    /// The window of new streams in the peer's SETTINGS.
    pub peer_initial: i64,
    /// The window of new streams in its own SETTINGS.
    pub own_initial: i64,
}

impl Default for Credit {
    fn default() -> Self {
        Self {
            send_window: DEFAULT_WINDOW,
            recv_window: DEFAULT_WINDOW,
            target: DEFAULT_WINDOW,
            most: 0,
            taken: 0,
            peer_initial: DEFAULT_WINDOW,
            own_initial: DEFAULT_WINDOW,
        }
    }
}

impl WireEnd {
    /// Changes the windows of open streams by the difference (RFC 9113 §6.9.2).
    pub(super) fn change_initial_window(&mut self, value: u32) {
        let change = i64::from(value) - self.credit.peer_initial;
        self.credit.peer_initial = i64::from(value);
        for half in self.halves.values_mut() {
            half.send_window += change;
        }
    }
}

fn at_most_max(window: i64, whose: &str) -> Result<(), FailedProperty> {
    ensure(window <= i64::from(MAX_WINDOW), "windows never above 2^31-1", || format!("{whose}: {window}"))
}

impl Wire {
    /// Checks that DATA stays within the windows that the sender knows (RFC 9113 §5.2).
    pub(super) fn data_emitted(&mut self, from: Side, header: &FrameHeader) -> Result<(), FailedProperty> {
        let end = &mut self.ends[from.index()];
        let length = i64::from(header.length);
        end.credit.send_window -= length;
        let window = end.credit.send_window;
        ensure(window >= 0, "no DATA over the connection window", || {
            format!("{from:?}: {header:?}, {window}")
        })?;
        let Some(half) = end.halves.get_mut(&header.stream.get()) else { return Ok(()) };
        half.send_window -= length;
        half.sent += u64::from(header.length);
        half.end_sent |= header.flags.contains(halfclose::frame::Flags::END_STREAM);
        let window = half.send_window;
        // RFC 9113 §6.9.1: a frame without bytes may be sent whatever the window is.
        ensure(length == 0 || window >= 0, "no DATA over the stream window", || {
            format!("{from:?}: {header:?}, {window}")
        })
    }

    pub(super) fn credit_emitted(
        &mut self,
        from: Side,
        id: u32,
        increment: u32,
    ) -> Result<(), FailedProperty> {
        let end = &mut self.ends[from.index()];
        if id == 0 {
            let credit = &mut end.credit;
            credit.recv_window += i64::from(increment);
            if credit.taken == 0 {
                credit.target = credit.recv_window;
            }
            at_most_max(credit.recv_window, "the connection's, as allowed")?;
            let (window, most) = (credit.recv_window, credit.target.max(credit.most));
            return ensure(window <= most, "connection credit is conserved", || {
                format!("{from:?} allows {window}, more than what came and {most}")
            });
        }
        let Some(half) = end.halves.get_mut(&id) else { return Ok(()) };
        half.recv_window += i64::from(increment);
        at_most_max(half.recv_window, "a stream's, as allowed")
    }

    pub(super) fn data_consumed(
        &mut self,
        by: Side,
        header: &FrameHeader,
        data: &[u8],
    ) -> Result<(), FailedProperty> {
        let end = &mut self.ends[by.index()];
        end.credit.recv_window -= i64::from(header.length);
        end.credit.taken += u64::from(header.length);
        let Some(half) = end.halves.get_mut(&header.stream.get()) else { return Ok(()) };
        half.recv_window -= i64::from(header.length);
        half.taken += u64::from(header.length);
        half.take_data(data);
        Ok(())
    }

    pub(super) fn credit_consumed(
        &mut self,
        by: Side,
        id: u32,
        increment: u32,
    ) -> Result<(), FailedProperty> {
        let end = &mut self.ends[by.index()];
        if id == 0 {
            end.credit.send_window += i64::from(increment);
            return at_most_max(end.credit.send_window, "the connection's, as taken");
        }
        let Some(half) = end.halves.get_mut(&id) else { return Ok(()) };
        half.send_window += i64::from(increment);
        at_most_max(half.send_window, "a stream's, as taken")
    }

    /// Checks, once all output of `side` is on the wire, that the credit it owes its peer is bounded, so that none is
    /// lost.
    ///
    /// # Errors
    /// The credit that is missing.
    pub fn check_debts(&self, side: Side, memory: u64) -> Result<(), FailedProperty> {
        let end = &self.ends[side.index()];
        let credit = &end.credit;
        // Credit is returned once it reaches an eighth of a window; less than that may be owed.
        ensure(
            8 * (credit.target - credit.recv_window) < credit.target.max(1),
            "connection credit is conserved",
            || format!("{side:?} owes {} of {}", credit.target - credit.recv_window, credit.target),
        )?;
        let mut buffered = 0;
        for (id, half) in &end.halves {
            if half.is_closed() || half.end_taken.is_some() {
                continue;
            }
            let promise = half.recv_window + i64::try_from(half.unread()).unwrap_or(i64::MAX);
            ensure(2 * promise + 1 >= half.initial, "stream credit is conserved", || {
                format!("{side:?} stream {id} has {promise} of {}: {half:?}", half.initial)
            })?;
            buffered += half.unread();
        }
        ensure(buffered <= memory, "what came and was not read is within the memory that was granted", || {
            format!("{side:?} holds {buffered} of {memory}")
        })
    }
}
