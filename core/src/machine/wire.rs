//! The order in which frames may arrive on one connection.

use super::machine;

machine! {
    /// The order in which frames may arrive on a connection, regardless of their streams.
    Wire on WireInput {
        /// SETTINGS without ACK.
        Settings,
        /// SETTINGS with ACK.
        SettingsAck,
        /// HEADERS with END_HEADERS.
        Headers,
        /// HEADERS without END_HEADERS: CONTINUATION must follow.
        HeadersOpen,
        /// CONTINUATION without END_HEADERS on the stream of the open block.
        Continuation,
        /// CONTINUATION with END_HEADERS on the stream of the open block.
        ContinuationEnd,
        /// CONTINUATION on another stream than that of the open block.
        ContinuationElsewhere,
        /// DATA.
        Data,
        /// PRIORITY.
        Priority,
        /// RST_STREAM.
        RstStream,
        /// PUSH_PROMISE.
        PushPromise,
        /// PING, with or without ACK.
        Ping,
        /// GOAWAY.
        GoAway,
        /// WINDOW_UPDATE.
        WindowUpdate,
        /// A frame of a type that RFC 9113 does not define.
        Unknown,
    }

    /// The peer's first frame, which has to be SETTINGS, has not arrived.
    AwaitSettings {
        Settings => Open @ "RFC 9113 §3.4";
        SettingsAck => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        Headers => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        HeadersOpen => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        Continuation => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        ContinuationEnd => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        ContinuationElsewhere => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        Data => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        Priority => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        RstStream => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        PushPromise => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        Ping => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        GoAway => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        WindowUpdate => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
        Unknown => connection(PROTOCOL_ERROR) @ "RFC 9113 §3.4";
    }

    /// Any frame may arrive, except CONTINUATION.
    Open {
        Settings => Open @ "RFC 9113 §6.5";
        SettingsAck => Open @ "RFC 9113 §6.5.3";
        Headers => Open @ "RFC 9113 §6.2";
        HeadersOpen => InBlock @ "RFC 9113 §6.2";
        Continuation => connection(PROTOCOL_ERROR) @ "RFC 9113 §6.10";
        ContinuationEnd => connection(PROTOCOL_ERROR) @ "RFC 9113 §6.10";
        ContinuationElsewhere => connection(PROTOCOL_ERROR) @ "RFC 9113 §6.10";
        Data => Open @ "RFC 9113 §6.1";
        Priority => ignore @ "RFC 9113 §5.3.2";
        RstStream => Open @ "RFC 9113 §6.4";
        PushPromise => connection(PROTOCOL_ERROR) @ "RFC 9113 §8.4";
        Ping => Open @ "RFC 9113 §6.7";
        GoAway => Open @ "RFC 9113 §6.8";
        WindowUpdate => Open @ "RFC 9113 §6.9";
        Unknown => ignore @ "RFC 9113 §4.1";
    }

    /// A header block is open: only CONTINUATION on the same stream may arrive.
    InBlock {
        Settings => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        SettingsAck => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        Headers => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        HeadersOpen => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        Continuation => InBlock @ "RFC 9113 §6.10";
        ContinuationEnd => Open @ "RFC 9113 §6.10";
        ContinuationElsewhere => connection(PROTOCOL_ERROR) @ "RFC 9113 §6.10";
        Data => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        Priority => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        RstStream => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        PushPromise => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        Ping => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        GoAway => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        WindowUpdate => connection(PROTOCOL_ERROR) @ "RFC 9113 §4.3";
        Unknown => connection(PROTOCOL_ERROR) @ "RFC 9113 §5.5";
    }
}
