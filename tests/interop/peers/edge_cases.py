"""Cases beyond the official ones for a grpcio client: what real peers were seen to do at the edges."""

import grpc

import testing_pb as pb
from client_cases import DEADLINE, CaseFailed, Requests, check, check_body, check_status, duplex_request, equal, fails_with

_HEADERS_LIMIT = 5.0
_OCTETS = b" \0 "


def _asking_for(message):
    return pb.SimpleRequest(response_status=pb.EchoStatus(code=2, message=message))


def spaces_at_the_ends(target):
    """A status message that begins and ends with spaces comes back whole.

    Spaces around a metadata value may be gone (PROTOCOL-HTTP2: "may be stripped"), the value may not.
    """
    metadata = (("x-grpc-test-echo-initial", "  in the middle  "), ("x-grpc-test-echo-trailing-bin", _OCTETS))
    with target.stub() as stub:
        for message in (" before", "after ", "  both  ", " "):
            with fails_with(grpc.StatusCode.UNKNOWN, message):
                stub.UnaryCall(_asking_for(message), timeout=DEADLINE)
        call = stub.UnaryCall.future(_asking_for(" with metadata "), timeout=DEADLINE, metadata=metadata)
        check_status(call, grpc.StatusCode.UNKNOWN, " with metadata ")
        echoed = [value.strip() for key, value in call.initial_metadata() if key == metadata[0][0]]
        equal("echo in the initial metadata", echoed, ["in the middle"])
        echoed = [value for key, value in call.trailing_metadata() if key == metadata[1][0]]
        equal("echo in the trailing metadata", echoed, [_OCTETS])


def waits_for_headers(target):
    """The first request is sent when the headers are there: only a server that sends them early serves it."""
    requests = Requests()
    with target.stub() as stub:
        call = stub.FullDuplexCall(iter(requests), timeout=_HEADERS_LIMIT)
        call.initial_metadata()
        if call.done():
            raise CaseFailed(f"no headers: {call.code()}")
        requests.send(duplex_request(8, 9))
        check_body(next(call), 9)
        requests.half_close()
        equal("responses after the half-close", len(list(call)), 0)
        check(call.code() == grpc.StatusCode.OK, f"the call ended with {call.code()}")


EDGES = {case.__name__: case for case in (spaces_at_the_ends, waits_for_headers)}
