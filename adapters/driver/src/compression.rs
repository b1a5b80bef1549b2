//! Messages on their way through the codecs of `grpc-encoding`, which are foreign code and may be much work: never under
//! the lock of a connection, and so much a round.

use std::task::{Context, Poll, ready};

use halfclose::grpc::compress::{CompressedPayload, Compression, DecompressError, Decompression};
use halfclose::{CallId, Message, MessagePayload, Misuse, Role, Sent};

use crate::method::SendError;
use crate::shared::{Shared, State};

/// A received message that is being decompressed.
#[derive(Debug)]
pub(crate) struct Unpacking {
    message: Box<Decompression>,
    /// What was counted of its work.
    counted: u64,
}

impl Unpacking {
    #[cold]
    pub(crate) fn new(message: Decompression) -> Self {
        Self { message: Box::new(message), counted: 0 }
    }

    /// Goes on as far as this round allows. Ready with the message or why it is none, or with why its call has none.
    pub(crate) fn poll<R: Role>(
        &mut self,
        shared: &Shared<R>,
        call: CallId,
        cx: &Context<'_>,
    ) -> Poll<Result<Result<Message, DecompressError>, Misuse>> {
        loop {
            let most = ready!(shared.poll_command(cx, |state, waiter| state.poll_decompress(call, waiter)))?;
            let advanced = self.message.advance(most);
            let work = self.message.work();
            let new = work.saturating_sub(std::mem::replace(&mut self.counted, work));
            shared.command(|state| state.add_decompressed(new));
            match advanced {
                Ok(None) => {}
                Ok(Some(payload)) => return Poll::Ready(Ok(Ok(Message { payload, compressed: true }))),
                Err(error) => return Poll::Ready(Ok(Err(error))),
            }
        }
    }
}

/// A message that is to be sent.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Plain(MessagePayload),
    Compressed(CompressedPayload),
}

/// What a connection says to a message that it is offered.
pub(crate) enum Offered {
    Taken(Sent),
    /// It is to be compressed first, when the connection is unlocked.
    Uncompressed(Compression),
}

impl Outgoing {
    /// Offers the message to a connection, which takes it unless it has to be compressed.
    #[inline]
    pub(crate) fn offer<R: Role>(
        &mut self,
        state: &mut State<R>,
        call: CallId,
        compress: bool,
    ) -> Result<Offered, Misuse> {
        let connection = &mut state.connection;
        let sent = match self {
            Self::Plain(payload) => {
                // A call that is gone says so when the message is sent.
                if compress && let Ok(Some(compression)) = connection.compression(call) {
                    return Ok(Offered::Uncompressed(compression));
                }
                connection.send_message_from(call, payload, false)
            }
            Self::Compressed(payload) => connection.send_compressed(call, payload),
        };
        sent.map(Offered::Taken)
    }

    /// Compresses the message.
    #[cold]
    pub(crate) fn compress(&mut self, compression: &Compression) -> Result<(), Misuse> {
        if let Self::Plain(payload) = self {
            let compressed = compression.compress(std::mem::take(payload));
            *self = Self::Compressed(compressed.map_err(|_| Misuse::CompressionFailed)?);
        }
        Ok(())
    }
}

/// Queues a message, once there is space for it, and is done once there is space for the next one where much is queued:
/// a caller that makes its messages one after the other then does not make one that has to wait besides.
#[inline]
pub(crate) fn poll_send<R: Role>(
    shared: &Shared<R>,
    call: CallId,
    cx: &Context<'_>,
    message: &mut Option<Outgoing>,
    compress: bool,
) -> Poll<Result<(), SendError>> {
    loop {
        let visited = ready!(shared.poll_command(cx, |state, waiter| {
            let waits = match message.as_mut().map(|message| message.offer(state, call, compress)) {
                Some(Ok(Offered::Taken(sent))) => {
                    *message = None;
                    sent == Sent::Full && state.connection.sends_much()
                }
                Some(Ok(Offered::Uncompressed(compression))) => return Poll::Ready(Ok(Some(compression))),
                Some(Err(Misuse::NotWritable { .. })) => true,
                Some(Err(misuse)) => return Poll::Ready(Err(misuse)),
                None => state.connection.awaits_space(call),
            };
            if waits {
                state.wait_to_send(call, waiter);
                return Poll::Pending;
            }
            Poll::Ready(Ok(None))
        }));
        let compressed = match (visited, message.as_mut()) {
            (Ok(Some(compression)), Some(message)) => message.compress(&compression),
            (Ok(_), _) => return Poll::Ready(Ok(())),
            (Err(misuse), _) => Err(misuse),
        };
        if let Err(misuse) = compressed {
            return Poll::Ready(Err(SendError::from_misuse(misuse)));
        }
    }
}
