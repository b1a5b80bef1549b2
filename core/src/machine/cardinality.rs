//! How many messages a call may carry in a direction that carries one.

use super::machine;

machine! {
    /// The requests of a method that expects one: unary and server streaming.
    OneRequest on OneRequestInput {
        /// A complete message arrived.
        Message,
        /// The client half-closed.
        End,
    }

    /// No message yet.
    Missing {
        Message => One @ "P-73";
        End => cardinality("no request message") @ "P-72";
    }

    /// The one message arrived.
    One {
        Message => cardinality("more than one request message") @ "P-73";
        End => Complete @ "P-75";
    }

    /// The one message arrived and the client half-closed.
    Complete {
        Message => cardinality("more than one request message") @ "P-73";
        End => ignore @ "P-75";
    }
}

machine! {
    /// The responses of a method that returns one: unary and client streaming.
    OneResponse on OneResponseInput {
        /// A complete message arrived.
        Message,
        /// The call ended with status OK.
        EndOk,
        /// The call ended with another status, which wins over any count ([P-74](crate::manual::rules#p-74)).
        EndError,
    }

    /// No message yet.
    Missing {
        Message => One @ "P-71";
        EndOk => cardinality("status OK without a response message") @ "P-70";
        EndError => Complete @ "P-74";
    }

    /// The one message arrived.
    One {
        Message => cardinality("more than one response message") @ "P-71";
        EndOk => Complete @ "P-87";
        EndError => Complete @ "P-74";
    }

    /// The call is over.
    Complete {
        Message => cardinality("more than one response message") @ "P-71";
        EndOk => ignore @ "P-87";
        EndError => ignore @ "P-87";
    }
}
