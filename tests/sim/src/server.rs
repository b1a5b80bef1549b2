//! The server's caller: accepts calls, reads, answers, cancels, and records its events.

use bytes::Bytes;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallId, Event, Metadata, Misuse, Recv, Server, Time};

use crate::content::{self, CALL_KEY};
use crate::end::End;
use crate::ledger::Ledger;
use crate::program::{Answer, Program, Side};
use crate::task::Found;
use crate::tasks::{Task, Tasks, misuse, stale};
use crate::wire::{FailedProperty, Wire, breach, ensure};

/// The server's caller.
pub(crate) struct ServerCaller {
    pub(crate) tasks: Tasks,
}

impl ServerCaller {
    pub(crate) fn new(program: &Program) -> Self {
        Self { tasks: Tasks::new(program.calls.len()) }
    }

    /// Does everything that is due.
    pub(crate) fn run(
        &mut self,
        program: &Program,
        end: &mut End<Server>,
        wire: &mut Wire,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), FailedProperty> {
        for (k, ledger) in ledgers.iter_mut().enumerate() {
            self.run_call(k, program, end, wire, ledger, now)?;
        }
        Ok(())
    }

    fn run_call(
        &mut self,
        k: usize,
        program: &Program,
        end: &mut End<Server>,
        wire: &mut Wire,
        ledger: &mut Ledger,
        now: Time,
    ) -> Result<(), FailedProperty> {
        let Some(task) = self.tasks.active(k) else { return Ok(()) };
        let answer = &program.calls[k].answer;
        if task.cancels(now) {
            return cancel(k, task, end, wire, ledger);
        }
        task.send(k, end, ledger, now)?;
        if program.misuse && !ledger.server.sent.is_empty() && ledger.finished.is_none() {
            // P-32: the headers were sent with the first message.
            let late = end.core.send_headers(task.id, Metadata::new());
            let refused = matches!(late, Err(Misuse::HeadersTwice | Misuse::AfterStatus | Misuse::CallEnded));
            ensure(refused, "misuse is refused", || format!("call {k}: headers after a message: {late:?}"))?;
        }
        let found = task.read(k, end, wire, ledger, now)?;
        if let Found::End(end_of_half) = found {
            half_closed(k, task, end, ledger, &end_of_half)?;
        }
        let read = !answer.wait || ledger.server.half_closed;
        if task.sender.done && read && ledger.finished.is_none() && !ledger.server.cancelled {
            return finish(k, answer, program.misuse, task, end, wire, ledger);
        }
        Ok(())
    }

    /// Handles one event.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        end: &mut End<Server>,
        wire: &mut Wire,
        program: &Program,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), FailedProperty> {
        let (Event::Request(id) | Event::Readable(id) | Event::Writable(id) | Event::Ended(id, _)) = event
        else {
            return match event {
                Event::PeerSettings | Event::GoAway { .. } | Event::Closed(_) => Ok(()),
                other => breach("events fit the role", format!("server: {other:?}")),
            };
        };
        if let Event::Request(_) = event {
            return self.request(*id, end, program, ledgers, now);
        }
        let (k, task) = self.tasks.named(*id, event)?;
        match event {
            Event::Readable(_) => task.reader.readable(now),
            Event::Writable(_) => task.sender.writable(),
            Event::Ended(_, cause) => {
                task.over = true;
                ledgers[k].server.ended = true;
                ledgers[k].cause = Some(cause.clone());
                if let Some(stream) = wire.stream_of(k) {
                    wire.abandon(Side::Server, stream);
                }
                stale(&mut end.core, *id)
            }
            _ => Ok(()),
        }
    }

    fn request(
        &mut self,
        id: CallId,
        end: &mut End<Server>,
        program: &Program,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), FailedProperty> {
        let Ok(head) = end.core.request(id).cloned() else {
            return breach("a request has a head", format!("{id:?}"));
        };
        let k = head.metadata.get_str(CALL_KEY).and_then(|text| text.parse::<usize>().ok());
        let Some(k) = k.filter(|k| *k < program.calls.len()) else {
            return breach("metadata arrives", format!("{head:?}"));
        };
        let call = &program.calls[k];
        let mut metadata = head.metadata.clone();
        metadata.remove("user-agent");
        let expected = content::request_metadata(k, call.metadata);
        let path = format!("/sim.Service{}/Method", call.path);
        ensure(metadata == expected && head.path() == path, "metadata arrives", || format!("{head:?}"))?;
        ensure(!ledgers[k].seen, "a call is told once", || format!("call {k}"))?;
        ledgers[k].seen = true;
        let answer = &call.answer;
        let compresses = answer.encoding && end.core.set_encoding(id, Some(Encoding::Gzip)).is_ok();
        let legal = "a legal order is taken";
        if let Some(call_type) = answer.accept
            && let Err(misuse) = end.core.accept(id, call_type)
        {
            return breach(legal, format!("accept of call {k}: {misuse:?}"));
        }
        if let Some(amount) = answer.headers {
            if let Err(misuse) = end.core.send_headers(id, content::metadata(k, amount)) {
                return breach(legal, format!("headers of call {k}: {misuse:?}"));
            }
            ledgers[k].headers = true;
            let again = end.core.send_headers(id, Metadata::new());
            ensure(again == Err(Misuse::HeadersTwice), "misuse is refused", || format!("{again:?}"))?;
        }
        let mut task = Task::new(id, &answer.responses, answer.read, answer.cancel, now);
        task.compresses = compresses;
        self.tasks.add(k, task)
    }
}

