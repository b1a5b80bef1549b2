//! The applications at both ends: each sends everything as soon as it may, and receives everything that arrives.

use std::collections::BTreeMap;

use bytes::Bytes;
use halfclose::{
    CallId, Cause, Client, Code, Connection, Event, Metadata, Misuse, Outcome, Recv, Request, Role, Sent,
    Server, Status, Time,
};

use super::App;
use super::plan::{CallPlan, Ending, Plan};
use crate::wire::{FailedProperty, breach, ensure};

/// What an application has seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Messages received.
    pub messages: usize,
    /// Calls that ended complete.
    pub whole: usize,
    /// Calls that ended otherwise.
    pub cut: usize,
}

/// One end's record of a call.
struct Talk {
    index: usize,
    /// Sizes still to send, the next one last.
    to_send: Vec<usize>,
    asks: bool,
    received: Vec<usize>,
    /// Whether nothing more can or will be sent.
    sent_all: bool,
}

impl Talk {
    fn new(index: usize, sizes: &[usize], asks: bool) -> Self {
        let to_send = sizes.iter().rev().copied().collect();
        Self { index, to_send, asks, received: Vec::new(), sent_all: false }
    }

    /// Sends what there is buffer space for. Returns whether everything is sent now.
    fn send<R: Role>(&mut self, core: &mut Connection<R>, call: CallId) -> Result<bool, FailedProperty> {
        while let Some(size) = self.to_send.last().copied() {
            if self.asks {
                match core.want_write(call) {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(error) => return self.stop(&error),
                }
            }
            match core.send_message(call, Bytes::from(vec![7; size]), false) {
                Ok(sent) => {
                    self.to_send.pop();
                    if sent == Sent::Full && !self.to_send.is_empty() && !self.asks {
                        return Ok(false);
                    }
                }
                Err(Misuse::NotWritable { .. }) if !self.asks => return Ok(false),
                Err(error) => return self.stop(&error),
            }
        }
        Ok(!std::mem::replace(&mut self.sent_all, true))
    }

    fn stop(&mut self, error: &Misuse) -> Result<bool, FailedProperty> {
        self.to_send.clear();
        self.sent_all = true;
        match error {
            Misuse::AfterStatus | Misuse::CallEnded | Misuse::UnknownCall => Ok(false),
            other => breach("a legal command is taken", format!("call {}: {other:?}", self.index)),
        }
    }

    /// Receives everything that has arrived. Returns what follows the last message.
    fn take<R: Role>(&mut self, core: &mut Connection<R>, call: CallId) -> Option<Recv> {
        loop {
            match core.recv(call).ok()? {
                Recv::Message(message) => self.received.push(message.payload.len()),
                Recv::Pending => return None,
                end => return Some(end),
            }
        }
    }
}

/// The client's application.
pub(super) struct ClientApp {
    plans: Vec<CallPlan>,
    /// Calls to start.
    to_start: usize,
    talks: BTreeMap<CallId, Talk>,
    /// Times of the cancels that are still due.
    cancels: BTreeMap<CallId, Time>,
    ends: BTreeMap<usize, (Outcome, Vec<usize>)>,
    shut: bool,
}

impl ClientApp {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            plans: plan.calls.clone(),
            to_start: 0,
            talks: BTreeMap::new(),
            cancels: BTreeMap::new(),
            ends: BTreeMap::new(),
            shut: false,
        }
    }

    /// Returns the calls that have not ended.
    pub(super) fn open(&self) -> Vec<usize> {
        self.talks.values().map(|talk| talk.index).collect()
    }

    pub(super) fn tally(&self) -> Tally {
        let whole = self.ends.values().filter(|(outcome, _)| outcome.status.code == Code::Ok).count();
        let messages = self.ends.values().map(|(_, received)| received.len()).sum();
        Tally { messages, whole, cut: self.ends.len() - whole }
    }

    /// Checks that every call ended as planned, and with every message if it ended complete.
    pub(super) fn judge(&self, plan: &Plan) -> Result<(), FailedProperty> {
        for (index, call) in plan.calls.iter().enumerate() {
            let Some((outcome, received)) = self.ends.get(&index) else {
                return breach("every call ends", format!("call {index}"));
            };
            let code = outcome.status.code;
            if outcome.not_processed() {
                // Started before the server's SETTINGS had arrived (P-19).
                continue;
            }
            if plan.is_short_of_memory() && code == Code::ResourceExhausted {
                continue;
            }
            let fits = match call.ending {
                Ending::Whole => code == Code::Ok && *received == call.responses,
                Ending::Cancel(_) => matches!(code, Code::Ok | Code::Cancelled),
                Ending::Early(_) => matches!(code, Code::Ok | Code::OutOfRange),
                Ending::Abort(_) => matches!(code, Code::Ok | Code::Cancelled),
                Ending::Deadline(_) => matches!(code, Code::Ok | Code::DeadlineExceeded),
            };
            ensure(fits, "a call ends as ordered", || format!("{index} {call:?}: {outcome:?} {received:?}"))?;
        }
        Ok(())
    }

    fn start(&mut self, core: &mut Connection<Client>, now: Time) -> Result<(), FailedProperty> {
        while let Some(plan) = self.plans.get(self.to_start) {
            let mut request = Request::new(format!("/pipes/{}", self.to_start), CallPlan::SHAPE);
            if let Ending::Deadline(after) = plan.ending {
                request.deadline = Some(Time::ZERO + after);
            }
            let talk = Talk::new(self.to_start, &plan.requests, !plan.asks);
            let call = core.start(now, request).map_err(|error| refused(&error))?;
            if let Ending::Cancel(after) = plan.ending {
                self.cancels.insert(call, Time::ZERO + after);
            }
            self.talks.insert(call, talk);
            self.to_start += 1;
            self.go_on(core, call)?;
        }
        Ok(())
    }

    fn go_on(&mut self, core: &mut Connection<Client>, call: CallId) -> Result<(), FailedProperty> {
        let Some(talk) = self.talks.get_mut(&call) else { return Ok(()) };
        if talk.send(core, call)? {
            // Refused only if the call is over, and then its end follows.
            let _ = core.half_close(call);
        }
        if let Some(Recv::End(outcome)) = talk.take(core, call)
            && let Some(talk) = self.talks.remove(&call)
        {
            self.cancels.remove(&call);
            self.ends.insert(talk.index, (outcome, talk.received));
        }
        Ok(())
    }
}

