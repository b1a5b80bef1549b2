//! Whether a connection accepts calls: graceful shutdown and the end.

use super::machine;

machine! {
    /// Whether a connection accepts new calls, and when it is over.
    Lifecycle on LifecycleInput {
        /// The caller starts a graceful shutdown.
        Shutdown,
        /// The PING that followed the first GOAWAY was acknowledged, or its time ran out.
        Confirmed,
        /// The peer sent GOAWAY.
        PeerGoAway,
        /// The last call ended.
        Drained,
        /// A connection error, ours or the peer's, or the end of the transport.
        Fatal,
    }

    /// The connection accepts new calls.
    Running {
        Shutdown => Announced @ "P-94";
        Confirmed => ignore @ "P-94";
        PeerGoAway => Draining @ "P-93";
        Drained => ignore @ "P-93";
        Fatal => Closed @ "RFC 9113 §5.4.1";
    }

    /// GOAWAY(2^31-1) has been sent: calls that the peer starts before it receives that are still served.
    Announced {
        Shutdown => ignore @ "P-94";
        Confirmed => Draining @ "P-94";
        PeerGoAway => Draining @ "P-93";
        Drained => ignore @ "P-94";
        Fatal => Closed @ "RFC 9113 §5.4.1";
    }

    /// No new calls are accepted; open calls go on to their end.
    Draining {
        Shutdown => ignore @ "P-94";
        Confirmed => ignore @ "P-94";
        PeerGoAway => ignore @ "P-93";
        Drained => Closed @ "P-93";
        Fatal => Closed @ "RFC 9113 §5.4.1";
    }

    /// The connection is over; nothing more is read.
    Closed {
        Shutdown => ignore @ "P-94";
        Confirmed => ignore @ "P-94";
        PeerGoAway => ignore @ "P-93";
        Drained => ignore @ "P-93";
        Fatal => ignore @ "RFC 9113 §5.4.1";
    }
}
