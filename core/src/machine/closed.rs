//! Frames for streams that have no slot: idle, closed, or closed so long ago that only their number tells.

use super::machine;

machine! {
    /// A stream id without a slot, and the frames that may still name it.
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

    /// Both sides ended it.
    Ended {
        Headers => connection(STREAM_CLOSED) @ "RFC 9113 §5.1";
        Data => connection(STREAM_CLOSED) @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// The peer reset it.
    ResetByPeer {
        Headers => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        Data => stream(STREAM_CLOSED) @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// We reset it; the peer may not have seen that yet.
    ResetByUs {
        Headers => ignore @ "RFC 9113 §5.1";
        Data => ignore @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// Server: below the client's highest id and not remembered: skipped, or closed so long ago that only DATA may come.
    Passed {
        Headers => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.1.1";
        Data => ignore @ "RFC 9113 §5.1";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }

    /// Client: a call of long ago; if we reset it, the server's whole answer may still be under way.
    Forgotten {
        Headers => ignore @ "P-82";
        Data => ignore @ "P-82";
        RstStream => ignore @ "RFC 9113 §5.1";
        WindowUpdate => ignore @ "RFC 9113 §5.1";
    }
}
