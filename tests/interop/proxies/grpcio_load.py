"""The load client on grpcio (C-core): the loads of halfclose's interop-load, by the same names.

    grpcio_load.py --server_port P --load uploads:5x4000000,bidi:16x100000x3

Prints `PASS load (what there is to tell)` or `FAIL load: why` for each; exits 0 only when all passed.
"""

import argparse
import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))

import testing_pb as pb  # noqa: E402 - the peers are beside this directory
from client_cases import (  # noqa: E402
    DOWNLOAD_SIZES,
    ECHO_INITIAL,
    UPLOAD_SIZES,
    CaseFailed,
    Requests,
    Target,
    check,
    check_body,
    check_large,
    check_status,
    duplex_request,
    equal,
    fails_with,
    large_request,
)
import grpcio_loads  # noqa: E402
from grpcio_client import run  # noqa: E402

DEADLINE = 15.0
AFTER = 300  # calls at once that find what a call that is over still holds
LEAST_SHARE = 10  # a stream that gets less than this part of its share starves
MESSAGE = '100 % of it: "quoted", comma; semicolon\r\n\u263a and  spaces'
SPACES = (" at the front", "at the end ", "  at both  ", "\ttabs\t", " ")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\0\xff\x0a\x2c")


def _all_at_once(bodies):
    """Runs every body in a thread of its own; raises what the first that failed has raised."""
    bodies = list(bodies)
    with ThreadPoolExecutor(max(1, len(bodies))) as pool:
        return [done.result() for done in [pool.submit(body) for body in bodies]]


def _callers(at_once, calls, call):
    """Makes the calls `call(0)`, `call(1)`…, `at_once` of them at a time."""
    numbers = iter(range(calls))
    failed = threading.Event()

    def caller():
        try:
            while not failed.is_set() and (number := next(numbers, None)) is not None:
                call(number)
        except BaseException:
            failed.set()
            raise

    _all_at_once([caller] * at_once)


def uploads(target, calls, size):
    request = pb.SimpleRequest(payload=pb.zeros(size))
    part = pb.StreamingInputCallRequest(payload=pb.zeros(size))

    def upload(stub, number):
        if number % 2 == 0:
            return check_body(stub.UnaryCall(request, timeout=DEADLINE), 0)
        response = stub.StreamingInputCall(iter([part]), timeout=DEADLINE)
        equal("aggregated_payload_size", response.aggregated_payload_size, size)

    with target.stub() as stub:
        _all_at_once(lambda number=number: upload(stub, number) for number in range(calls))


def refused(target, calls, size):
    """Requests over the limit of the server, and small calls behind them."""
    request = pb.SimpleRequest(payload=pb.zeros(size))
    part = pb.StreamingInputCallRequest(payload=pb.zeros(size))

    def refuse(stub, number):
        with fails_with(grpc.StatusCode.RESOURCE_EXHAUSTED):
            if number % 2 == 0:
                stub.UnaryCall(request, timeout=DEADLINE)
            else:
                stub.StreamingInputCall(iter([part]), timeout=DEADLINE)

    with target.stub() as stub:
        _all_at_once(lambda number=number: refuse(stub, number) for number in range(calls))
        _all_at_once([lambda: _small(stub)] * calls)


def downloads(target, calls, size):
    def download(stub, number):
        if number % 2 == 0:
            return check_body(stub.UnaryCall(pb.SimpleRequest(response_size=size), timeout=DEADLINE), size)
        responses = list(stub.StreamingOutputCall(duplex_request(0, size), timeout=DEADLINE))
        equal("responses", len(responses), 1)
        check_body(responses[0], size)

    with target.stub() as stub:
        _all_at_once(lambda number=number: download(stub, number) for number in range(calls))


def bidi(target, streams, size, seconds):
    until = time.monotonic() + seconds
    request = duplex_request(size, size)

    def stream(stub):
        sent = 0

        def requests():
            nonlocal sent
            while time.monotonic() < until:
                yield request
                sent += 1

        received = 0
        for response in stub.FullDuplexCall(requests(), timeout=DEADLINE + seconds):
            check_body(response, size)
            received += 1
        equal("responses", received, sent)
        return sent

    return _streams(target, streams, stream)


def _streams(target, count, stream):
    with target.stub() as stub:
        sent = _all_at_once([lambda: stream(stub)] * count)
    told = f"{sum(sent)} messages each way, {min(sent)} on the slowest stream"
    check(min(sent) * count * LEAST_SHARE >= sum(sent), f"a stream starves: {told}")
    return told


def turns(target, streams, size, seconds):
    until = time.monotonic() + seconds
    request = duplex_request(size, size)

    def stream(stub):
        sent = 0
        requests = Requests()
        call = stub.FullDuplexCall(iter(requests), timeout=DEADLINE + seconds)
        try:
            while time.monotonic() < until:
                requests.send(request)
                check_body(next(call), size)
                sent += 1
        finally:
            requests.half_close()
        equal("responses after the half-close", len(list(call)), 0)
        return sent

    return _streams(target, streams, stream)


