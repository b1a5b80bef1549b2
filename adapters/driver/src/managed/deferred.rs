//! Calls that start once there is a connection, for clients that hold a handle of them at once.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use atomic_waker::AtomicWaker;
use halfclose::grpc::ResponseHeaders;
use halfclose::{Cause, HalfStates, Message, MessagePayload, Outcome, Status};

use crate::client::{CallError, Canceller, RawCall, ReceiveMessages, SendMessages};
use crate::method::SendError;

/// What becomes a call.
pub(super) type Starting = Pin<Box<dyn Future<Output = Result<RawCall, CallError>> + Send>>;

/// Returns a call that starts when `starting` is done; a half that waits for something polls it.
pub(super) fn call(starting: Starting, sends: bool) -> RawCall {
    let start = Arc::new(DeferredStart {
        stage: Mutex::new(DeferredStage::Starting { future: Some(starting), closing: false }),
        waiting: Arc::default(),
    });
    let send = sends.then(|| {
        let send = DeferredSend { start: Arc::clone(&start), inner: None, closed: false };
        Box::new(send) as Box<dyn SendMessages>
    });
    RawCall::new(send, Box::new(DeferredReceive { start, inner: None }))
}

enum DeferredStage {
    /// The future is away while it is polled.
    Starting {
        future: Option<Starting>,
        closing: bool,
    },
    Started {
        send: Option<Box<dyn SendMessages>>,
        receive: Option<Box<dyn ReceiveMessages>>,
        canceller: Canceller,
    },
    Failed(Outcome),
}

/// Wakes whichever half waits for the start.
#[derive(Default)]
struct WaitingHalves {
    send: AtomicWaker,
    receive: AtomicWaker,
}

impl Wake for WaitingHalves {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.send.wake();
        self.receive.wake();
    }
}

struct DeferredStart {
    stage: Mutex<DeferredStage>,
    waiting: Arc<WaitingHalves>,
}

impl DeferredStart {
    fn lock(&self) -> MutexGuard<'_, DeferredStage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `Ready` once the call has started or failed. The caller has registered the waker of its half.
    fn poll(&self) -> Poll<()> {
        let future = match &mut *self.lock() {
            DeferredStage::Starting { future, .. } => future.take(),
            DeferredStage::Started { .. } | DeferredStage::Failed(_) => return Poll::Ready(()),
        };
        // The other half is polling it, and wakes this one when it is done.
        let Some(mut future) = future else { return Poll::Pending };
        let waker = Waker::from(Arc::clone(&self.waiting));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut half_close = false;
        let stale = {
            let mut stage = self.lock();
            match (&mut *stage, polled) {
                (DeferredStage::Starting { future: place, .. }, Poll::Pending) => {
                    *place = Some(future);
                    return Poll::Pending;
                }
                (DeferredStage::Starting { closing: true, .. }, Poll::Ready(started)) => {
                    *stage = begun(started);
                    half_close = true;
                    None
                }
                (DeferredStage::Starting { .. }, Poll::Ready(started)) => {
                    *stage = begun(started);
                    None
                }
                // It was cancelled meanwhile.
                (_, polled) => Some(polled),
            }
        };
        drop(stale);
        if half_close && let Some(mut send) = self.take_send() {
            // A call that is over has its status for the receiving half.
            let _ = send.close_send();
        }
        self.waiting.wake_by_ref();
        Poll::Ready(())
    }

    fn take_send(&self) -> Option<Box<dyn SendMessages>> {
        match &mut *self.lock() {
            DeferredStage::Started { send, .. } => send.take(),
            DeferredStage::Starting { .. } | DeferredStage::Failed(_) => None,
        }
    }

    fn cancel(&self) {
        let outcome =
            Outcome::new(Status::cancelled("the call was cancelled by its caller"), Cause::Cancelled);
        let (canceller, stale) = {
            let mut stage = self.lock();
            match &mut *stage {
                DeferredStage::Starting { .. } => {
                    (None, Some(std::mem::replace(&mut *stage, DeferredStage::Failed(outcome))))
                }
                DeferredStage::Started { canceller, .. } => (Some(canceller.clone()), None),
                DeferredStage::Failed(_) => (None, None),
            }
        };
        drop(stale);
        if let Some(canceller) = canceller {
            canceller.cancel();
        }
        self.waiting.wake_by_ref();
    }

    fn failure(&self) -> Option<Outcome> {
        match &*self.lock() {
            DeferredStage::Failed(outcome) => Some(outcome.clone()),
            DeferredStage::Starting { .. } | DeferredStage::Started { .. } => None,
        }
    }
}

/// Returns what a call is once it has started.
fn begun(started: Result<RawCall, CallError>) -> DeferredStage {
    match started {
        Ok(call) => {
            let (send, receive) = call.into_parts();
            DeferredStage::Started { send, canceller: receive.canceller(), receive: Some(receive) }
        }
        Err(error) => DeferredStage::Failed(error.into_outcome()),
    }
}