fn refused(error: &Misuse) -> FailedProperty {
    FailedProperty { property: "a legal command is taken", detail: format!("{error:?}") }
}

impl App<Client> for ClientApp {
    fn on_event(&mut self, core: &mut Connection<Client>, event: Event) -> Result<(), FailedProperty> {
        match event {
            Event::Readable(call) | Event::Writable(call) | Event::Response(call) => self.go_on(core, call),
            _ => Ok(()),
        }
    }

    fn act(&mut self, core: &mut Connection<Client>, now: Time) -> Result<Option<Time>, FailedProperty> {
        self.start(core, now)?;
        let due: Vec<CallId> =
            self.cancels.iter().filter(|(_, at)| **at <= now).map(|(call, _)| *call).collect();
        for call in due {
            self.cancels.remove(&call);
            core.cancel(call).map_err(|error| refused(&error))?;
            self.go_on(core, call)?;
        }
        if self.talks.is_empty() && !self.shut {
            self.shut = true;
            core.shutdown(now);
        }
        // Deadlines are the connection's timers, and this application waits for them.
        let deadlines = self.talks.keys().filter_map(|call| core.deadline(*call));
        Ok(self.cancels.values().copied().chain(deadlines.map(|at| at.max(now))).min())
    }
}

/// The server's application.
pub(super) struct ServerApp {
    plans: Vec<CallPlan>,
    talks: BTreeMap<CallId, Talk>,
    tally: Tally,
}

impl ServerApp {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { plans: plan.calls.clone(), talks: BTreeMap::new(), tally: Tally::default() }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    fn accept(&mut self, core: &mut Connection<Server>, call: CallId) -> Result<(), FailedProperty> {
        let head = core.request(call).map_err(|error| refused(&error))?;
        let index = head.path().rsplit('/').next().and_then(|index| index.parse::<usize>().ok());
        let Some((index, plan)) = index.and_then(|index| Some((index, self.plans.get(index)?))) else {
            return breach("requests arrive as they were sent", head.path().to_owned());
        };
        self.talks.insert(call, Talk::new(index, &plan.responses, plan.asks));
        self.go_on(core, call)
    }

    fn go_on(&mut self, core: &mut Connection<Server>, call: CallId) -> Result<(), FailedProperty> {
        let Some(talk) = self.talks.get_mut(&call) else { return Ok(()) };
        talk.send(core, call)?;
        let end = talk.take(core, call);
        let plan = &self.plans[talk.index];
        match plan.ending {
            Ending::Early(after) if talk.received.len() >= after => {
                self.end(core, call, Status::out_of_range("that was all"))
            }
            Ending::Abort(after) if talk.received.len() >= after => {
                core.cancel(call).map_err(|error| refused(&error))
            }
            _ if talk.sent_all && matches!(end, Some(Recv::HalfClosed)) => {
                ensure(talk.received == plan.requests, "every request arrives", || {
                    format!("{}", talk.index)
                })?;
                self.end(core, call, Status::ok())
            }
            _ => Ok(()),
        }
    }

    fn end(
        &mut self,
        core: &mut Connection<Server>,
        call: CallId,
        status: Status,
    ) -> Result<(), FailedProperty> {
        match core.finish(call, status, Metadata::new()) {
            Ok(()) | Err(Misuse::AfterStatus | Misuse::CallEnded | Misuse::UnknownCall) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }
}

impl App<Server> for ServerApp {
    fn on_event(&mut self, core: &mut Connection<Server>, event: Event) -> Result<(), FailedProperty> {
        match event {
            Event::Request(call) => self.accept(core, call),
            Event::Readable(call) | Event::Writable(call) => self.go_on(core, call),
            Event::Ended(call, cause) => {
                if let Some(talk) = self.talks.remove(&call) {
                    self.tally.messages += talk.received.len();
                    let whole = matches!(cause, Cause::Trailers | Cause::TrailersOnly);
                    *(if whole { &mut self.tally.whole } else { &mut self.tally.cut }) += 1;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn act(&mut self, _: &mut Connection<Server>, _: Time) -> Result<Option<Time>, FailedProperty> {
        Ok(None)
    }
}
