"""The interop cases for a grpcio client: one function a case; each raises `CaseFailed` when something is not as described."""

import contextlib
import queue
import time
from dataclasses import dataclass

import grpc

import testing_pb as pb
from wire_tap import WireTap

DEADLINE = 25.0
AT_ONCE_LIMIT = 80.0  # of calls that are all made at once: more than any peer needs for all of them
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
UPLOAD_SIZES = (27182, 8, 1828, 45904)
DOWNLOAD_SIZES = (31415, 9, 2653, 58979)
ECHO_INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
ECHO_TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
CANCEL = 8  # RFC 9113 §7


class CaseFailed(Exception):
    """A case met something other than its description says."""


def check(condition, why):
    if not condition:
        raise CaseFailed(why)


def equal(what, got, want):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


@dataclass
class Target:
    """The server under test, and the numbers of the load cases."""

    host: str
    port: int
    concurrency: int = 1000
    soak_iterations: int = 100
    soak_max_failures: int = 0
    soak_max_latency_ms: int = 1000
    calls: int = 1000
    at_once: int = 1
    seconds: float = 1.0
    # With TLS: the authorities, and the name in the server's certificate.
    ca_file: str | None = None
    name: str | None = None

    def channel(self, address, options):
        if self.ca_file is None:
            return grpc.insecure_channel(address, options)
        with open(self.ca_file, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        return grpc.secure_channel(address, credentials, (*options, ("grpc.ssl_target_name_override", self.name)))

    @contextlib.contextmanager
    def stub(self, service="TestService", port=None):
        """A stub on a connection of its own."""
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        with self.channel(f"{self.host}:{port or self.port}", options) as channel:
            yield pb.Stub(channel, service)

    @contextlib.contextmanager
    def tapped_stub(self):
        """A stub whose connection goes through a tap that reads the frames."""
        with WireTap(self.host, self.port) as tap, self.stub(port=tap.port) as stub:
            yield stub, tap
            equal("frames that could not be read", tap.errors, [])


def large_request(**more):
    return pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=pb.zeros(LARGE_REQUEST), **more)


def check_body(response, size):
    equal("bytes in the payload body", len(response.payload.body), size)
    check(response.payload.body == bytes(size), "the payload body is not all zeros")
    equal("payload type", response.payload.type, 0)


def check_large(response):
    check_body(response, LARGE_RESPONSE)


def check_status(call, code, message=None):
    """`call` is a finished call or the RpcError that it raised."""
    equal("status code", call.code(), code)
    if message is not None:
        equal("status message", call.details(), message)


@contextlib.contextmanager
def fails_with(code, message=None):
    try:
        yield
    except grpc.RpcError as error:
        check_status(error, code, message)
    else:
        raise CaseFailed(f"the call succeeded, want {code}")


def check_flags(half, want):
    """The compressed flag of each message, and that its bytes agree with it and with grpc-encoding."""
    equal("compressed flags on the wire", [message.flag for message in half.messages], want)
    encoding = dict(half.header_blocks[0]).get("grpc-encoding", "identity")
    for message in half.messages:
        packed = message.is_gzip if encoding == "gzip" else message.is_zlib
        equal(f"flag and bytes agree (grpc-encoding {encoding})", bool(message.flag), packed)


def empty_unary(target):
    with target.tapped_stub() as (stub, tap):
        response = stub.EmptyCall(pb.Empty(), timeout=DEADLINE)
        equal("response", response, pb.Empty())
        call = tap.calls[0]
        for side, half in (("request", call.request), ("response", call.response)):
            equal(f"{side} messages (flag, bytes)", [(m.flag, m.length) for m in half.messages], [(0, 0)])


def large_unary(target):
    with target.stub() as stub:
        check_large(stub.UnaryCall(large_request(), timeout=DEADLINE))


def client_compressed_unary(target):
    expect = large_request(expect_compressed=pb.BoolValue(value=True))
    expect_not = large_request(expect_compressed=pb.BoolValue(value=False))
    with target.tapped_stub() as (stub, tap):
        with fails_with(grpc.StatusCode.INVALID_ARGUMENT):
            stub.UnaryCall(expect, timeout=DEADLINE)
        check_large(stub.UnaryCall(expect, timeout=DEADLINE, compression=grpc.Compression.Gzip))
        check_large(stub.UnaryCall(expect_not, timeout=DEADLINE))
        equal("calls on the wire", len(tap.calls), 3)
        for call, flag in zip(tap.calls, (0, 1, 0)):
            check_flags(call.request, [flag])


def server_compressed_unary(target):
    with target.tapped_stub() as (stub, tap):
        for compressed in (True, False):
            request = large_request(response_compressed=pb.BoolValue(value=compressed))
            check_large(stub.UnaryCall(request, timeout=DEADLINE))
            check_flags(tap.calls[-1].response, [int(compressed)])


