"""A TCP proxy on 127.0.0.1 that notes the HTTP/2 frames passing through it: what a proxy makes of what it is sent."""

import asyncio
import threading
import time
from dataclasses import dataclass

_PREFACE = 24
_SETTINGS = {
    1: "HEADER_TABLE_SIZE",
    2: "ENABLE_PUSH",
    3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE",
    6: "MAX_HEADER_LIST_SIZE",
    8: "ENABLE_CONNECT_PROTOCOL",
    9: "NO_RFC7540_PRIORITIES",
}
TYPES = {
    **{0: "DATA", 1: "HEADERS", 2: "PRIORITY", 3: "RST_STREAM", 4: "SETTINGS", 5: "PUSH_PROMISE"},
    **{6: "PING", 7: "GOAWAY", 8: "WINDOW_UPDATE", 9: "CONTINUATION"},
}
END_STREAM = ACK = 1
PADDED = 8


@dataclass(frozen=True)
class Frame:
    """One frame: when it passed, on which connection, from which side, and what of its payload is worth noting."""

    at: float
    connection: int
    side: str
    type: str
    flags: int
    stream: int
    length: int
    value: object = None

    def __str__(self):
        value = "" if self.value is None else f" {self.value}"
        where = f"{self.connection}/{self.stream}"
        return f"{self.at:9.4f} {self.side:<6} {where:<8} {self.type:<13} {self.flags:#04x} {self.length:>6}{value}"


def _value(kind, flags, payload):
    match kind:
        case "SETTINGS" if not flags & ACK:
            pairs = [payload[at : at + 6] for at in range(0, len(payload), 6)]
            number = lambda part: int.from_bytes(part, "big")  # noqa: E731
            return {_SETTINGS.get(number(p[:2]), number(p[:2])): number(p[2:]) for p in pairs}
        case "RST_STREAM" | "WINDOW_UPDATE":
            return int.from_bytes(payload, "big")
        case "GOAWAY":
            return (int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"), bytes(payload[8:]))
    return None


class _Reader:
    """Cuts one direction of one connection into frames."""

    def __init__(self, skip, note):
        self._skip = skip
        self._note = note
        self._buffer = bytearray()

    def feed(self, data):
        self._buffer += data
        at = self._skip
        while len(self._buffer) - at >= 9:
            length = int.from_bytes(self._buffer[at : at + 3], "big")
            if len(self._buffer) - at < 9 + length:
                break
            kind = TYPES.get(self._buffer[at + 3], self._buffer[at + 3])
            flags = self._buffer[at + 4]
            stream = int.from_bytes(self._buffer[at + 5 : at + 9], "big") & 0x7FFFFFFF
            payload = self._buffer[at + 9 : at + 9 + length] if kind != "DATA" else b""
            self._note(kind, flags, stream, length, _value(kind, flags, payload))
            at += 9 + length
            self._skip = 0
        if not self._skip or len(self._buffer) >= self._skip:
            del self._buffer[:at]
            self._skip = 0


class FrameTap:
    """`with FrameTap(port) as tap:` listens on 127.0.0.1:`tap.port` and forwards to 127.0.0.1:port.

    `tap.frames` has what passed, in order; the sides are "client" and "server".
    """

    def __init__(self, upstream):
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = 0
        self._began = time.monotonic()
        self.frames = []
        self.port = None

    def __enter__(self):
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self):
        self._server.close()
        # A connection that came a moment ago begins a task of its own.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, down_reader, down_writer):
        self._connections += 1
        connection = self._connections
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            down_writer.close()
            return
        try:
            await asyncio.gather(
                self._pump(down_reader, up_writer, self._reader(connection, "client", _PREFACE)),
                self._pump(up_reader, down_writer, self._reader(connection, "server", 0)),
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            down_writer.close()
            up_writer.close()

    def _reader(self, connection, side, skip):
        def note(kind, flags, stream, length, value):
            at = time.monotonic() - self._began
            self.frames.append(Frame(at, connection, side, kind, flags, stream, length, value))

        return _Reader(skip, note)

    async def _pump(self, reader, writer, frames):
        while data := await reader.read(65536):
            frames.feed(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