def one_of_four_types(stub, number):
    """One call of the type whose turn it is; small and large ones of each."""
    match number % 6:
        case 0:
            equal("response", stub.EmptyCall(pb.Empty(), timeout=DEADLINE), pb.Empty())
        case 1:
            parts = (pb.StreamingInputCallRequest(payload=pb.zeros(size)) for size in UPLOAD_SIZES)
            response = stub.StreamingInputCall(parts, timeout=DEADLINE)
            equal("aggregated_payload_size", response.aggregated_payload_size, sum(UPLOAD_SIZES))
        case 2:
            responses = list(stub.StreamingOutputCall(duplex_request(0, *DOWNLOAD_SIZES), timeout=DEADLINE))
            equal("sizes", [len(response.payload.body) for response in responses], list(DOWNLOAD_SIZES))
        case 3:
            _ping_pong(stub)
        case 4:
            _small(stub)
        case _:
            check_large(stub.UnaryCall(large_request(), timeout=DEADLINE))


def _ping_pong(stub):
    requests = Requests()
    call = stub.FullDuplexCall(iter(requests), timeout=DEADLINE)
    try:
        for request_size, response_size in zip(UPLOAD_SIZES, DOWNLOAD_SIZES):
            requests.send(duplex_request(request_size, response_size))
            response = next(call, None)
            check(response is not None, "the stream ended before every request was answered")
            check_body(response, response_size)
    finally:
        requests.half_close()
    equal("responses after the half-close", len(list(call)), 0)


def _small(stub):
    request = pb.SimpleRequest(response_size=10, payload=pb.zeros(10))
    check_body(stub.UnaryCall(request, timeout=DEADLINE), 10)


def four_types(target, callers, calls):
    with target.stub() as stub:
        _callers(callers, calls, lambda number: one_of_four_types(stub, number))


def _status(stub, code, message):
    status = pb.EchoStatus(code=code.value[0], message=message)
    try:
        stub.UnaryCall(pb.SimpleRequest(response_status=status), timeout=DEADLINE, metadata=(TRAILING,))
    except grpc.RpcError as error:
        check_status(error, code, message)
        echoed = [value for key, value in error.trailing_metadata() if key == TRAILING[0]]
        equal("trailing metadata", echoed, [TRAILING[1]])
    else:
        raise CaseFailed(f"the call succeeded, want {code}")


def trailers_only(target, calls):
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    with target.stub() as stub, target.stub("UnimplementedService") as other:
        _callers(16, calls * len(codes), lambda number: _status(stub, codes[number % len(codes)], MESSAGE))
        for _ in range(calls):
            for method in (stub.UnimplementedCall, other.UnimplementedCall):
                with fails_with(grpc.StatusCode.UNIMPLEMENTED):
                    method(pb.Empty(), timeout=DEADLINE)


def spaces(target, calls):
    with target.stub() as stub:
        for number in range(calls * len(SPACES)):
            _status(stub, grpc.StatusCode.NOT_FOUND, SPACES[number % len(SPACES)])


def metadata(target, size):
    sent = (ECHO_INITIAL[0], "m" * size)
    request = pb.SimpleRequest(response_size=10, payload=pb.zeros(10))
    with target.stub() as stub:
        for _ in range(3):
            _, call = stub.UnaryCall.with_call(request, timeout=DEADLINE, metadata=(sent,))
            echoed = [len(value) for key, value in call.initial_metadata() if key == sent[0]]
            equal("lengths of the values that came back", echoed, [size])


def _run_out(stub, number):
    """A call that is never answered, because its client never half-closes."""
    requests = Requests()
    requests.send(duplex_request(1000))
    try:
        with fails_with(grpc.StatusCode.DEADLINE_EXCEEDED):
            list(stub.FullDuplexCall(iter(requests), timeout=(5 + number % 50) / 1000))
    finally:
        requests.half_close()


def _none_is_left(stub):
    request = pb.SimpleRequest(response_size=10, payload=pb.zeros(10))
    calls = [stub.UnaryCall.future(request, timeout=DEADLINE) for _ in range(AFTER)]
    for call in calls:
        check_body(call.result(), 10)


def deadlines(target, callers, calls):
    with target.stub() as stub:
        _callers(callers, calls, lambda number: _run_out(stub, number))
        _none_is_left(stub)


def _given_up(stub, number):
    match number % 4:
        case 0:
            request = pb.SimpleRequest(response_size=10000, payload=pb.zeros(10000))
            stub.UnaryCall.future(request, timeout=DEADLINE).cancel()
        case 1:
            parts = itertools.repeat(pb.StreamingInputCallRequest(payload=pb.zeros(100_000)), 2)
            call = stub.StreamingInputCall.future(_then_wait(parts), timeout=DEADLINE)
            time.sleep(0.002)
            call.cancel()
        case 2:
            requests = Requests()
            requests.send(duplex_request(10, 10))
            call = stub.FullDuplexCall(iter(requests), timeout=DEADLINE)
            check_body(next(call), 10)
            call.cancel()
            requests.half_close()
            check_status(call, grpc.StatusCode.CANCELLED)
        case _:
            sizes = [10] * 100 if number % 8 == 3 else [30_000] * 20
            call = stub.StreamingOutputCall(duplex_request(0, *sizes), timeout=DEADLINE)
            check_body(next(call), sizes[0])
            call.cancel()


