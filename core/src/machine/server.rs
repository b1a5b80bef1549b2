//! The two halves of a call as its server sees them.

use super::machine;

machine! {
    /// The server's receiving half: request headers, messages, the client's half-close.
    ServerRecv on ServerRecvInput {
        /// HEADERS without END_STREAM.
        Headers,
        /// HEADERS with END_STREAM.
        HeadersEnd,
        /// DATA without END_STREAM.
        Data,
        /// DATA with END_STREAM.
        DataEnd,
        /// RST_STREAM from the client.
        Reset,
        /// The call ended on this side: by its status, its deadline or a violation.
        Cancel,
    }

    /// The stream is new, and its request headers are being handled.
    Idle {
        Headers => Body @ "RFC 9113 §5.1";
        HeadersEnd => Ended @ "P-17";
        Data => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1";
        DataEnd => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1";
        Reset => connection(PROTOCOL_ERROR) @ "RFC 9113 §6.4";
        Cancel => Abandoned @ "P-106";
    }

    /// Messages may arrive until the client half-closes.
    Body {
        Headers => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        HeadersEnd => stream(PROTOCOL_ERROR) @ "P-16";
        Data => Body @ "P-59";
        DataEnd => Ended @ "P-17";
        Reset => Reset @ "RFC 9113 §6.4";
        Cancel => Abandoned @ "P-31";
    }

    /// The client half-closed: the request is complete.
    Ended {
        Headers => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        HeadersEnd => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        Data => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        DataEnd => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        Reset => ignore @ "RFC 9113 §8.1";
        Cancel => ignore @ "P-89";
    }

    /// The client reset the stream.
    Reset {
        Headers => never @ "RFC 9113 §5.1";
        HeadersEnd => never @ "RFC 9113 §5.1";
        Data => never @ "RFC 9113 §5.1";
        DataEnd => never @ "RFC 9113 §5.1";
        Reset => never @ "RFC 9113 §5.1";
        Cancel => ignore @ "P-89";
    }

    /// We stopped reading the request: messages are credited and dropped, but its end still counts.
    Abandoned {
        Headers => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        HeadersEnd => Ended @ "RFC 9113 §8.1";
        Data => ignore @ "P-31";
        DataEnd => Ended @ "P-31";
        Reset => Reset @ "RFC 9113 §6.4";
        Cancel => ignore @ "P-89";
    }
}

machine! {
    /// The server's sending half: response headers, messages, status.
    ServerSend on ServerSendInput {
        /// The caller sends the response headers before the first message.
        Headers,
        /// The caller sends a message; response headers are sent first if they have not been.
        Message,
        /// The caller ends the call with a status.
        Status,
        /// The frame with END_STREAM was written.
        EndSent,
        /// The call was cut short: by a reset, its deadline or a violation.
        Cancel,
    }

    /// Nothing has been sent; a status now is sent as Trailers-Only.
    AwaitHeaders {
        Headers => Body @ "P-20";
        Message => Body @ "P-33";
        Status => Closing @ "P-22";
        EndSent => never @ "P-21";
        Cancel => Ended @ "P-86";
    }

    /// The caller has sent response headers; messages may be sent until the status.
    Body {
        Headers => misuse(HeadersTwice) @ "P-32";
        Message => Body @ "P-59";
        Status => Closing @ "P-21";
        EndSent => never @ "P-21";
        Cancel => Ended @ "P-86";
    }

    /// The caller has finished the call; trailers wait behind queued messages.
    Closing {
        Headers => misuse(AfterStatus) @ "P-32";
        Message => misuse(AfterStatus) @ "P-87";
        Status => misuse(AfterStatus) @ "P-87";
        EndSent => Ended @ "P-21";
        Cancel => Ended @ "P-86";
    }

    /// The call is over.
    Ended {
        Headers => misuse(CallEnded) @ "P-87";
        Message => misuse(CallEnded) @ "P-88";
        Status => misuse(CallEnded) @ "P-87";
        EndSent => never @ "P-21";
        Cancel => ignore @ "P-89";
    }
}
