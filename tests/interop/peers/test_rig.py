"""Shows that the rig catches what it is for: peers with one fault each must fail, and a good raw client must pass.

    test_rig.py      (unittest; needs the Python of setup.sh)
"""

import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.events
from hyperframe.frame import DataFrame, Frame, PingFrame

import grpcio_server
import roster
import testing_pb as pb
from client_cases import CASES, LARGE_REQUEST, LARGE_RESPONSE, Target
from grpcio_client import run
from processes import Server, peer
from wire_tap import FrameCounter

_HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/grpc.testing.TestService/UnaryCall"),
    (":authority", "127.0.0.1"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


class RawClient:
    """A gRPC client on h2 and a blocking socket, with switches for its faults."""

    def __init__(self, port, ack_pings=True, credit_padding=True, patience=10):
        self._ack_pings = ack_pings
        self._credit_padding = credit_padding
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._bodies = {}
        self._unsent = {}
        self.results = {}
        self.went_away = False
        self.stream_limit = None
        self._send()

    def close(self):
        self._socket.close()

    def start(self, path=None):
        """Begins a large unary call; gives its stream id."""
        stream_id = self._h2.get_next_available_stream_id()
        headers = [(name, path if path and name == ":path" else value) for name, value in _HEADERS]
        self._h2.send_headers(stream_id, headers)
        request = pb.SimpleRequest(response_size=LARGE_RESPONSE, payload=pb.zeros(LARGE_REQUEST))
        payload = request.SerializeToString()
        self._unsent[stream_id] = b"\0" + len(payload).to_bytes(4, "big") + payload
        self._bodies[stream_id] = bytearray()
        self._push()
        return stream_id

    def run_until(self, condition):
        """Reads and answers frames until `condition()`; raises OSError when the server leaves or is silent."""
        while not condition():
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            for event in self._h2.receive_data(data):
                self._handle(event)
            self._push()

    def call(self):
        """One large unary call; gives (status, bytes of the body)."""
        stream_id = self.start()
        self.run_until(lambda: stream_id in self.results)
        return self.results[stream_id]

    def _handle(self, event):
        match event:
            case h2.events.DataReceived():
                credit = event.flow_controlled_length if self._credit_padding else len(event.data)
                self._h2.acknowledge_received_data(credit, event.stream_id)
                self._bodies[event.stream_id] += event.data
            case h2.events.TrailersReceived():
                status = dict(event.headers)["grpc-status"]
                self.results[event.stream_id] = (status, len(self._bodies[event.stream_id]))
            case h2.events.StreamReset():
                self._unsent.pop(event.stream_id, None)
                self.results[event.stream_id] = ("reset", len(self._bodies[event.stream_id]))
            case h2.events.ConnectionTerminated():
                self.went_away = True
            case h2.events.RemoteSettingsChanged():
                self.stream_limit = self._h2.remote_settings.max_concurrent_streams

    def _push(self):
        if self.went_away and self._unsent:
            raise ConnectionError("the server has closed the connection")
        for stream_id, payload in list(self._unsent.items()):
            while payload and (room := min(self._h2.local_flow_control_window(stream_id), 16384)) > 0:
                self._h2.send_data(stream_id, payload[:room], end_stream=len(payload) <= room)
                payload = payload[room:]
            self._unsent[stream_id] = payload
            if not payload:
                del self._unsent[stream_id]
        self._send()

    def _send(self):
        payload = self._h2.data_to_send()
        self._socket.sendall(payload if self._ack_pings else _without_ping_acks(payload))


def _without_ping_acks(payload):
    kept = bytearray()
    if payload.startswith(b"PRI"):
        kept, payload = bytearray(payload[:24]), payload[24:]
    while payload:
        frame, length = Frame.parse_frame_header(memoryview(payload[:9]))
        if not isinstance(frame, PingFrame):
            kept += payload[: 9 + length]
        payload = payload[9 + length :]
    return bytes(kept)


class NegativeServer(unittest.TestCase):
    """The verdict of negative_server.py on good and on faulty clients."""

    def verdict(self, case, client, **options):
        """Runs `client(make)` against the case; `make()` gives a RawClient. Gives the verdict line.

        That the server leaves a faulty client, or that both wait, is no error here: the verdict tells.
        """
        with Server(peer("negative_server.py", "--port", 0, "--test_case", case)) as server:
            clients = []

            def make():
                clients.append(RawClient(server.port, **options))
                return clients[-1]

            try:
                client(make)
            except OSError:
                pass
            finally:
                for one in clients:
                    one.close()
            if server.wait(1.0) is None:
                server.terminate()
            code = server.wait(0)
            line = server.output.splitlines()[-1]
        self.assertEqual(code, 0 if line == "VERDICT ok" else 1)
        return line

    def one_call(self, want):
        def client(make):
            self.assertEqual(make().call(), want)

        return client

    FULL = LARGE_RESPONSE + 13  # prefix, two protobuf tags and two lengths

    def test_good_client(self):
        for case in ("ping", "data_frame_padding", "no_df_padding_sanity_test"):
            with self.subTest(case):
                self.assertEqual(self.verdict(case, self.one_call(("0", self.FULL))), "VERDICT ok")
        for case, payload in (
            ("rst_after_header", 0),
            ("rst_during_data", self.FULL // 2),
            ("rst_after_data", self.FULL),
        ):
            with self.subTest(case):
                self.assertEqual(self.verdict(case, self.one_call(("reset", payload))), "VERDICT ok")

    def test_pings_not_acknowledged(self):
        verdict = self.verdict("ping", lambda make: make().call(), ack_pings=False)
        self.assertIn("PINGs were acknowledged", verdict)

    def test_padding_not_credited(self):
        verdict = self.verdict("data_frame_padding", lambda make: make().call(), credit_padding=False, patience=2)
        self.assertIn("before a window for byte", verdict)

    def test_goaway(self):
        def good(make):
            first = make()
            first.call()
            first.run_until(lambda: first.went_away)
            make().call()

        self.assertEqual(self.verdict("goaway", good), "VERDICT ok")
        self.assertIn("1 connections were made", self.verdict("goaway", lambda make: make().call()))

    def test_max_streams(self):
        def client(at_once):
            def run_it(make):
                one = make()
                one.call()
                self.assertEqual(one.stream_limit, 1)
                # h2 would refuse a second stream itself: a client with the fault believes in more
                if at_once > 1:
                    one._h2.remote_settings.max_concurrent_streams = at_once
                    one._h2.remote_settings.acknowledge()
                for _ in range(10 // at_once):
                    ids = [one.start() for _ in range(at_once)]
                    one.run_until(lambda ids=ids: all(i in one.results for i in ids))

            return run_it

        self.assertEqual(self.verdict("max_streams", client(1)), "VERDICT ok")
        self.assertIn("TooManyStreamsError", self.verdict("max_streams", client(2)))

    def test_wrong_path(self):
        def client(make):
            one = make()
            stream_id = one.start("/grpc.testing.TestService/EmptyCall")
            one.run_until(lambda: stream_id in one.results)

        self.assertIn("request header :path", self.verdict("no_df_padding_sanity_test", client))

    def test_no_client(self):
        self.assertIn("0 of 1 requests", self.verdict("ping", lambda make: None))


class GrpcioClient(unittest.TestCase):
    """Each fault of a server makes the named cases fail, and no fault makes none fail."""

    def failed(self, service, names):
        server, port = grpcio_server.start(0, service)
        target = Target("127.0.0.1", port, concurrency=4, soak_iterations=3)
        try:
            return {name for name in names if run(name, CASES[name], target)[0] is not None}
        finally:
            server.stop(None).wait()

    def test_good_server(self):
        self.assertEqual(self.failed(grpcio_server.TestService(), CASES), set())

    def test_nothing_compressed(self):
        class Service(grpcio_server.TestService):
            def UnaryCall(self, received, context):
                context.set_compression = lambda _: None
                return super().UnaryCall(received, context)

            def StreamingOutputCall(self, received, context):
                context.set_compression = lambda _: None
                return super().StreamingOutputCall(received, context)

        cases = {"server_compressed_unary", "server_compressed_streaming"}
        self.assertEqual(self.failed(Service(), cases | {"large_unary", "server_streaming"}), cases)

    def test_everything_compressed(self):
        class Service(grpcio_server.TestService):
            def UnaryCall(self, received, context):
                context.set_compression(grpc.Compression.Gzip)
                return super().UnaryCall(received, context)

        self.assertEqual(self.failed(Service(), {"server_compressed_unary"}), {"server_compressed_unary"})

    def test_compression_not_checked(self):
        class Service(grpcio_server.TestService):
            def UnaryCall(self, received, context):
                received.message.ClearField("expect_compressed")
                return super().UnaryCall(received, context)

        self.assertEqual(self.failed(Service(), {"client_compressed_unary"}), {"client_compressed_unary"})

    def test_metadata_and_status_not_echoed(self):
        class Service(grpcio_server.TestService):
            def UnaryCall(self, received, context):
                return pb.SimpleResponse(payload=pb.zeros(received.message.response_size))

        cases = {"custom_metadata", "status_code_and_message", "special_status_message"}
        self.assertEqual(self.failed(Service(), cases | {"large_unary"}), cases)

    def test_wrong_sizes(self):
        class Service(grpcio_server.TestService):
            def UnaryCall(self, received, context):
                received.message.response_size += 1
                return super().UnaryCall(received, context)

            def StreamingInputCall(self, requests, context):
                return pb.StreamingInputCallResponse(aggregated_payload_size=1 + sum(1 for _ in requests))

            def StreamingOutputCall(self, received, context):
                received.message.response_parameters.pop()
                return super().StreamingOutputCall(received, context)

            def FullDuplexCall(self, requests, context):
                yield from super().FullDuplexCall(requests, context)
                yield pb.StreamingOutputCallResponse()

        cases = {
            *("large_unary", "client_streaming", "server_streaming", "server_compressed_streaming"),
            *("ping_pong", "empty_stream", "custom_metadata", "concurrent_large_unary", "rpc_soak", "channel_soak"),
        }
        self.assertEqual(self.failed(Service(), cases), cases)

    def test_wrong_answers_where_there_is_none(self):
        class Service(grpcio_server.TestService):
            def EmptyCall(self, received, context):
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "not here")

            def UnimplementedCall(self, received, context):
                return pb.Empty()

            def FullDuplexCall(self, requests, context):
                yield pb.StreamingOutputCallResponse()

        cases = {"empty_unary", "unimplemented_method", "cancel_after_first_response", "timeout_on_sleeping_server"}
        self.assertEqual(self.failed(Service(), cases | {"unimplemented_service"}), cases)


class Roster(unittest.TestCase):
    """A peer that cannot be installed is skipped, one whose programs cannot be made is an error."""

    def script(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "setup.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def test_installed(self):
        self.assertEqual(roster._set_up(self.script("echo noise; echo 1.2.3 /a place")), ("1.2.3", "/a place"))

    def test_not_installed(self):
        with self.assertRaisesRegex(roster.NotInstalled, "^no apt-get$"):
            roster._set_up(self.script("echo no apt-get >&2; exit 3"))

    def test_broken(self):
        with self.assertRaisesRegex(roster.Broken, "syntax error"):
            roster._set_up(self.script("echo syntax error >&2; exit 1"))

    def test_without_tonic(self):
        found, skipped = roster.find(["grpcio", "tonic"], None)
        self.assertEqual(([one.name for one in found], list(skipped)), (["grpcio"], ["tonic"]))


class Pings(unittest.TestCase):
    """The counter of PINGs reads frames however they are cut."""

    def test_cut_anywhere(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        ping = PingFrame(0, opaque_data=b"12345678").serialize()
        ack = PingFrame(0, opaque_data=b"12345678", flags=["ACK"]).serialize()
        stream = preface + ping + DataFrame(1, data=bytes(300)).serialize() + ack + ping
        for size in (1, 2, 7, 24, 25, 100, len(stream)):
            counter = FrameCounter("127.0.0.1", 1)
            reader = counter._reader({}, "request")
            for start in range(0, len(stream), size):
                reader.feed(stream[start : start + size])
            self.assertEqual(counter.pings, {"request": 2, "response": 0}, size)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
