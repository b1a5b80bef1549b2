"""A unary gRPC server on one HTTP/2 connection, made of the Python `h2` package, whose frames a test case chooses.

It honours the client's flow control, refuses requests that are not well-formed gRPC, and notes everything that the
client does wrong in `problems`.
"""

import asyncio

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame

import testing_pb as pb

UNARY_CALL = "/grpc.testing.TestService/UnaryCall"


class ClientGone(Exception):
    """The connection or the stream ended while an answer was under way."""


class Connection(asyncio.Protocol):
    """One accepted connection; `case.respond(connection, stream_id, request)` is run for every complete request."""

    def __init__(self, case):
        self.case = case
        self.problems = []
        self.open_streams = set()
        self.pings_sent = 0
        self.pings_outstanding = set()
        self._bodies = {}
        self._tasks = set()
        self._last_stream_id = None
        self._lost = False
        self._changed = asyncio.Event()
        self._settings_acked = 0
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._h2 = h2.connection.H2Connection(config=config)

    # asyncio.Protocol

    def connection_made(self, transport):
        self._transport = transport
        self.case.connected(self)
        self._h2.initiate_connection()
        self.flush()

    def data_received(self, data):
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.problems.append(f"the client broke HTTP/2: {type(error).__name__}: {error}")
            self.flush()
            self._transport.close()
            return
        for event in events:
            self._handle(event)
        self.flush()
        self._wake()

    def connection_lost(self, _error):
        self._lost = True
        self._wake()
        self.case.disconnected(self)

    # events

    def _handle(self, event):
        match event:
            case h2.events.RequestReceived():
                self._request(event.stream_id, dict(event.headers))
            case h2.events.DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self._bodies:
                    self._bodies[event.stream_id] += event.data
            case h2.events.StreamEnded():
                self._complete(event.stream_id)
            case h2.events.StreamReset(remote_reset=True):
                self.problems.append(f"the client reset stream {event.stream_id} with code {event.error_code}")
                self.open_streams.discard(event.stream_id)
            case h2.events.PingAckReceived():
                self._ping_acked(event.ping_data)
            case h2.events.SettingsAcknowledged():
                self._settings_acked += 1
            case h2.events.ConnectionTerminated(error_code=code) if code != 0:
                self.problems.append(f"the client ended the connection with code {code}: {event.additional_data}")

    def _request(self, stream_id, headers):
        if self._last_stream_id is not None and stream_id > self._last_stream_id:
            return  # RFC 9113 §6.8: not processed; the client may send it again elsewhere
        for name, want in ((":method", "POST"), (":path", UNARY_CALL), ("te", "trailers")):
            if headers.get(name) != want:
                self.problems.append(f"request header {name} is {headers.get(name)!r}, not {want!r}")
        if headers.get("content-type") not in ("application/grpc", "application/grpc+proto"):
            self.problems.append(f"request content-type is {headers.get('content-type')!r}")
        self._bodies[stream_id] = bytearray()
        self.open_streams.add(stream_id)

    def _complete(self, stream_id):
        body = self._bodies.pop(stream_id, None)
        if body is None:
            return
        if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
            self.problems.append(f"stream {stream_id}: not exactly one uncompressed message")
            return
        request = pb.SimpleRequest.FromString(bytes(body[5:]))
        task = asyncio.get_running_loop().create_task(self._respond(stream_id, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _respond(self, stream_id, request):
        try:
            await self.case.respond(self, stream_id, request)
        except ClientGone as error:
            self.problems.append(f"stream {stream_id}: {error}")
            if not self._lost and stream_id in self.open_streams:
                self.reset(stream_id)  # so that a client that waits learns of it
        except Exception as error:  # noqa: BLE001 - it must show in the verdict
            self.problems.append(f"stream {stream_id}: {type(error).__name__}: {error}")

    # sending

    def flush(self):
        if not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())

    def _wake(self):
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition, seconds, what):
        """Waits until `condition()`; raises ClientGone when the connection ends or the time runs out first."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            if self._lost:
                raise ClientGone(f"the connection ended before {what}")
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), max(left, 0))
            except TimeoutError:
                raise ClientGone(f"{seconds} s passed before {what}") from None

    def headers(self, stream_id):
        self._h2.send_headers(stream_id, [(":status", "200"), ("content-type", "application/grpc")])
        self.flush()

    async def data(self, stream_id, payload, chunk=16384, padding=None, around=lambda: None):
        """Sends `bytes` in DATA frames of at most `chunk`, as the flow-control windows allow.

        `padding` bytes are added to each; `around` is called before the first frame and after each.
        """
        overhead = 0 if padding is None else padding + 1
        around()
        offset = 0
        while offset < len(payload):
            def room():
                # RFC 9113 §6.1: the padding and its length byte count against the windows
                window = self._h2.local_flow_control_window(stream_id)
                return min(window, self._h2.max_outbound_frame_size) - overhead

            if room() <= 0:
                self.flush()
                await self.until(lambda: room() > 0, 15, f"a window for byte {offset} of {len(payload)}")
            part = payload[offset : offset + min(room(), chunk)]
            self._h2.send_data(stream_id, part, pad_length=padding)
            offset += len(part)
            around()
            if offset % 4096 < len(part):
                self.flush()
                await asyncio.sleep(0)
        self.flush()

    def trailers(self, stream_id):
        self._h2.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
        self.open_streams.discard(stream_id)
        self.flush()

    def reset(self, stream_id):
        """RST_STREAM(NO_ERROR)."""
        self._h2.reset_stream(stream_id, 0)
        self.open_streams.discard(stream_id)
        self.flush()

    def go_away(self, last_stream_id):
        """GOAWAY(NO_ERROR). Written by hand: h2's own would refuse what may still come on the connection."""
        self._last_stream_id = last_stream_id
        self.flush()
        self._transport.write(GoAwayFrame(0, last_stream_id=last_stream_id).serialize())

    def ping(self):
        self.pings_sent += 1
        payload = self.pings_sent.to_bytes(8, "big")
        self.pings_outstanding.add(payload)
        self._h2.ping(payload)
        self.flush()

    def _ping_acked(self, payload):
        if payload not in self.pings_outstanding:
            self.problems.append(f"a PING ACK for {payload.hex()}, which was not sent or was acknowledged before")
        self.pings_outstanding.discard(payload)

    async def allow_streams(self, number):
        """SETTINGS_MAX_CONCURRENT_STREAMS, returning once it is acknowledged."""
        await self.until(lambda: self._settings_acked >= 1, 5, "the first SETTINGS were acknowledged")
        self._h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: number})
        self.flush()
        await self.until(lambda: self._settings_acked >= 2, 5, "the new SETTINGS were acknowledged")


def answer(request):
    """The length-prefixed response that the request asks for."""
    response = pb.SimpleResponse(payload=pb.zeros(request.response_size)).SerializeToString()
    return b"\0" + len(response).to_bytes(4, "big") + response