def client_streaming(target):
    requests = (pb.StreamingInputCallRequest(payload=pb.zeros(size)) for size in UPLOAD_SIZES)
    with target.stub() as stub:
        response = stub.StreamingInputCall(requests, timeout=DEADLINE)
    equal("aggregated_payload_size", response.aggregated_payload_size, 74922)


def client_compressed_streaming(target):
    def request(size, compressed):
        return pb.StreamingInputCallRequest(
            payload=pb.zeros(size), expect_compressed=pb.BoolValue(value=compressed)
        )

    with target.tapped_stub() as (stub, tap):
        with fails_with(grpc.StatusCode.INVALID_ARGUMENT):
            stub.StreamingInputCall(iter([request(27182, True)]), timeout=DEADLINE)
        requests = [request(27182, True), pb.Uncompressed(request(45904, False))]
        response = stub.StreamingInputCall(
            iter(requests), timeout=DEADLINE, compression=grpc.Compression.Gzip
        )
        equal("aggregated_payload_size", response.aggregated_payload_size, 73086)
        equal("calls on the wire", len(tap.calls), 2)
        check_flags(tap.calls[0].request, [0])
        check_flags(tap.calls[1].request, [1, 0])


def server_streaming(target):
    request = pb.StreamingOutputCallRequest(
        response_parameters=[pb.ResponseParameters(size=size) for size in DOWNLOAD_SIZES]
    )
    with target.stub() as stub:
        responses = list(stub.StreamingOutputCall(request, timeout=DEADLINE))
    equal("sizes", [len(response.payload.body) for response in responses], list(DOWNLOAD_SIZES))
    for response, size in zip(responses, DOWNLOAD_SIZES):
        check_body(response, size)


def server_compressed_streaming(target):
    wanted = ((31415, True), (92653, False))
    request = pb.StreamingOutputCallRequest(
        response_parameters=[
            pb.ResponseParameters(size=size, compressed=pb.BoolValue(value=compressed))
            for size, compressed in wanted
        ]
    )
    with target.tapped_stub() as (stub, tap):
        responses = list(stub.StreamingOutputCall(request, timeout=DEADLINE))
        equal("responses", len(responses), 2)
        for response, (size, _) in zip(responses, wanted):
            check_body(response, size)
        check_flags(tap.calls[0].response, [1, 0])


