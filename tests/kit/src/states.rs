//! A core with one call in a given state of the tables, brought there by octets and orders alone.

use bytes::Bytes;
use halfclose::frame::ErrorCode;
use halfclose::machine::{ClientRecv, ClientSend, ServerRecv, ServerSend};
use halfclose::{CallId, Client, Config, HalfStates, Metadata, Request, Server, Shape, Status};

use crate::peer::Peer;
use crate::wire::{Wire, setting};

/// The stream of the one call.
pub const STREAM: u32 = 1;

/// A client whose one call, of many messages each way, has its halves in these states; `None` where no order of
/// events leads to the two of them.
#[must_use]
pub fn client_in(send: ClientSend, recv: ClientRecv) -> Option<(Peer<Client>, CallId)> {
    client_with(Config::client(), send, recv)
}

/// As [`client_in`], for any configuration.
#[must_use]
pub fn client_with(config: Config, send: ClientSend, recv: ClientRecv) -> Option<(Peer<Client>, CallId)> {
    use ClientRecv as Recv;
    use ClientSend as Send;
    // What the sending half is before the receiving half moves.
    let before = match (send, recv) {
        (Send::Ended, Recv::AwaitHeaders | Recv::Body) => return None,
        (Send::Queued | Send::QueuedClosing, Recv::AwaitHeaders) | (Send::HalfClosed, _) => send,
        (Send::Ended, _) => Send::Open,
        (Send::Open | Send::Closing, Recv::AwaitHeaders | Recv::Body) => send,
        _ => return None,
    };
    let settings = match before {
        Send::Queued | Send::QueuedClosing => vec![(setting::MAX_CONCURRENT_STREAMS, 0)],
        Send::Closing => vec![(setting::INITIAL_WINDOW_SIZE, 0)],
        _ => Vec::new(),
    };
    let mut peer = Peer::client_with(config, &settings);
    let call = peer.core.start(peer.now, Request::new("/demo.Echo/Call", Shape::BIDI)).ok()?;
    if before == Send::Closing {
        peer.core.send_message(call, Bytes::from_static(b"waits"), false).ok()?;
    }
    if matches!(before, Send::QueuedClosing | Send::Closing | Send::HalfClosed) {
        peer.core.half_close(call).ok()?;
    }
    peer.collect();
    match recv {
        Recv::AwaitHeaders => {}
        Recv::Body => peer.must_feed(Wire::new().response(STREAM)),
        Recv::Ended => peer.must_feed(Wire::new().response(STREAM).trailers(STREAM, 0)),
        Recv::Reset => peer.must_feed(Wire::new().reset(STREAM, ErrorCode::CANCEL)),
        Recv::Abandoned => peer.core.cancel(call).ok()?,
    }
    peer.events();
    peer.frames();
    assert_eq!(peer.core.states(call), Ok(HalfStates::Client { send, recv }));
    Some((peer, call))
}

/// A server whose one call has its halves in these states; `None` where no order of events leads to the two of them,
/// or where they cannot be seen from outside (`ServerRecv::Idle` lasts for the first frame only).
#[must_use]
pub fn server_in(send: ServerSend, recv: ServerRecv) -> Option<(Peer<Server>, CallId)> {
    server_with(Config::server(), send, recv)
}

/// As [`server_in`], for any configuration.
#[must_use]
pub fn server_with(config: Config, send: ServerSend, recv: ServerRecv) -> Option<(Peer<Server>, CallId)> {
    use ServerRecv as Recv;
    use ServerSend as Send;
    match (send, recv) {
        (_, Recv::Idle) | (Send::Ended, Recv::Body) | (Send::Closing, Recv::Body | Recv::Reset) => {
            return None;
        }
        (Send::AwaitHeaders | Send::Body, Recv::Reset | Recv::Abandoned) => return None,
        _ => {}
    }
    let window = if send == Send::Closing { 0 } else { 65_535 };
    let mut peer = Peer::server_with(config, &[(setting::INITIAL_WINDOW_SIZE, window)]);
    let call = peer.open(STREAM, recv == Recv::Ended);
    match send {
        Send::AwaitHeaders => {}
        Send::Body => peer.core.send_headers(call, Metadata::new()).ok()?,
        Send::Closing => {
            peer.core.send_message(call, Bytes::from_static(b"waits"), false).ok()?;
            peer.core.finish(call, Status::ok(), Metadata::new()).ok()?;
        }
        Send::Ended if recv == Recv::Reset => peer.must_feed(Wire::new().reset(STREAM, ErrorCode::CANCEL)),
        Send::Ended => peer.core.finish(call, Status::ok(), Metadata::new()).ok()?,
    }
    // The frames go out, but `Event::Ended` is left where it is: taking it would make the id stale.
    peer.frames();
    assert_eq!(peer.core.states(call), Ok(HalfStates::Server { send, recv }));
    Some((peer, call))
}
