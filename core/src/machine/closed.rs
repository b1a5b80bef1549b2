//! Frames for streams that have no slot: idle, closed, or closed so long ago that only the id is known.

use super::machine;

machine! {
    /// A stream id without a slot, and the frames that may still refer to it.
    ClosedStream on ClosedStreamInput {
        /// HEADERS, the whole block read.
        Headers,
        /// DATA.
        Data,
        /// RST_STREAM.
        RstStream,
        /// WINDOW_UPDATE.
        WindowUpdate,
    }

    /// Never used: above the highest id so far, or of the wrong parity. (A server opens a slot for HEADERS instead.)
    Idle {
        Headers => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1.1";
        Data => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1";
        RstStream => connection(PROTOCOL_ERROR) @ "RFC 9113 §6.4";
        WindowUpdate => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1";
    }

    /// Both sides ended the stream.
    Ended {
        Headers => connection(STREAM_CLOSED) @ "RFC 9113 §5.1";
        Data => connection(STREAM_CLOSED) @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// The peer reset the stream.
    ResetByPeer {
        Headers => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        Data => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// We reset the stream; the peer may not know that yet.
    ResetByUs {
        Headers => ignore @ "RFC 9113 §5.1";
        Data => ignore @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// Server: up to the client's highest id, not remembered: skipped, or closed long ago, so only DATA is legal.
    Passed {
        Headers => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1.1";
        Data => ignore @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// Client: an old call; if we reset it, the server's whole response may still be in flight.
    Forgotten {
        Headers => ignore @ "P-82";
        Data => ignore @ "P-82";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }
}
