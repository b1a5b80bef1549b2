//! The two applications: they do what the plan says of their call, and check what they receive.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use halfclose::{Code, Metadata, Status, Time};
use halfclose_driver::{
    BidiStreaming, BidiStreamingServer, CallError, CallOptions, Channel, ClientReceiver, Many, Method, Raw,
    Router, SendError, ServerReceiver, ServerSender,
};

use super::runtime::{VirtualClock, lock};
use crate::pipes::{CallPlan, Ending};

const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/driven.Test/Chat");

/// What has become of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DrivenOutcome {
    /// Calls that ended as the server's handler said.
    pub whole: u64,
    /// Calls that were cancelled, out of time, or out of memory.
    pub cut: u64,
    /// Messages that arrived, both ways.
    pub messages: u64,
    /// Polls of all tasks.
    pub polls: u64,
}

/// What both applications note.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) outcome: DrivenOutcome,
    /// The first thing that should not be.
    pub(super) breach: Option<String>,
    /// By call: requests that the server's handler received, and whether it began.
    received: Vec<(usize, bool)>,
}

pub(super) type SharedNotes = Arc<Mutex<Notes>>;

fn breach(notes: &SharedNotes, what: String) {
    lock(notes).breach.get_or_insert(what);
}

/// The bytes of a message: they tell the call, the direction, and the place in it.
fn content(call: usize, up: bool, index: usize, size: usize) -> Bytes {
    let tag = (call as u64) << 32 | (index as u64) << 1 | u64::from(up);
    let mut bytes = vec![tag.to_le_bytes()[4]; size];
    for (byte, of_tag) in bytes.iter_mut().zip(tag.to_le_bytes()) {
        *byte = of_tag;
    }
    bytes.into()
}

