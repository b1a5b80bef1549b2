"""The interop server on grpcio (C-core): the whole of TestService.

    grpcio_server.py --port 0        prints `LISTENING <port>`; SIGTERM stops it gracefully
"""

import argparse
import pathlib
import signal
import threading
import time
from concurrent import futures

import grpc

import testing_pb as pb

ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _echo_metadata(context):
    """Echo Metadata: the two well-known keys go back as initial and as trailing metadata."""
    received = context.invocation_metadata()
    initial = tuple((key, value) for key, value in received if key == ECHO_INITIAL)
    trailing = tuple((key, value) for key, value in received if key == ECHO_TRAILING)
    if initial:
        context.send_initial_metadata(initial)
    if trailing:
        context.set_trailing_metadata(trailing)


def _echo_status(message, context):
    """Echo Status: ends the call when the request asks for a status other than OK."""
    if not message.HasField("response_status") or message.response_status.code == 0:
        return
    code = _CODES.get(message.response_status.code)
    if code is None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no status code {message.response_status.code}")
    context.abort(code, message.response_status.message)


def _check_compression(received, context):
    """CompressedRequest: the message must have come as its sender says it did."""
    if not received.message.HasField("expect_compressed"):
        return
    expected = received.message.expect_compressed.value
    if expected != received.compressed:
        what = {True: "compressed", False: "uncompressed"}
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"expected a message {what[expected]}, got it {what[received.compressed]}",
        )


def _payload(kind, size, context):
    if kind != 0:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no payload type {kind}")
    if size < 0:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a payload cannot have {size} bytes")
    return pb.zeros(size)


class TestService:
    """Each request is a `testing_pb.Received`; methods not defined here answer UNIMPLEMENTED."""

    def EmptyCall(self, received, context):
        _echo_metadata(context)
        return pb.Empty()

    def UnaryCall(self, received, context):
        message = received.message
        _check_compression(received, context)
        if message.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        _echo_metadata(context)
        _echo_status(message, context)
        return pb.SimpleResponse(payload=_payload(message.response_type, message.response_size, context))

    def CacheableUnaryCall(self, received, context):
        context.send_initial_metadata((("cache-control", "max-age=60, public"),))
        return pb.SimpleResponse(payload=pb.Payload(body=str(time.time_ns()).encode()))

    def StreamingInputCall(self, requests, context):
        _echo_metadata(context)
        total = 0
        for received in requests:
            _check_compression(received, context)
            total += len(received.message.payload.body)
        return pb.StreamingInputCallResponse(aggregated_payload_size=total)

    def StreamingOutputCall(self, received, context):
        yield from _Download(context).answer(received.message)

    def FullDuplexCall(self, requests, context):
        download = _Download(context)
        for received in requests:
            yield from download.answer(received.message)
        download.begin(None)

    def HalfDuplexCall(self, requests, context):
        download = _Download(context)
        for received in list(requests):
            yield from download.answer(received.message)
        download.begin(None)


class _Download:
    """The sending side of a call with a stream of responses."""

    def __init__(self, context):
        self._context = context
        self._begun = False
        self._compressing = False

    def begin(self, message):
        """Sends the initial metadata, whose `grpc-encoding` the first request decides."""
        if self._begun:
            return
        self._begun = True
        if message is not None and any(p.compressed.value for p in message.response_parameters):
            self._compressing = True
            self._context.set_compression(grpc.Compression.Gzip)
        _echo_metadata(self._context)

    def answer(self, message):
        self.begin(message)
        _echo_status(message, self._context)
        due = time.monotonic()
        for parameters in message.response_parameters:
            due += parameters.interval_us / 1e6
            time.sleep(max(0.0, due - time.monotonic()))
            if not self._context.is_active():
                return
            self._choose_compression(parameters)
            payload = _payload(message.response_type, parameters.size, self._context)
            yield pb.StreamingOutputCallResponse(payload=payload)

    def _choose_compression(self, parameters):
        if parameters.compressed.value and not self._compressing:
            self._context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, "the first request must ask for compression if a later one does"
            )
        if self._compressing and not parameters.compressed.value:
            self._context.disable_next_message_compression()


def start(port, implementation=None, credentials=None):
    """Starts a server on 127.0.0.1 and gives it and its port; port 0 takes a free one."""
    options = (pb.RAW_MESSAGES, ("grpc.so_reuseport", 0))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    server.add_generic_rpc_handlers((pb.handlers("TestService", implementation or TestService()),))
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return server, bound


def main():
    parser = argparse.ArgumentParser(description="gRPC interop server on grpcio")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--use_tls", default="false")
    parser.add_argument("--tls_cert", type=pathlib.Path)
    parser.add_argument("--tls_key", type=pathlib.Path)
    arguments = parser.parse_args()
    credentials = None
    if arguments.use_tls == "true":
        pair = (arguments.tls_key.read_bytes(), arguments.tls_cert.read_bytes())
        credentials = grpc.ssl_server_credentials([pair])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    server, port = start(arguments.port, credentials=credentials)
    print(f"LISTENING {port}", flush=True)
    stop.wait()
    server.stop(grace=2).wait()


if __name__ == "__main__":
    main()
