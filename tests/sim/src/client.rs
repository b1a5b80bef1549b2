//! The client's caller: starts calls, sends, reads, cancels, and records its events.

use bytes::Bytes;
use halfclose::grpc::encoding::Encoding;
use halfclose::{Client, Event, Metadata, Misuse, Outcome, Recv, Request, Time};

use crate::content;
use crate::end::End;
use crate::ledger::Ledger;
use crate::program::{Program, Side};
use crate::task::Found;
use crate::tasks::{Task, Tasks, misuse, stale};
use crate::wire::{FailedProperty, Wire, breach, ensure};

/// The client's caller.
pub(crate) struct ClientCaller {
    pub(crate) tasks: Tasks,
    not_started: Vec<bool>,
}

impl ClientCaller {
    pub(crate) fn new(program: &Program) -> Self {
        let count = program.calls.len();
        Self { tasks: Tasks::new(count), not_started: vec![true; count] }
    }

    pub(crate) fn wake(&self, program: &Program) -> Option<Time> {
        let starts = (program.calls.iter().zip(&self.not_started)).filter(|(_, waits)| **waits);
        starts.map(|(call, _)| Time::ZERO + call.start).chain(self.tasks.wake()).min()
    }

    /// Does everything that is due.
    pub(crate) fn run(
        &mut self,
        program: &Program,
        end: &mut End<Client>,
        wire: &mut Wire,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), FailedProperty> {
        for (k, ledger) in ledgers.iter_mut().enumerate() {
            if self.not_started[k] && Time::ZERO + program.calls[k].start <= now {
                self.not_started[k] = false;
                self.start(k, program, end, ledger, now)?;
            }
            self.run_call(k, program, end, wire, ledger, now)?;
        }
        Ok(())
    }

    fn start(
        &mut self,
        k: usize,
        program: &Program,
        end: &mut End<Client>,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<(), FailedProperty> {
        let call = &program.calls[k];
        let mut request = Request::new(path(call.path), call.call_type);
        request.metadata = content::request_metadata(k, call.metadata);
        request.deadline = call.deadline.map(|deadline| now + deadline);
        request.encoding = compresses(program, k).then_some(Encoding::Gzip);
        ledger.deadline = request.deadline;
        let id = match end.core.start(now, request) {
            Ok(id) => id,
            Err(Misuse::GoingAway | Misuse::Closed) => return Ok(()),
            Err(other) => return breach("a legal order is taken", format!("start of call {k}: {other:?}")),
        };
        ledger.started = Some(now);
        let mut task = Task::new(id, &call.requests, call.read, call.cancel, now);
        task.compresses = compresses(program, k);
        self.tasks.add(k, task)
    }

    fn run_call(
        &mut self,
        k: usize,
        program: &Program,
        end: &mut End<Client>,
        wire: &mut Wire,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<(), FailedProperty> {
        let Some(task) = self.tasks.active(k) else { return Ok(()) };
        if task.send(k, end, ledger, now)? {
            match end.core.half_close(task.id) {
                Ok(()) => ledger.client.half_closed = true,
                Err(Misuse::CallEnded) => {}
                Err(other) => {
                    return breach("a legal order is taken", format!("half-close of {k}: {other:?}"));
                }
            }
        }
        if program.misuse && task.sender.done {
            let late = |it: &Misuse| matches!(it, Misuse::AfterHalfClose | Misuse::CallEnded);
            let id = task.id;
            misuse(&mut end.core, id, late, |core| {
                let message = core.send_message(id, Bytes::from_static(b"late"), false);
                [message.map(drop), core.half_close(id)]
            })?;
        }
        if task.cancels(now) {
            return cancel(k, program.calls[k].release, task, end, wire, ledger);
        }
        match task.read(k, end, wire, ledger, now)? {
            Found::Idle => Ok(()),
            Found::End(Recv::End(outcome)) => over(k, task, end, wire, ledger, outcome),
            Found::End(other) => breach("a client's call ends with an outcome", format!("{other:?}")),
        }
    }

    /// Handles one event.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        end: &End<Client>,
        wire: &Wire,
        program: &Program,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), FailedProperty> {
        let (Event::Response(id) | Event::Readable(id) | Event::Writable(id)) = event else {
            return match event {
                Event::PeerSettings | Event::GoAway { .. } | Event::Closed(_) => Ok(()),
                other => breach("events fit the role", format!("client: {other:?}")),
            };
        };
        let (k, task) = self.tasks.named(*id, event)?;
        match event {
            Event::Response(_) => {
                ensure(!ledgers[k].response, "response headers are told once", || format!("call {k}"))?;
                ledgers[k].response = true;
                let expected = content::metadata(k, program.calls[k].answer.headers.unwrap_or(0));
                let met = end.core.response(*id).map(|head| head.metadata.clone());
                ensure(met.as_ref() == Some(&expected), "initial metadata arrives", || {
                    format!("call {k}: {met:?}")
                })
            }
            Event::Readable(_) => {
                let half = wire.stream_of(k).and_then(|stream| wire.half(Side::Client, stream));
                // What arrives after a call's end is ignored.
                let over = ledgers[k].client.cancelled || ledgers[k].deadline.is_some_and(|at| at <= now);
                let head = half.is_some_and(|half| half.headers_taken) && !over;
                ensure(
                    ledgers[k].response || !head,
                    "events come in the order in which they happened",
                    || format!("call {k}: Readable before Response"),
                )?;
                task.reader.readable(now)
            }
            _ => task.sender.writable(),
        }
    }
}

fn path(number: u8) -> Bytes {
    format!("/sim.Service{number}/Method").into()
}

/// Returns whether the client's messages may be compressed.
pub(crate) fn compresses(program: &Program, k: usize) -> bool {
    program.calls[k].encoding && program.tuning[Side::Client.index()].codec
}

fn cancel(
    k: usize,
    release: bool,
    task: &mut Task,
    end: &mut End<Client>,
    wire: &mut Wire,
    ledger: &mut Ledger,
) -> Result<(), FailedProperty> {
    ledger.client.cancelled = true;
    task.sender.stop();
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Client, stream);
    }
    if release {
        end.core.release(task.id);
        ledger.released = true;
        task.over = true;
        return stale(&mut end.core, task.id);
    }
    match end.core.cancel(task.id) {
        Ok(()) => Ok(()),
        Err(other) => breach("a legal order is taken", format!("cancel of call {k}: {other:?}")),
    }
}

fn over(
    k: usize,
    task: &mut Task,
    end: &mut End<Client>,
    wire: &mut Wire,
    ledger: &mut Ledger,
    outcome: Outcome,
) -> Result<(), FailedProperty> {
    ensure(ledger.outcome.is_none(), "exactly one terminal event", || format!("call {k}: {outcome:?}"))?;
    task.over = true;
    ledger.client.ended = true;
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Client, stream);
    }
    let trailers: &Metadata = &outcome.trailers;
    if let Some((status, metadata)) = &ledger.finished
        && outcome.status == *status
    {
        ensure(trailers == metadata, "trailing metadata arrives", || format!("call {k}: {trailers:?}"))?;
    }
    ledger.outcome = Some((outcome.status, outcome.cause));
    stale(&mut end.core, task.id)
}
