//! The server's caller: takes calls, reads, answers, cancels, and notes what it is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use halfclose::grpc::encoding::Encoding;
use halfclose::{CallId, Event, Metadata, Misuse, Recv, Server, Time};

use crate::content::{self, CALL_KEY};
use crate::end::End;
use crate::ledger::Ledger;
use crate::program::{Answer, Program, Side};
use crate::task::{Found, Reader, Sender, check_message};
use crate::wire::{Breach, Wire, breach, ensure};

struct Task {
    id: CallId,
    sender: Sender,
    reader: Reader,
    cancel: Option<Time>,
    compresses: bool,
    over: bool,
}

/// The server's caller.
pub(crate) struct ServerCaller {
    tasks: Vec<Option<Task>>,
    calls: BTreeMap<CallId, usize>,
}

impl ServerCaller {
    pub(crate) fn new(program: &Program) -> Self {
        Self { tasks: program.calls.iter().map(|_| None).collect(), calls: BTreeMap::new() }
    }

    pub(crate) fn wake(&self) -> Option<Time> {
        let tasks = self.tasks.iter().flatten().filter(|task| !task.over);
        tasks.flat_map(|task| [task.sender.wake(), task.reader.wake(), task.cancel]).flatten().min()
    }

    /// Calls that were told and whose end has not been.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> {
        self.tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.as_ref().is_some_and(|it| !it.over))
            .map(|(k, _)| k)
    }

    /// Does all that is due.
    pub(crate) fn run(
        &mut self,
        program: &Program,
        end: &mut End<Server>,
        wire: &mut Wire,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), Breach> {
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
    ) -> Result<(), Breach> {
        let Some(task) = self.tasks[k].as_mut().filter(|task| !task.over) else { return Ok(()) };
        let answer = &program.calls[k].answer;
        if task.cancel.is_some_and(|at| at <= now) {
            task.cancel = None;
            task.sender.stop();
            task.reader.done = true;
            ledger.server.cancelled = true;
            if let Some(stream) = wire.stream_of(k) {
                wire.abandon(Side::Server, stream);
            }
            return match end.core.cancel(task.id) {
                Ok(()) => Ok(()),
                Err(other) => breach("a legal order is taken", format!("cancel of call {k}: {other:?}")),
            };
        }
        let call = (k, task.id);
        task.sender.run(&mut end.core, call, Side::Server, task.compresses, &mut ledger.server, now)?;
        if program.misuse && !ledger.server.sent.is_empty() && ledger.finished.is_none() {
            // P-32: they went with the first message.
            let late = end.core.send_headers(task.id, Metadata::new());
            let refused = matches!(late, Err(Misuse::HeadersTwice | Misuse::AfterStatus | Misuse::CallEnded));
            ensure(refused, "misuse is refused", || format!("call {k}: headers after a message: {late:?}"))?;
        }
        let Ledger { client, server, .. } = ledger;
        let found = task.reader.run(&mut end.core, task.id, now, |message| {
            ensure(!server.half_closed, "no message after the half-close", || format!("call {k}"))?;
            let sent = check_message(k, Side::Client, client, server.received, &message)?;
            server.received += 1;
            if let Some(stream) = wire.stream_of(k) {
                wire.read(Side::Server, stream, sent.wire_len());
            }
            Ok(())
        })?;
        if let Found::End(end_of_half) = found {
            half_closed(k, task, end, ledger, &end_of_half)?;
        }
        let read = !answer.wait || ledger.server.half_closed;
        if task.sender.done && read && ledger.finished.is_none() && !ledger.server.cancelled {
            return finish(k, answer, program.misuse, task, end, wire, ledger);
        }
        Ok(())
    }

    /// Takes one event.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        end: &mut End<Server>,
        wire: &mut Wire,
        program: &Program,
        ledgers: &mut [Ledger],
        now: Time,
    ) -> Result<(), Breach> {
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
        let property = "nothing after the end of a call";
        let Some(&k) = self.calls.get(id) else { return breach("events name calls", format!("{event:?}")) };
        let Some(task) = self.tasks[k].as_mut() else { return breach(property, format!("{event:?}")) };
        ensure(!task.over, property, || format!("call {k}: {event:?}"))?;
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
                let refused =
                    [end.core.recv(*id).map(drop), end.core.cancel(*id), end.core.states(*id).map(drop)];
                ensure(
                    refused.iter().all(|it| *it == Err(Misuse::UnknownCall)),
                    "a stale id is refused",
                    || format!("{id:?}: {refused:?}"),
                )
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
    ) -> Result<(), Breach> {
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
        self.calls.insert(id, k);
        let answer = &call.answer;
        let compresses = answer.encoding && end.core.set_encoding(id, Some(Encoding::Gzip)).is_ok();
        let legal = "a legal order is taken";
        if let Some(shape) = answer.accept
            && let Err(misuse) = end.core.accept(id, shape)
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
        self.tasks[k] = Some(Task {
            id,
            sender: Sender::new(&answer.responses, now),
            reader: Reader::new(answer.read, now),
            cancel: answer.cancel.map(|after| now + after),
            compresses,
            over: false,
        });
        Ok(())
    }
}

fn half_closed(
    k: usize,
    task: &Task,
    end: &mut End<Server>,
    ledger: &mut Ledger,
    found: &Recv,
) -> Result<(), Breach> {
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
    misuse: bool,
    task: &mut Task,
    end: &mut End<Server>,
    wire: &mut Wire,
    ledger: &mut Ledger,
) -> Result<(), Breach> {
    let (status, trailers) = (content::status(k, answer.code), content::metadata(k, answer.trailers));
    match end.core.finish(task.id, status.clone(), trailers.clone()) {
        Ok(()) => {}
        // The library has answered already; `Event::Ended` says so.
        Err(Misuse::AfterStatus | Misuse::CallEnded | Misuse::UnknownCall) => return Ok(()),
        Err(other) => return breach("a legal order is taken", format!("finish of call {k}: {other:?}")),
    }
    task.reader.done = true;
    ledger.finished = Some((status, trailers));
    if let Some(stream) = wire.stream_of(k) {
        wire.abandon(Side::Server, stream);
    }
    if misuse {
        let before = (end.core.states(task.id), end.core.wants_transmit(), end.core.poll_timeout());
        let refused = [
            end.core.send_message(task.id, Bytes::from_static(b"late"), false).map(drop),
            end.core.send_headers(task.id, Metadata::new()),
            end.core.finish(task.id, content::status(k, 0), Metadata::new()),
        ];
        let after = (end.core.states(task.id), end.core.wants_transmit(), end.core.poll_timeout());
        let expected = refused.iter().all(|it| *it == Err(Misuse::AfterStatus));
        return ensure(expected && before == after, "misuse never changes state", || format!("{refused:?}"));
    }
    Ok(())
}