class Requests:
    """The sending side of a stream that the case drives by hand."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def send(self, message):
        self._queue.put(message)

    def half_close(self):
        self._queue.put(None)

    def __iter__(self):
        return iter(self._queue.get, None)


def duplex_request(request_size, *response_sizes):
    return pb.StreamingOutputCallRequest(
        payload=pb.zeros(request_size),
        response_parameters=[pb.ResponseParameters(size=size) for size in response_sizes],
    )


def ping_pong(target):
    requests = Requests()
    with target.stub() as stub:
        call = stub.FullDuplexCall(iter(requests), timeout=DEADLINE)
        for request_size, response_size in zip(UPLOAD_SIZES, DOWNLOAD_SIZES):
            requests.send(duplex_request(request_size, response_size))
            response = next(call, None)
            check(response is not None, "the stream ended before every request was answered")
            check_body(response, response_size)
        requests.half_close()
        equal("responses after the half-close", len(list(call)), 0)
        check_status(call, grpc.StatusCode.OK)


def empty_stream(target):
    with target.stub() as stub:
        call = stub.FullDuplexCall(iter(()), timeout=DEADLINE)
        equal("responses", len(list(call)), 0)
        check_status(call, grpc.StatusCode.OK)


def _check_echo(call):
    """A value that repeats or is missing is a failure, as is one under another key."""
    for where, metadata, (key, value) in (
        ("initial", call.initial_metadata(), ECHO_INITIAL),
        ("trailing", call.trailing_metadata(), ECHO_TRAILING),
    ):
        equal(f"{key} in the {where} metadata", [v for k, v in metadata if k == key], [value])


def custom_metadata(target):
    metadata = (ECHO_INITIAL, ECHO_TRAILING)
    with target.stub() as stub:
        response, call = stub.UnaryCall.with_call(large_request(), timeout=DEADLINE, metadata=metadata)
        check_large(response)
        _check_echo(call)
        request = duplex_request(LARGE_REQUEST, LARGE_RESPONSE)
        call = stub.FullDuplexCall(iter([request]), timeout=DEADLINE, metadata=metadata)
        responses = list(call)
        equal("responses", len(responses), 1)
        check_large(responses[0])
        check_status(call, grpc.StatusCode.OK)
        _check_echo(call)


def status_code_and_message(target):
    status = pb.EchoStatus(code=2, message="test status message")
    with target.stub() as stub:
        with fails_with(grpc.StatusCode.UNKNOWN, status.message):
            stub.UnaryCall(pb.SimpleRequest(response_status=status), timeout=DEADLINE)
        request = pb.StreamingOutputCallRequest(response_status=status)
        with fails_with(grpc.StatusCode.UNKNOWN, status.message):
            list(stub.FullDuplexCall(iter([request]), timeout=DEADLINE))


def special_status_message(target):
    status = pb.EchoStatus(code=2, message=SPECIAL_MESSAGE)
    with target.stub() as stub, fails_with(grpc.StatusCode.UNKNOWN, SPECIAL_MESSAGE):
        stub.UnaryCall(pb.SimpleRequest(response_status=status), timeout=DEADLINE)


def unimplemented_method(target):
    with target.stub() as stub, fails_with(grpc.StatusCode.UNIMPLEMENTED):
        stub.UnimplementedCall(pb.Empty(), timeout=DEADLINE)


def unimplemented_service(target):
    with target.stub("UnimplementedService") as stub, fails_with(grpc.StatusCode.UNIMPLEMENTED):
        stub.UnimplementedCall(pb.Empty(), timeout=DEADLINE)


def _check_reset(tap):
    seen = tap.wait_for(lambda calls: calls[0].request.reset is not None)
    check(seen, "no RST_STREAM left the client")
    equal("error code of the RST_STREAM", tap.calls[0].request.reset, CANCEL)


def cancel_after_begin(target):
    requests = Requests()
    with target.tapped_stub() as (stub, tap):
        call = stub.StreamingInputCall.future(iter(requests), timeout=DEADLINE)
        began = tap.wait_for(lambda calls: calls and calls[0].request.header_blocks)
        check(began, "the request headers did not leave")
        call.cancel()
        requests.half_close()
        check(call.cancelled(), "the call does not count as cancelled")
        check_status(call, grpc.StatusCode.CANCELLED)
        _check_reset(tap)
        equal("messages sent", tap.calls[0].request.messages, [])


def cancel_after_first_response(target):
    requests = Requests()
    with target.tapped_stub() as (stub, tap):
        call = stub.FullDuplexCall(iter(requests), timeout=DEADLINE)
        requests.send(duplex_request(27182, 31415))
        check_body(next(call), 31415)
        call.cancel()
        requests.half_close()
        with fails_with(grpc.StatusCode.CANCELLED):
            list(call)
        check_status(call, grpc.StatusCode.CANCELLED)
        _check_reset(tap)


def timeout_on_sleeping_server(target):
    requests = Requests()
    requests.send(duplex_request(27182))
    began = time.monotonic()
    with target.stub() as stub, fails_with(grpc.StatusCode.DEADLINE_EXCEEDED):
        list(stub.FullDuplexCall(iter(requests), timeout=0.001))
    requests.half_close()
    check(time.monotonic() - began < 5, "a deadline of 1 ms took more than 5 s")


def concurrent_large_unary(target):
    """All calls are started on one connection before the first is waited for."""
    request = large_request()
    with target.stub() as stub:
        calls = [stub.UnaryCall.future(request, timeout=AT_ONCE_LIMIT) for _ in range(target.concurrency)]
        calls.reverse()
        while calls:
            check_large(calls.pop().result())


def _soak(target, one_call):
    failures, worst = [], 0.0
    for number in range(target.soak_iterations):
        began = time.monotonic()
        try:
            check_large(one_call())
        except (grpc.RpcError, CaseFailed) as error:
            failures.append(f"call {number}: {error}")
            continue
        took = 1000 * (time.monotonic() - began)
        worst = max(worst, took)
        if took > target.soak_max_latency_ms:
            failures.append(f"call {number} took {took:.0f} ms")
    check(
        len(failures) <= target.soak_max_failures,
        f"{len(failures)} of {target.soak_iterations} failed (slowest {worst:.0f} ms); first: {failures[:1]}",
    )


def rpc_soak(target):
    with target.stub() as stub:
        _soak(target, lambda: stub.UnaryCall(large_request(), timeout=DEADLINE))


def channel_soak(target):
    def one_call():
        with target.stub() as stub:
            return stub.UnaryCall(large_request(), timeout=DEADLINE)

    _soak(target, one_call)


CORE = (
    empty_unary,
    large_unary,
    client_compressed_unary,
    server_compressed_unary,
    client_streaming,
    client_compressed_streaming,
    server_streaming,
    server_compressed_streaming,
    ping_pong,
    empty_stream,
    custom_metadata,
    status_code_and_message,
    special_status_message,
    unimplemented_method,
    unimplemented_service,
    cancel_after_begin,
    cancel_after_first_response,
    timeout_on_sleeping_server,
)
LOAD = (concurrent_large_unary, rpc_soak, channel_soak)
CASES = {case.__name__: case for case in CORE + LOAD}
