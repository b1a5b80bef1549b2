//! The model: the required result of each call, given the commands. It knows the commands ([`Ledger`]) and the wire
//! ([`Wire`]), and nothing of the cores.

use halfclose::frame::ErrorCode;
use halfclose::{Cardinality, Cause, Code, Initiator, Status, Time};

use crate::client::compresses;
use crate::ledger::{Account, Ledger, SentMessage};
use crate::program::{AMPLE, Program, Side};
use crate::wire::{FailedProperty, Wire, breach, ensure};

/// Checks liveness when a core has no output: queued bytes and open windows require output.
pub(crate) fn output_flows(
    side: Side,
    wire: &Wire,
    open: Vec<usize>,
    ledgers: &[Ledger],
) -> Result<(), FailedProperty> {
    for k in open {
        let account = match side {
            Side::Client => &ledgers[k].client,
            Side::Server => &ledgers[k].server,
        };
        let half = wire.stream_of(k).and_then(|stream| wire.half(side, stream));
        let Some(half) = half.filter(|half| !half.is_closed() && !account.cancelled) else { continue };
        let ordered: u64 = account.sent.iter().map(SentMessage::wire_len).sum();
        let window = half.send_window.min(wire.credit(side).send_window);
        // A server may have answered instead of its handler and dropped the rest.
        let dropped = side == Side::Server && half.end_sent;
        ensure(half.sent >= ordered || window <= 0 || dropped, "data and open windows mean output", || {
            format!("{side:?} call {k}: {} of {ordered} bytes sent, window {window}", half.sent)
        })?;
        let ended = match side {
            Side::Client => account.half_closed,
            Side::Server => ledgers[k].finished.is_some(),
        };
        ensure(!ended || half.end_sent || half.sent < ordered, "an ordered end goes out", || {
            format!("{side:?} call {k}: {half:?}")
        })?;
    }
    Ok(())
}

/// Checks liveness: a waiting call and a free stream require output.
pub(crate) fn calls_start(
    wire: &Wire,
    open: Vec<usize>,
    ledgers: &[Ledger],
    now: Time,
) -> Result<(), FailedProperty> {
    if !wire.has_free_stream() {
        return Ok(());
    }
    for k in open {
        // The end of the call is known, and its caller has not received it.
        let over = ledgers[k].client.cancelled || ledgers[k].deadline.is_some_and(|at| at <= now);
        ensure(over || wire.stream_of(k).is_some(), "a free stream is used", || format!("call {k} waits"))?;
    }
    Ok(())
}

/// Returns whether the client received the status of the server's caller.
pub(crate) fn is_complete(ledger: &Ledger) -> bool {
    matches!((&ledger.outcome, &ledger.finished), (Some((met, _)), Some((given, _))) if met == given)
}

/// Checks the end of one call against the commands.
pub(crate) fn judge(
    k: usize,
    program: &Program,
    ledger: &Ledger,
    wire: &Wire,
    unfair: bool,
) -> Result<(), FailedProperty> {
    let case = Case { k, program, ledger, wire, unfair };
    if ledger.started.is_some() && !ledger.released {
        let Some((status, cause)) = &ledger.outcome else {
            return breach("exactly one terminal event", format!("call {k} has no outcome"));
        };
        if let Err(why) = case.client(status, cause) {
            return breach(
                "the outcome is what was ordered",
                format!("call {k}: {why}: {status:?} {cause:?}: {ledger:?}"),
            );
        }
    }
    if ledger.seen {
        let Some(cause) = &ledger.cause else {
            return breach("exactly one terminal event", format!("call {k} has no end on the server"));
        };
        if let Err(why) = case.server(cause) {
            return breach(
                "the cause is what was ordered",
                format!("call {k}: {why}: {cause:?}: {ledger:?}"),
            );
        }
    }
    Ok(())
}

struct Case<'a> {
    k: usize,
    program: &'a Program,
    ledger: &'a Ledger,
    wire: &'a Wire,
    unfair: bool,
}

type Judgement = Result<(), &'static str>;

fn require(holds: bool, why: &'static str) -> Judgement {
    if holds { Ok(()) } else { Err(why) }
}