fn cancel(
    k: usize,
    task: &mut Task,
    end: &mut End<Server>,
    wire: &mut Wire,
    ledger: &mut Ledger,
) -> Result<(), FailedProperty> {
    task.sender.stop();
    task.reader.done = true;
    ledger.server.cancelled = true;
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Server, stream);
    }
    match end.core.cancel(task.id) {
        Ok(()) => Ok(()),
        Err(other) => breach("a legal order is taken", format!("cancel of call {k}: {other:?}")),
    }
}

fn half_closed(
    k: usize,
    task: &Task,
    end: &mut End<Server>,
    ledger: &mut Ledger,
    found: &Recv,
) -> Result<(), FailedProperty> {
    let property = "half-close seen once, after every message";
    ensure(matches!(found, Recv::HalfClosed), property, || format!("call {k}: {found:?}"))?;
    ensure(ledger.client.half_closed && !ledger.server.half_closed, property, || {
        format!("call {k}: {ledger:?}")
    })?;
    let (sent, received) = (ledger.client.sent.len(), ledger.server.received);
    ensure(sent == received, property, || format!("call {k}: {received} of {sent} messages came"))?;
    ledger.server.half_closed = true;
    let again = end.core.recv(task.id);
    ensure(matches!(again, Ok(Recv::HalfClosed)), property, || format!("call {k}: then {again:?}"))
}

fn finish(
    k: usize,
    answer: &Answer,
    misused: bool,
    task: &mut Task,
    end: &mut End<Server>,
    wire: &mut Wire,
    ledger: &mut Ledger,
) -> Result<(), FailedProperty> {
    let (status, trailers) = (content::status(k, answer.code), content::metadata(k, answer.trailers));
    match end.core.finish(task.id, status.clone(), trailers.clone()) {
        Ok(()) => {}
        // The library has answered already, as `Event::Ended` reports.
        Err(Misuse::AfterStatus | Misuse::CallEnded | Misuse::UnknownCall) => return Ok(()),
        Err(other) => return breach("a legal order is taken", format!("finish of call {k}: {other:?}")),
    }
    task.reader.done = true;
    ledger.finished = Some((status, trailers));
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Server, stream);
    }
    if !misused {
        return Ok(());
    }
    let id = task.id;
    misuse(
        &mut end.core,
        id,
        |it| *it == Misuse::AfterStatus,
        |core| {
            let message = core.send_message(id, Bytes::from_static(b"late"), false);
            let headers = core.send_headers(id, Metadata::new());
            [message.map(drop), headers, core.finish(id, content::status(k, 0), Metadata::new())]
        },
    )
}
