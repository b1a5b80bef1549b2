//! The two halves of a call as its client sees them.

use super::machine;

machine! {
    /// The client's sending half: request headers, messages, half-close.
    ClientSend on ClientSendInput {
        /// The caller sends a message.
        Message,
        /// The caller half-closes.
        HalfClose,
        /// The HEADERS frame was written: the stream has an id.
        HeadersSent,
        /// The frame with END_STREAM was written.
        EndSent,
        /// The server ended or reset the call, so nothing that we could still send matters.
        PeerEnded,
        /// The call was cancelled on this side: by the caller, its deadline or a violation.
        Cancel,
    }

    /// Nothing is on the wire yet; messages wait behind the request headers.
    Queued {
        Message => Queued @ "P-19";
        HalfClose => QueuedClosing @ "P-17";
        HeadersSent => Open @ "P-18";
        EndSent => never @ "P-17";
        PeerEnded => Ended @ "P-105";
        Cancel => Ended @ "P-83";
    }

    /// Nothing is on the wire yet, and the caller has half-closed.
    QueuedClosing {
        Message => misuse(AfterHalfClose) @ "P-80";
        HalfClose => misuse(AfterHalfClose) @ "P-80";
        HeadersSent => Closing @ "P-18";
        EndSent => never @ "P-17";
        PeerEnded => Ended @ "P-105";
        Cancel => Ended @ "P-83";
    }

    /// The request headers have been written; messages may be sent.
    Open {
        Message => Open @ "P-59";
        HalfClose => Closing @ "P-17";
        HeadersSent => never @ "P-16";
        EndSent => never @ "P-17";
        PeerEnded => Ended @ "P-31";
        Cancel => Ended @ "P-82";
    }

    /// The caller has half-closed; END_STREAM waits behind queued messages.
    Closing {
        Message => misuse(AfterHalfClose) @ "P-80";
        HalfClose => misuse(AfterHalfClose) @ "P-80";
        HeadersSent => never @ "P-16";
        EndSent => HalfClosed @ "RFC 9113 §5.1";
        PeerEnded => Ended @ "P-31";
        Cancel => Ended @ "P-82";
    }

    /// END_STREAM has been written; the server's half goes on until its trailers.
    HalfClosed {
        Message => misuse(AfterHalfClose) @ "P-80";
        HalfClose => misuse(AfterHalfClose) @ "P-80";
        HeadersSent => never @ "P-16";
        EndSent => never @ "P-17";
        PeerEnded => ignore @ "RFC 9113 §8.1";
        Cancel => ignore @ "RFC 9113 §8.1";
    }

    /// Cut short: the call is over and nothing more is sent.
    Ended {
        Message => misuse(CallEnded) @ "P-88";
        HalfClose => misuse(CallEnded) @ "P-88";
        HeadersSent => never @ "P-83";
        EndSent => never @ "P-17";
        PeerEnded => ignore @ "P-89";
        Cancel => ignore @ "P-89";
    }
}

machine! {
    /// The client's receiving half: response headers, messages, trailers.
    ClientRecv on ClientRecvInput {
        /// A 1xx HEADERS frame without END_STREAM.
        Informational,
        /// A 1xx HEADERS frame with END_STREAM.
        InformationalEnd,
        /// HEADERS without END_STREAM.
        Headers,
        /// HEADERS with END_STREAM.
        HeadersEnd,
        /// DATA without END_STREAM.
        Data,
        /// DATA with END_STREAM.
        DataEnd,
        /// RST_STREAM from the server.
        Reset,
        /// The call ended on this side: by the caller, its deadline or a violation.
        Cancel,
    }

    /// No response headers yet.
    AwaitHeaders {
        Informational => AwaitHeaders @ "P-24";
        InformationalEnd => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        Headers => Body @ "P-20";
        HeadersEnd => Ended @ "P-22";
        Data => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        DataEnd => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        Reset => Reset @ "RFC 9113 §6.4";
        Cancel => Abandoned @ "P-82";
    }

    /// Response headers arrived; messages follow, then trailers.
    Body {
        Informational => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        InformationalEnd => stream(PROTOCOL_ERROR) @ "RFC 9113 §8.1";
        Headers => stream(PROTOCOL_ERROR) @ "P-25";
        HeadersEnd => Ended @ "P-21";
        Data => Body @ "P-59";
        DataEnd => Ended @ "P-26";
        Reset => Reset @ "RFC 9113 §6.4";
        Cancel => Abandoned @ "P-82";
    }

    /// The server ended its half; the response is complete, and no later reset changes that.
    Ended {
        Informational => never @ "RFC 9113 §5.1";
        InformationalEnd => never @ "RFC 9113 §5.1";
        Headers => never @ "RFC 9113 §5.1";
        HeadersEnd => never @ "RFC 9113 §5.1";
        Data => never @ "RFC 9113 §5.1";
        DataEnd => never @ "RFC 9113 §5.1";
        Reset => never @ "RFC 9113 §5.1";
        Cancel => ignore @ "P-89";
    }

    /// The server reset the stream; complete messages that arrived before are still delivered.
    Reset {
        Informational => never @ "RFC 9113 §5.1";
        InformationalEnd => never @ "RFC 9113 §5.1";
        Headers => never @ "RFC 9113 §5.1";
        HeadersEnd => never @ "RFC 9113 §5.1";
        Data => never @ "RFC 9113 §5.1";
        DataEnd => never @ "RFC 9113 §5.1";
        Reset => never @ "RFC 9113 §5.1";
        Cancel => ignore @ "P-89";
    }

    /// We reset the stream; frames in flight are read, credited and dropped.
    Abandoned {
        Informational => never @ "RFC 9113 §5.1";
        InformationalEnd => never @ "RFC 9113 §5.1";
        Headers => never @ "RFC 9113 §5.1";
        HeadersEnd => never @ "RFC 9113 §5.1";
        Data => never @ "RFC 9113 §5.1";
        DataEnd => never @ "RFC 9113 §5.1";
        Reset => never @ "RFC 9113 §5.1";
        Cancel => ignore @ "P-89";
    }
}