def _then_wait(parts):
    """The parts, and then nothing until the call is over: C-core drops the iterator then."""
    yield from parts
    time.sleep(0.05)


def cancels(target, callers, calls):
    def one(stub, number):
        match number % 10:
            case 3:
                _given_up(stub, number // 10)
            case 8:
                _run_out(stub, number)
            case other:
                one_of_four_types(stub, number // 10 + other)

    with target.stub() as stub:
        _callers(callers, calls, lambda number: one(stub, number))
        _none_is_left(stub)


def _of_the_peers(case):
    """A load of the suite of the peers: so many callers, who make so many calls in all."""

    def load(target, callers, calls):
        target.at_once, target.calls = callers, calls
        return case(target)

    return load


# What C-core says of a stream above the last one that a GOAWAY names; one that was accepted and cut is "Socket closed".
_NOT_PROCESSED = "Stream removed (GOAWAY received"


class _Outage:
    """Load while whatever stands between the callers and the server is replaced, or dies and comes back."""

    WARM = 50
    STREAMS = 4

    def __init__(self, cuts, seconds):
        self._cuts = cuts
        self._seconds = seconds
        self._lock = threading.Lock()
        self._until = None
        self._made = 0
        self._again = 0
        self._cut = 0
        self._first_cut = ""

    def run(self, target, callers):
        with target.stub() as stub:
            bodies = [lambda first=first: self._caller(stub, first) for first in range(callers)]
            _all_at_once(bodies + [lambda: self._settle(lambda: self._stream(stub))] * self.STREAMS)
            one_of_four_types(stub, 0)
        check(not self._cuts or self._cut, "nothing was cut: was there an outage?")
        return f"{self._made} calls, {self._again} made again, {self._cut} cut{self._first_cut}"

    def _caller(self, stub, first):
        number = first
        while not self._is_over():
            self._settle(lambda: one_of_four_types(stub, number))
            number += 1

    def _stream(self, stub):
        requests = Requests()
        call = stub.FullDuplexCall(iter(requests), timeout=DEADLINE + self._seconds)
        try:
            while not self._is_over():
                requests.send(duplex_request(100, 100))
                check_body(next(call), 100)
                time.sleep(0.02)
        finally:
            requests.half_close()
        equal("responses after the half-close", len(list(call)), 0)

    def _settle(self, body):
        try:
            body()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            if error.details().startswith(_NOT_PROCESSED):
                with self._lock:
                    self._again += 1
                return
            if not self._cuts:
                raise
            with self._lock:
                self._cut += 1
                self._first_cut = self._first_cut or f" ({error.details()})"
            # C-core connects again after a while.
            time.sleep(0.05)
        else:
            with self._lock:
                self._made += 1
                if self._made == self.WARM:
                    self._until = time.monotonic() + self._seconds
                    print("STARTED", flush=True)

    def _is_over(self):
        return self._until is not None and self._until <= time.monotonic()


def reload(target, callers, seconds):
    return _Outage(False, seconds).run(target, callers)


def restart(target, callers, seconds):
    return _Outage(True, seconds).run(target, callers)


LOADS = {
    load.__name__: load
    for load in (
        *(uploads, refused, downloads, bidi, turns, four_types, trailers_only, spaces, metadata),
        *(deadlines, cancels, reload, restart),
    )
} | {name: _of_the_peers(grpcio_loads.LOADS[name]) for name in ("ended_early", "dropped_early")}


def _parse(text):
    name, _, numbers = text.partition(":")
    if name not in LOADS:
        raise argparse.ArgumentTypeError(f"{text}: no such load")
    try:
        return text, LOADS[name], [int(number) for number in numbers.split("x")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def main():
    parser = argparse.ArgumentParser(description="load client on grpcio")
    parser.add_argument("--server_host", default="127.0.0.1")
    parser.add_argument("--server_port", type=int, required=True)
    parser.add_argument("--load", type=lambda text: [_parse(one) for one in text.split(",")], required=True)
    arguments = parser.parse_args()
    target = Target(arguments.server_host, arguments.server_port)
    failed = False
    for text, load, numbers in arguments.load:
        began = time.monotonic()
        why, told = run(text, lambda target: load(target, *numbers), target)
        took = f"{time.monotonic() - began:.2f} s"
        failed = failed or why is not None
        what = f"{took}, {told}" if told else took
        print(f"PASS {text} ({what})" if why is None else f"FAIL {text}: {why}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