struct DeferredSend {
    start: Arc<DeferredStart>,
    inner: Option<Box<dyn SendMessages>>,
    closed: bool,
}

impl SendMessages for DeferredSend {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Option<MessagePayload>,
        compress: bool,
    ) -> Poll<Result<(), SendError>> {
        if self.inner.is_none() {
            self.start.waiting.send.register(cx.waker());
            ready!(self.start.poll());
            self.inner = self.start.take_send();
        }
        match &mut self.inner {
            Some(inner) => inner.poll_send(cx, payload, compress),
            None => {
                let status = self.start.failure().map(|outcome| outcome.status);
                Poll::Ready(Err(SendError::Ended.with_status(status.as_ref())))
            }
        }
    }

    fn close_send(&mut self) -> Result<(), SendError> {
        self.closed = true;
        if let DeferredStage::Starting { closing, .. } = &mut *self.start.lock() {
            *closing = true;
            return Ok(());
        }
        if self.inner.is_none() {
            self.inner = self.start.take_send();
        }
        match &mut self.inner {
            Some(inner) => inner.close_send(),
            // It did not start, and the receiving half knows why.
            None => Ok(()),
        }
    }

    fn forget_waker(&mut self) {
        match &mut self.inner {
            Some(inner) => inner.forget_waker(),
            None => drop(self.start.waiting.send.take()),
        }
    }
}

impl Drop for DeferredSend {
    fn drop(&mut self) {
        if !self.closed {
            self.start.cancel();
        }
    }
}

struct DeferredReceive {
    start: Arc<DeferredStart>,
    inner: Option<Box<dyn ReceiveMessages>>,
}

impl DeferredReceive {
    /// Returns the half of the call that has started, or how the call failed to start.
    fn poll_inner(&mut self, cx: &Context<'_>) -> Poll<Result<&mut dyn ReceiveMessages, Outcome>> {
        if self.inner.is_none() {
            self.start.waiting.receive.register(cx.waker());
            ready!(self.start.poll());
            if let DeferredStage::Started { receive, .. } = &mut *self.start.lock() {
                self.inner = receive.take();
            }
        }
        Poll::Ready(match &mut self.inner {
            Some(inner) => Ok(inner.as_mut()),
            None => Err(self.start.failure().unwrap_or_else(|| {
                Outcome::new(Status::internal("the call has no receiving half"), Cause::NeverSent)
            })),
        })
    }
}

impl ReceiveMessages for DeferredReceive {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Outcome>> {
        match ready!(self.poll_inner(cx)) {
            Ok(inner) => inner.poll_message(cx),
            Err(outcome) => Poll::Ready(Err(outcome)),
        }
    }

    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<ResponseHeaders>>> {
        match ready!(self.poll_inner(cx)) {
            Ok(inner) => inner.poll_headers(cx),
            Err(_) => Poll::Ready(None),
        }
    }

    fn canceller(&self) -> Canceller {
        let start = Arc::clone(&self.start);
        Canceller::new(move || start.cancel())
    }

    fn forget_waker(&mut self) {
        match &mut self.inner {
            Some(inner) => inner.forget_waker(),
            None => drop(self.start.waiting.receive.take()),
        }
    }

    fn states(&self) -> Option<HalfStates> {
        self.inner.as_ref()?.states()
    }
}

impl Drop for DeferredReceive {
    fn drop(&mut self) {
        // A call that is over needs no cancelling.
        self.start.cancel();
    }
}

/// The whole answer of a call that was received to its end, so that it could be tried again.
pub(super) struct DeferredAnswer {
    pub(super) messages: VecDeque<Message>,
    pub(super) outcome: Outcome,
}

impl DeferredAnswer {
    /// Receives everything.
    pub(super) async fn of(mut receive: Box<dyn ReceiveMessages>) -> Self {
        let mut messages = VecDeque::new();
        loop {
            match std::future::poll_fn(|cx| receive.poll_message(cx)).await {
                Ok(message) => messages.push_back(message),
                Err(outcome) => return Self { messages, outcome },
            }
        }
    }
}

impl ReceiveMessages for DeferredAnswer {
    fn poll_message(&mut self, _: &mut Context<'_>) -> Poll<Result<Message, Outcome>> {
        Poll::Ready(self.messages.pop_front().ok_or_else(|| self.outcome.clone()))
    }

    fn poll_headers(&mut self, _: &mut Context<'_>) -> Poll<Option<Arc<ResponseHeaders>>> {
        Poll::Ready(self.outcome.headers.clone())
    }

    fn canceller(&self) -> Canceller {
        // It has ended.
        Canceller::new(|| {})
    }
}
