"""Cases under load for a grpcio client: one function a case; each gives what it has seen, or raises `CaseFailed`."""

import itertools
import statistics
import threading
import time
from concurrent import futures

import grpc

import testing_pb as pb
from client_cases import DEADLINE, CaseFailed, check, check_body, check_status, duplex_request, equal

_TINY = 6  # bytes of the payload's body in a message of ten bytes
_UNDER_WAY = 400  # messages that are sent, and asked for, of each call that ends early
_SMALL_LIMIT = 5.0  # the deadline of a call that nothing may hold up
_STALLED_CALLS, _STALLED_SIZE, _STALLED_LIMIT = 20, 1 << 20, 20.0
_BESIDE_STALLED = 200
_BUSY_US = 30_000_000  # how long the handler of an upload that stands still is busy: longer than the case


def _in_parallel(at_once, calls, one):
    """Runs `one(number)` for each number below `calls`, `at_once` of them at a time; all of them, whichever fail."""
    failures = []

    def run(number):
        try:
            one(number)
        except (grpc.RpcError, CaseFailed) as error:
            failures.append(f"{error.code()} {error.details()!r}" if isinstance(error, grpc.RpcError) else str(error))

    with futures.ThreadPoolExecutor(at_once) as threads:
        list(threads.map(run, range(calls)))
    check(not failures, f"{len(failures)} of {calls} calls failed, the first: {failures[:1]}")


def _load(target, one, at_once=None):
    """Runs `one(stub, number)` for each call of the load on one connection, and says how long that took."""
    began = time.monotonic()
    with target.stub() as stub:
        _in_parallel(at_once or target.at_once, target.calls, lambda number: one(stub, number))
    return f"{target.calls} calls in {time.monotonic() - began:.1f} s"


def _small(stub):
    """A call of one octet each way, which nothing may hold up."""
    check_body(stub.UnaryCall(pb.SimpleRequest(response_size=1, payload=pb.zeros(1)), timeout=_SMALL_LIMIT), 1)


def many_unary(target):
    return _load(target, lambda stub, _: _small(stub), at_once=1)


class _Conversation:
    """Requests, each of which waits for the answer to the one before."""

    def __init__(self, messages):
        self._left = messages
        self._answered = threading.Semaphore()

    def answered(self):
        self._answered.release()

    def __iter__(self):
        for _ in range(self._left):
            self._answered.acquire()
            yield duplex_request(10, 10)


def long_bidi(target):
    messages = target.calls // target.at_once
    began = time.monotonic()

    def one(stub):
        requests = _Conversation(messages)
        call = stub.FullDuplexCall(iter(requests), timeout=60.0)
        received = 0
        for response in call:
            check_body(response, 10)
            received += 1
            requests.answered()
        equal("responses", received, messages)

    with target.stub() as stub:
        _in_parallel(target.at_once, target.at_once, lambda _: one(stub))
    return f"{target.at_once} streams of {messages} in {time.monotonic() - began:.1f} s"


def _tiny_requests(first):
    yield first
    for _ in range(_UNDER_WAY):
        yield duplex_request(_TINY)


def ended_early(target):
    """The server ends each call at once, while messages of ten bytes are under way to it."""
    status = pb.EchoStatus(code=9, message="early")
    request = pb.StreamingOutputCallRequest(response_status=status)

    def one(stub, _):
        call = stub.FullDuplexCall(_tiny_requests(request), timeout=DEADLINE)
        check_status(call, grpc.StatusCode.FAILED_PRECONDITION, "early")

    return _load(target, one)


def dropped_early(target):
    """The client drops each call while messages of ten bytes are under way both ways."""
    request = duplex_request(0, *[_TINY] * _UNDER_WAY)

    def one(stub, _):
        call = stub.FullDuplexCall(_tiny_requests(request), timeout=DEADLINE)
        for response in itertools.islice(call, 3):
            check_body(response, _TINY)
        call.cancel()

    return _load(target, one)


def _unanswered(*sizes):
    """A request for responses, behind which comes one that nobody waits for."""
    request = duplex_request(0, *sizes, 1)
    request.response_parameters[-1].interval_us = _BUSY_US
    return request


def _out_of_time(stub, limit):
    call = stub.StreamingOutputCall(_unanswered(), timeout=limit)
    check_status(call, grpc.StatusCode.DEADLINE_EXCEEDED)


def expired_deadlines(target):
    return _load(target, lambda stub, number: _out_of_time(stub, 0.02 + number % 40 / 1000))


def _cancelled(stub):
    call = stub.StreamingOutputCall(_unanswered(31415), timeout=DEADLINE)
    check_body(next(call), 31415)
    call.cancel()
    check_status(call, grpc.StatusCode.CANCELLED)


def mixed_ends(target):
    """Calls of which one in five is cancelled or out of time; the others must end well."""
    until = time.monotonic() + target.seconds
    ended = {"well": 0, "badly": 0}
    lock = threading.Lock()

    def one_after_another(stub, first):
        for number in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count(first)):
            if number % 5:
                _small(stub)
            elif number % 2:
                _cancelled(stub)
            else:
                _out_of_time(stub, 0.01)
            with lock:
                ended["well" if number % 5 else "badly"] += 1

    with target.stub() as stub:
        _in_parallel(target.at_once, target.at_once, lambda first: one_after_another(stub, first))
    return f"{ended['well']} calls ended well, {ended['badly']} were cancelled or out of time"


def _small_calls(stub):
    """Makes the small calls, and says how long they took."""
    took = []
    for _ in range(_BESIDE_STALLED):
        began = time.monotonic()
        _small(stub)
        took.append(1000 * (time.monotonic() - began))
    return f"p50 {statistics.median(took):.1f} ms, worst {max(took):.1f} ms"


def stalled_downloads(target):
    """Small calls while others have messages of 1 MiB that nobody receives; these are received at the end."""
    request = duplex_request(0, _STALLED_SIZE, _STALLED_SIZE)
    with target.stub() as stub:
        stalled = [stub.StreamingOutputCall(request, timeout=_STALLED_LIMIT) for _ in range(_STALLED_CALLS)]
        for call in stalled:
            call.initial_metadata()
        said = _small_calls(stub)
        for call in stalled:
            responses = list(call)
            equal("responses", len(responses), 2)
            for response in responses:
                check_body(response, _STALLED_SIZE)
    return said


def stalled_uploads(target):
    """Small calls while others send messages of 1 MiB to handlers that do not receive them."""

    def requests():
        # The handler answers once, and is busy with its second answer then.
        yield _unanswered(1)
        while True:
            yield duplex_request(_STALLED_SIZE)

    with target.stub() as stub:
        stalled = [stub.FullDuplexCall(requests(), timeout=_STALLED_LIMIT) for _ in range(_STALLED_CALLS)]
        for call in stalled:
            check_body(next(call), 1)
        said = _small_calls(stub)
        for call in stalled:
            call.cancel()
    return said


LOADS = {
    case.__name__: case
    for case in (
        *(many_unary, long_bidi, ended_early, dropped_early, expired_deadlines, mixed_ends),
        *(stalled_downloads, stalled_uploads),
    )
}
