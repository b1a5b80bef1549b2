"""`grpc.testing.BenchmarkService` on grpcio (C-core): `bench-client` and `bench-server`, by the peer.

    grpcio_load.py client --addr 127.0.0.1:PORT --mode sstream --rsize 65536 --streams 8 --seconds 5
    grpcio_load.py server

The client prints one line of `key=value`, as the other load clients do; the server prints `LISTENING <port>`. Messages
are bytes to both, so that what is measured is C-core and not Python's protobuf.
"""

import argparse
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVICE = "grpc.testing.BenchmarkService"


def varint(value):
    chunk = bytearray()
    while value >= 0x80:
        chunk.append(value & 0x7F | 0x80)
        value >>= 7
    chunk.append(value)
    return bytes(chunk)


def length_delimited(field, chunk):
    return varint(field << 3 | 2) + varint(len(chunk)) + chunk


def payload(size):
    """A Payload of `size` zero bytes: its field 2 is the body."""
    return length_delimited(2, bytes(size)) if size else b""


def request(size, rsize):
    """A SimpleRequest: field 2 is response_size, field 3 the payload."""
    return (varint(2 << 3) + varint(rsize) if rsize else b"") + length_delimited(3, payload(size))


def response(size):
    """A SimpleResponse: field 1 is the payload."""
    return length_delimited(1, payload(size))


def response_size(chunk):
    """What a SimpleRequest asks for; field 2 comes first where it is there at all."""
    size = shift = 0
    if chunk[:1] == b"\x10":
        for byte in chunk[1:]:
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
    return size


class Share:
    """What one stream does: messages until the time is up or, without a time, so many."""

    def __init__(self, options):
        self._end = time.monotonic() + options.seconds if options.seconds else None
        self._left = -(-options.requests // options.streams)
        self.done = 0

    def more(self):
        if time.monotonic() >= self._end if self._end else self.done >= self._left:
            return False
        self.done += 1
        return True


def download(channel, options, share):
    call = channel.unary_stream(f"/{SERVICE}/StreamingFromServer")(request(0, options.rsize))
    for chunk in call:
        if len(chunk) < options.rsize:
            raise ValueError(f"a response of {len(chunk)} bytes")
        if not share.more():
            break
    call.cancel()
    return options.rsize


def upload(channel, options, share):
    message = request(options.size, 0)

    def requests():
        while share.more():
            yield message

    channel.stream_unary(f"/{SERVICE}/StreamingFromClient")(requests())
    return options.size


def client(options):
    run = {"sstream": download, "cstream": upload}[options.mode]
    with grpc.insecure_channel(options.addr) as channel:
        # A first call, so that connecting is no part of what is measured.
        channel.unary_unary(f"/{SERVICE}/UnaryCall")(request(0, 0))
        began, cpu = time.monotonic(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        shares = [Share(options) for _ in range(options.streams)]
        with ThreadPoolExecutor(options.streams) as pool:
            sizes = list(pool.map(lambda share: run(channel, options, share), shares))
        seconds = time.monotonic() - began
        cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu
    messages = sum(share.done for share in shares)
    total = messages * sizes[0]
    print(
        f"requests={messages} seconds={seconds:.4f} rps={messages / seconds:.0f} "
        f"MBps={total / 1e6 / seconds:.2f} client_cpu_us={cpu * 1e6 / max(messages, 1):.4f}"
    )


def from_server(chunk, context):
    answer = response(response_size(chunk))
    while context.is_active():
        yield answer


def from_client(requests, _context):
    last = b""
    for chunk in requests:
        last = chunk
    return response(response_size(last))


def server(_options):
    handlers = {
        "UnaryCall": grpc.unary_unary_rpc_method_handler(lambda chunk, _: response(response_size(chunk))),
        "StreamingFromServer": grpc.unary_stream_rpc_method_handler(from_server),
        "StreamingFromClient": grpc.stream_unary_rpc_method_handler(from_client),
    }
    serving = grpc.server(ThreadPoolExecutor(32))
    serving.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    print(f"LISTENING {port}", flush=True)
    threading.Event().wait()


def main():
    parser = argparse.ArgumentParser(description="grpcio as a load client and as a server")
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--addr")
    parser.add_argument("--mode", choices=["sstream", "cstream"], default="sstream")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.0, help="instead of --requests")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--rsize", type=int, default=16)
    options = parser.parse_args()
    {"client": client, "server": server}[options.role](options)


if __name__ == "__main__":
    main()
