//! One end of the connection: a core, its transport's buffers, and the wire observer's view of both.

use bytes::{Buf, BytesMut};
use halfclose::{Connection, ConnectionError, Needed, Role, Time};

use crate::link::Link;
use crate::program::Side;
use crate::wire::{FailedProperty, Wire, breach};

/// A core between two directions of the transport.
pub(crate) struct End<R: Role> {
    pub(crate) side: Side,
    pub(crate) core: Connection<R>,
    inbox: BytesMut,
    /// The contents of `inbox`, kept to show the observer what was consumed.
    shadow: BytesMut,
    /// Bytes that were shown to the observer and that the transport has not accepted.
    shown: usize,
    /// Whether the core reads no more until its output is accepted.
    drain: bool,
    /// Splits what arrives.
    rng: fastrand::Rng,
    resplit: bool,
    /// The error that `receive` returned.
    pub(crate) failure: Option<ConnectionError>,
    /// Whether `Event::Closed` was reported.
    pub(crate) closed: bool,
    ended: bool,
}

impl<R: Role> End<R> {
    pub(crate) fn new(side: Side, core: Connection<R>, seed: u64, resplit: bool) -> Self {
        Self {
            side,
            core,
            inbox: BytesMut::new(),
            shadow: BytesMut::new(),
            shown: 0,
            drain: false,
            rng: fastrand::Rng::with_seed(seed),
            resplit,
            failure: None,
            closed: false,
            ended: false,
        }
    }

    /// Shows the observer what the core has written since the last time.
    fn show(&mut self, now: Time, wire: &mut Wire) -> Result<(), FailedProperty> {
        if let Some(transmit) = self.core.poll_transmit(now) {
            let mut skip = self.shown;
            let mut slices = [std::io::IoSlice::new(&[]); 64];
            let count = transmit.chunks_vectored(&mut slices);
            let mut visible = 0;
            for slice in &slices[..count] {
                visible += slice.len();
                let new = slice.get(skip..).unwrap_or_default();
                skip = skip.saturating_sub(slice.len());
                wire.emitted(self.side, new)?;
            }
            self.shown = self.shown.max(visible);
        }
        wire.polled(self.side);
        Ok(())
    }

    /// Gives the transport what it accepts. Returns whether anything moved.
    pub(crate) fn pump(
        &mut self,
        now: Time,
        link: &mut Link,
        wire: &mut Wire,
    ) -> Result<bool, FailedProperty> {
        let mut moved = false;
        loop {
            self.show(now, wire)?;
            let room = link.room().min(self.shown);
            if room == 0 {
                break;
            }
            let Some(mut transmit) = self.core.poll_transmit(now) else { break };
            let bytes = transmit.copy_to_bytes(room.min(transmit.remaining()));
            self.shown -= bytes.len();
            link.send(now, bytes.to_vec());
            moved = true;
        }
        if self.shown == 0 {
            if self.core.is_closed() && !self.core.wants_transmit() {
                link.end(now);
            }
            if self.drain {
                self.drain = false;
                self.read(now, wire)?;
                moved = true;
            }
        }
        Ok(moved)
    }

    /// Returns whether the transport has accepted all output of the core.
    pub(crate) fn is_drained(&self) -> bool {
        self.shown == 0 && !self.core.wants_transmit()
    }

    /// Receives bytes.
    pub(crate) fn arrive(&mut self, now: Time, bytes: &[u8], wire: &mut Wire) -> Result<(), FailedProperty> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = rest.len();
            let step = if self.resplit { self.rng.usize(1..=most.min(40_000)) } else { most };
            let (piece, after) = rest.split_at(step);
            self.inbox.extend_from_slice(piece);
            self.shadow.extend_from_slice(piece);
            rest = after;
            if !self.drain {
                self.read(now, wire)?;
            }
        }
        Ok(())
    }

    /// Ends the transport.
    pub(crate) fn end(&mut self, now: Time, wire: &mut Wire) -> Result<(), FailedProperty> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        // The remaining bytes are read first, because a transport delivers its bytes before its end.
        for _ in 0..10_000 {
            self.read(now, wire)?;
            if !self.drain {
                break;
            }
            // The replies are no longer accepted.
            self.show(now, wire)?;
            if let Some(mut transmit) = self.core.poll_transmit(now) {
                let all = transmit.remaining();
                transmit.advance(all);
            }
            self.shown = 0;
        }
        self.core.receive_eof(now);
        Ok(())
    }

    fn read(&mut self, now: Time, wire: &mut Wire) -> Result<(), FailedProperty> {
        self.drain = false;
        loop {
            let result = self.core.receive(now, &mut self.inbox);
            let taken = self.shadow.split_to(self.shadow.len() - self.inbox.len());
            match result {
                Ok(needed) => {
                    wire.consumed(self.side, &taken)?;
                    match needed {
                        Needed::Again if !taken.is_empty() => {}
                        Needed::Again => return breach("a turn makes progress", format!("{:?}", self.side)),
                        Needed::Drain => {
                            self.drain = true;
                            return Ok(());
                        }
                        _ => return Ok(()),
                    }
                }
                Err(error) => {
                    if self.failure.is_none() && !self.closed {
                        let property = "an honest peer breaks no rule";
                        if let ConnectionError::Violation(halfclose::Violation::Timeout(_)) = &error {
                        } else if let ConnectionError::Violation(violation) = &error {
                            return breach(property, format!("{:?} says: {violation}", self.side));
                        }
                    }
                    self.failure = Some(error);
                    return Ok(());
                }
            }
        }
    }
}
