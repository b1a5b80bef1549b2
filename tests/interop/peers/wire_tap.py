"""A TCP proxy on 127.0.0.1 that reads the HTTP/2 frames passing through it, for what a gRPC library does not show.

It forwards every byte unchanged and records, call by call, headers, message prefixes and resets.
"""

import asyncio
import threading
import time
from dataclasses import dataclass, field

import hpack
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, RstStreamFrame

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Message:
    """A length-prefixed message: its compressed flag, its length and its first bytes."""

    flag: int
    length: int
    head: bytes

    @property
    def is_gzip(self):
        return self.head[:2] == b"\x1f\x8b"

    @property
    def is_zlib(self):
        return self.head[:1] == b"\x78"


@dataclass
class Half:
    """What one side of a call sent."""

    header_blocks: list = field(default_factory=list)
    messages: list = field(default_factory=list)
    reset: int | None = None
    ended: bool = False
    _partial: bytearray = field(default_factory=bytearray)

    def header(self, name):
        """The first value of a field in the first header block, or None."""
        return dict(reversed(self.header_blocks[0])).get(name) if self.header_blocks else None

    def feed(self, data):
        self._partial += data
        while len(self._partial) >= 5:
            length = int.from_bytes(self._partial[1:5], "big")
            if len(self._partial) < 5 + length:
                return
            self.messages.append(Message(self._partial[0], length, bytes(self._partial[5:7])))
            del self._partial[: 5 + length]


@dataclass
class Call:
    """One HTTP/2 stream."""

    request: Half = field(default_factory=Half)
    response: Half = field(default_factory=Half)

    @property
    def path(self):
        return self.request.header(":path")


class _Reader:
    """Reads one direction of one connection."""

    def __init__(self, tap, calls, side):
        self._tap = tap
        self._calls = calls
        self._side = side
        self._buffer = bytearray()
        self._skip = len(_PREFACE) if side == "request" else 0
        self._decoder = hpack.Decoder()
        self._decoder.max_allowed_table_size = 1 << 20
        self._block = b""

    def feed(self, data):
        self._buffer += data
        if self._skip:
            if len(self._buffer) < self._skip:
                return
            del self._buffer[: self._skip]
            self._skip = 0
        while len(self._buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(bytes(self._buffer[:9])))
            if len(self._buffer) < 9 + length:
                return
            frame.parse_body(memoryview(bytes(self._buffer[9 : 9 + length])))
            del self._buffer[: 9 + length]
            self._frame(frame)

    def _frame(self, frame):
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            half = self._half(frame.stream_id)
            self._block += frame.data
            if "END_STREAM" in frame.flags:
                half.ended = True
            if "END_HEADERS" in frame.flags:
                # Two C-core peers agree on binary values without base64 (gRFC G1), so not every value is UTF-8.
                fields = self._decoder.decode(self._block, raw=True)
                half.header_blocks.append([(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields])
                self._block = b""
        elif isinstance(frame, DataFrame):
            half = self._half(frame.stream_id)
            half.feed(frame.data)
            half.ended = half.ended or "END_STREAM" in frame.flags
        elif isinstance(frame, RstStreamFrame):
            self._half(frame.stream_id).reset = frame.error_code

    def _half(self, stream_id):
        call = self._calls.get(stream_id)
        if call is None:
            call = self._calls[stream_id] = Call()
            self._tap.calls.append(call)
        return getattr(call, self._side)


class WireTap:
    """`with WireTap(host, port) as tap:` listens on 127.0.0.1:`tap.port` and forwards to host:port.

    `tap.calls` has the calls in the order in which they began, `tap.errors` what could not be read.
    """

    def __init__(self, host, port):
        self._upstream = (host, port)
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.calls = []
        self.errors = []
        self.port = None

    def __enter__(self):
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait_for(self, condition, seconds=5.0):
        """Waits until `condition(calls)` holds; False when it does not within the time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition(self.calls):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _reader(self, calls, side):
        return _Reader(self, calls, side)

    async def _stop(self):
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, down_reader, down_writer):
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        except OSError as error:
            self.errors.append(f"no connection to {self._upstream}: {error}")
            down_writer.close()
            return
        calls = {}
        try:
            await asyncio.gather(
                self._pump(down_reader, up_writer, self._reader(calls, "request")),
                self._pump(up_reader, down_writer, self._reader(calls, "response")),
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            down_writer.close()
            up_writer.close()

    async def _pump(self, reader, writer, frames):
        while data := await reader.read(65536):
            with self._changed:
                if frames is not None:
                    try:
                        frames.feed(data)
                    except Exception as error:  # noqa: BLE001 - whatever it is, the case must hear of it
                        self.errors.append(f"{type(error).__name__}: {error}")
                        frames = None
                self._changed.notify_all()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


class FrameCounter(WireTap):
    """A tap that counts the PINGs of each side, acknowledgements apart, and reads nothing else: it is fast enough for
    many calls."""

    def __init__(self, host, port):
        super().__init__(host, port)
        self.pings = {"request": 0, "response": 0}

    def _reader(self, calls, side):
        return _PingReader(self, side)


class _PingReader:
    """Reads the frame heads of one direction."""

    _PING, _ACK = 6, 1

    def __init__(self, counter, side):
        self._counter = counter
        self._side = side
        self._buffer = bytearray()
        self._skip = len(_PREFACE) if side == "request" else 0

    def feed(self, data):
        self._buffer += data
        at = self._skip
        while len(self._buffer) >= at + 9:
            kind, flags = self._buffer[at + 3], self._buffer[at + 4]
            if kind == self._PING and not flags & self._ACK:
                self._counter.pings[self._side] += 1
            at += 9 + int.from_bytes(self._buffer[at : at + 3], "big")
        # What is behind the end of the buffer is skipped when it comes.
        self._skip = max(0, at - len(self._buffer))
        del self._buffer[:at]