impl Case<'_> {
    fn client(&self, status: &Status, cause: &Cause) -> Judgement {
        let ledger = self.ledger;
        // P-71: the second message is reason enough, whatever ended the call.
        if status.code == Code::Unimplemented && self.client_counts() && ledger.server.sent.len() > 1 {
            return Ok(());
        }
        match cause {
            Cause::Trailers | Cause::TrailersOnly => self.answered(status, *cause == Cause::TrailersOnly),
            Cause::Cancelled => {
                require(ledger.client.cancelled && status.code == Code::Cancelled, "nobody cancelled")
            }
            Cause::Deadline => require(
                ledger.deadline.is_some() && status.code == Code::DeadlineExceeded,
                "there was no deadline",
            ),
            Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::Remote } => {
                require(ledger.server.cancelled || ledger.deadline.is_some(), "the server did not cancel")?;
                self.whole_messages_arrived()
            }
            // Only before the server's SETTINGS have arrived, which a client does not wait for.
            Cause::Reset { code: ErrorCode::REFUSED_STREAM, by: Initiator::Remote } => require(
                !ledger.seen && status.code == Code::Unavailable,
                "the server saw a call that it refused",
            ),
            // A server compresses only with what its client offered, so the size is the only other reason.
            Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::Library } => require(
                status.code == Code::ResourceExhausted
                    && (self.too_large(Side::Client) || self.lacks_memory(Side::Client, status)),
                "the library had no reason",
            ),
            Cause::GoAway { processed, .. } => {
                require(self.unfair && status.code == Code::Unavailable, "nobody went away")?;
                require(*processed || !ledger.seen, "the server saw a call that it did not process")?;
                self.whole_messages_arrived()
            }
            Cause::NeverSent => {
                require(self.unfair && self.stream().is_none(), "it was sent, or nothing failed")
            }
            Cause::Connection => {
                require(self.unfair && status.code == Code::Unavailable, "the connection did not fail")?;
                self.whole_messages_arrived()
            }
            _ => Err("not between honest peers"),
        }
    }

    fn stream(&self) -> Option<u32> {
        self.wire.stream_of(self.k)
    }

    /// Checks a call that ended with trailers.
    fn answered(&self, status: &Status, only: bool) -> Judgement {
        let (ledger, code) = (self.ledger, status.code);
        let (client, server) = (&ledger.client, &ledger.server);
        let counts = self.client_counts();
        if let Some((given, _)) = &ledger.finished {
            let missing = self.server_answers_one() && server.sent.is_empty() && given.is_ok();
            if status == given {
                require(!(counts && given.is_ok() && server.sent.len() != 1), "the count was wrong")?;
                require(only == (server.sent.is_empty() && !ledger.headers), "Trailers-Only")?;
                // The only response of a call that fails does not count, and need not be given.
                let discarded = counts && !given.is_ok();
                let all = client.received == server.sent.len();
                return require(all || (discarded && client.received == 0), "messages were lost");
            }
            if code == Code::Internal && missing {
                return Ok(());
            }
            if code == Code::Unimplemented && counts && given.is_ok() {
                return require(server.sent.is_empty(), "the count was right");
            }
        }
        require(
            (code == Code::ResourceExhausted
                && (self.too_large(Side::Server) || self.lacks_memory(Side::Server, status)))
                || (code == Code::Unimplemented && self.server_may_count_wrong())
                || (code == Code::Unimplemented && self.unknown_request_encoding() && !ledger.seen),
            "the server did not say that",
        )
    }

    fn server(&self, cause: &Cause) -> Judgement {
        let ledger = self.ledger;
        match cause {
            Cause::Trailers => require(ledger.finished.is_some(), "no status was given"),
            Cause::TrailersOnly => require(
                ledger.finished.is_some() && ledger.server.sent.is_empty() && !ledger.headers,
                "Trailers-Only",
            ),
            Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::Remote } => require(
                ledger.client.cancelled
                    || ledger.deadline.is_some()
                    || matches!(ledger.outcome, Some((_, Cause::Reset { by: Initiator::Library, .. }))),
                "the client did not cancel",
            ),
            Cause::Reset { code: ErrorCode::CANCEL, by: Initiator::User } => {
                require(ledger.server.cancelled, "nobody cancelled")
            }
            Cause::Reset { by: Initiator::Library, .. } => require(
                self.too_large(Side::Server) || self.server_may_count_wrong() || self.is_scarce(Side::Server),
                "the library had no reason",
            ),
            Cause::Deadline => require(ledger.deadline.is_some(), "there was no deadline"),
            Cause::Connection => require(self.unfair, "the connection did not fail"),
            _ => Err("not between honest peers"),
        }
    }

    /// Checks that no event is lost before a fatal error: what arrived whole was delivered.
    fn whole_messages_arrived(&self) -> Judgement {
        let whole = self.stream().and_then(|stream| self.wire.half(Side::Client, stream));
        let whole = whole.map_or(0, |half| half.messages.whole);
        // The only message of a direction is given with the end behind it: a call that was cut must not pass for whole.
        if self.program.calls[self.k].call_type.responses == Cardinality::One {
            return require(self.ledger.client.received <= whole, "more messages were received than came");
        }
        require(self.ledger.client.received == whole, "messages that had come were lost")
    }

    /// Returns whether a message that `side` receives is over its limit.
    fn too_large(&self, side: Side) -> bool {
        let limit = self.program.tuning[side.index()].max_receive;
        let over =
            |account: &Account| account.sent.iter().any(|it| it.size + u32::from(it.compressed) > limit);
        match side {
            Side::Client => over(&self.ledger.server),
            Side::Server => over(&self.ledger.client),
        }
    }

    /// Returns whether `side` has less memory than it may need to serve every call.
    fn is_scarce(&self, side: Side) -> bool {
        self.program.tuning[side.index()].memory < AMPLE
    }

    /// Returns whether the status is the one of a side without memory.
    fn lacks_memory(&self, side: Side, status: &Status) -> bool {
        self.is_scarce(side) && status.message().starts_with("over the limit `memory`")
    }

    fn client_counts(&self) -> bool {
        self.program.calls[self.k].call_type.responses == Cardinality::One
    }

    fn server_answers_one(&self) -> bool {
        self.program.calls[self.k]
            .answer
            .accept
            .is_some_and(|call_type| call_type.responses == Cardinality::One)
    }

    fn server_may_count_wrong(&self) -> bool {
        let one = self.program.calls[self.k].answer.accept.is_some_and(|it| it.requests == Cardinality::One);
        one && self.ledger.client.sent.len() != 1
    }

    fn unknown_request_encoding(&self) -> bool {
        compresses(self.program, self.k) && !self.program.tuning[Side::Server.index()].codec
    }
}