/// Waits for both.
async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    poll_fn(|cx| {
        if a.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(cx)
        {
            a = Some(value);
        }
        if b.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(cx)
        {
            b = Some(value);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

/// The server: handlers that find their part of the plan by their metadata.
pub(super) fn router(calls: &Arc<Vec<CallPlan>>, notes: &SharedNotes) -> Router {
    let (calls, notes) = (Arc::clone(calls), Arc::clone(notes));
    lock(&notes).received.resize(calls.len(), (0, false));
    Router::new().bidi_streaming(&CHAT, move |call| {
        let (calls, notes) = (Arc::clone(&calls), Arc::clone(&notes));
        async move { serve(call, &calls, &notes).await }
    })
}

async fn serve(
    call: BidiStreamingServer<Bytes, Bytes, Raw>,
    calls: &[CallPlan],
    notes: &SharedNotes,
) -> Result<(), Status> {
    let name = call.metadata().get("call").and_then(|name| std::str::from_utf8(name).ok());
    let index = name.and_then(|name| name.parse::<usize>().ok());
    let Some((index, plan)) = index.and_then(|index| Some((index, calls.get(index)?))) else {
        breach(notes, "a call without its metadata".to_owned());
        return Err(Status::internal("no plan"));
    };
    if std::mem::replace(&mut lock(notes).received[index], (0, true)).1 {
        breach(notes, format!("call {index} is served twice"));
    }
    let early = match plan.ending {
        Ending::Early(count) | Ending::Abort(count) => Some(count),
        _ => None,
    };
    let (sender, receiver) = call.split();
    let sending = respond(sender, index, plan);
    let receiving = take_requests(receiver, index, plan, early, notes);
    if early.is_some() {
        // It ends when it has seen enough, whatever is still to be sent.
        let mut sending = pin!(sending);
        let mut receiving = pin!(receiving);
        let mut sent = false;
        return poll_fn(|cx| {
            sent = sent || sending.as_mut().poll(cx).is_ready();
            receiving.as_mut().poll(cx)
        })
        .await;
    }
    let (sent, received) = both(sending, receiving).await;
    sent.map_err(Status::from).and(received)
}

async fn respond(
    mut sender: ServerSender<Bytes, Raw>,
    index: usize,
    plan: &CallPlan,
) -> Result<(), SendError> {
    for (number, size) in plan.responses.iter().enumerate() {
        sender.send(&content(index, false, number, *size)).await?;
    }
    Ok(())
}

async fn take_requests(
    mut receiver: ServerReceiver<Bytes, Raw>,
    index: usize,
    plan: &CallPlan,
    early: Option<usize>,
    notes: &SharedNotes,
) -> Result<(), Status> {
    let mut count = 0;
    loop {
        if early == Some(count) {
            return Err(Status::aborted("enough"));
        }
        let Some(request) = receiver.recv().await? else { break };
        if plan.requests.get(count).is_none_or(|size| content(index, true, count, *size) != request) {
            breach(notes, format!("call {index}: request {count} is another one"));
        }
        count += 1;
        let mut notes = lock(notes);
        notes.received[index].0 = count;
        notes.outcome.messages += 1;
    }
    if count != plan.requests.len() {
        breach(notes, format!("call {index}: {count} requests, and then the half-close"));
    }
    Ok(())
}

/// What the client's application knows.
#[derive(Clone)]
pub(super) struct DrivenCaller {
    pub(super) channel: Channel,
    pub(super) clock: VirtualClock,
    pub(super) calls: Arc<Vec<CallPlan>>,
    pub(super) notes: SharedNotes,
    /// Whether calls may be ended for want of memory.
    pub(super) is_short: bool,
}

impl DrivenCaller {
    /// One call, from its start to its end.
    pub(super) async fn call(self, index: usize, begun: Time) {
        let plan = &self.calls[index];
        let mut options = CallOptions::new();
        let mut metadata = Metadata::new();
        if metadata.insert("call", &index.to_string()).is_err() {
            return breach(&self.notes, "metadata".to_owned());
        }
        options.metadata = metadata;
        if let Ending::Deadline(after) = plan.ending {
            options = options.timeout(after);
        }
        let call: BidiStreaming<Bytes, Bytes, Raw> = match self.channel.bidi_streaming(&CHAT, options) {
            Ok(call) => call,
            Err(error) => return breach(&self.notes, format!("call {index} does not start: {error}")),
        };
        let (mut sender, receiver) = call.split();
        let sending = async {
            for (number, size) in plan.requests.iter().enumerate() {
                if sender.send(&content(index, true, number, *size)).await.is_err() {
                    // Its status comes from the receiving half.
                    break;
                }
            }
            sender.close_send().ok();
        };
        let cancelling = async {
            if let Ending::Cancel(after) = plan.ending {
                self.clock.sleep_until(begun + after).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let receiving = self.receive(index, plan, receiver, cancelling);
        both(sending, receiving).await;
    }

    /// Receives until the end of a call, and cancels it when that is due.
    async fn receive(
        &self,
        index: usize,
        plan: &CallPlan,
        mut receiver: ClientReceiver<Bytes, Raw>,
        cancelling: impl Future<Output = ()>,
    ) {
        let mut cancelling = pin!(cancelling);
        let (mut count, mut cancelled) = (0, false);
        loop {
            let received = poll_fn(|cx| {
                if !cancelled && cancelling.as_mut().poll(cx).is_ready() {
                    cancelled = true;
                    receiver.cancel();
                }
                receiver.poll_recv(cx)
            })
            .await;
            match received {
                Ok(Some(response)) => {
                    if plan
                        .responses
                        .get(count)
                        .is_none_or(|size| content(index, false, count, *size) != response)
                    {
                        breach(&self.notes, format!("call {index}: response {count} is another one"));
                    }
                    count += 1;
                    lock(&self.notes).outcome.messages += 1;
                }
                Ok(None) => return self.check_end(index, plan, count, None),
                Err(error) => return self.check_end(index, plan, count, Some(&error)),
            }
        }
    }

    /// Checks that a call ended as it may.
    fn check_end(&self, index: usize, plan: &CallPlan, count: usize, error: Option<&CallError>) {
        let mut notes = lock(&self.notes);
        let code = error.map_or(Code::Ok, CallError::code);
        let whole = count == plan.responses.len() && notes.received[index] == (plan.requests.len(), true);
        let right = match (plan.ending, code) {
            (Ending::Whole | Ending::Cancel(_) | Ending::Deadline(_), Code::Ok) => whole,
            (Ending::Early(_) | Ending::Abort(_), Code::Aborted)
            | (Ending::Cancel(_), Code::Cancelled)
            | (Ending::Deadline(_), Code::DeadlineExceeded) => true,
            (_, Code::ResourceExhausted) => self.is_short,
            _ => false,
        };
        if matches!(code, Code::Ok | Code::Aborted) {
            notes.outcome.whole += 1;
        } else {
            notes.outcome.cut += 1;
        }
        if !right {
            let received = notes.received[index];
            notes.breach.get_or_insert_with(|| {
                format!(
                    "call {index} ended wrongly after {count} responses, {received:?}: {error:?}, {plan:?}"
                )
            });
        }
    }
}
