"""Prints what each proxy makes of what it is sent, frame by frame: the figures of docs/proxies.md.

    observe.py --binaries target/debug [--proxy nginx,haproxy]

halfclose is on both sides; a tap reads the frames before the proxy and another one those behind it.
"""

import argparse
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent / "peers"))

from frame_tap import ACK, FrameTap  # noqa: E402
from processes import Server  # noqa: E402 - the peers are beside this directory
from proxies import KINDS, Proxy, version  # noqa: E402

_LOADS = (
    "uploads:4x4000000",
    "downloads:4x4000000",
    "turns:16x100000x1",
    "four_types:32x600",
    "deadlines:50x200",
    "cancels:40x1000",
    "reload:16x2",
)


class Side:
    """What one side of a proxy sent and was sent."""

    def __init__(self, frames, by):
        self.sent = [frame for frame in frames if frame.side == by]
        self.got = [frame for frame in frames if frame.side != by]

    def settings(self):
        """Its first SETTINGS, and the credit that it gave its connection before any was used."""
        said = next((f.value for f in self.sent if f.type == "SETTINGS" and not f.flags & ACK), None)
        begun = min((f.at for f in self.sent + self.got if f.type == "HEADERS"), default=0)
        first = [f.value for f in self.sent if f.type == "WINDOW_UPDATE" and not f.stream and f.at < begun]
        return f"{said}, connection +{sum(first)}"

    def data(self):
        """How its DATA is cut."""
        sizes = [frame.length for frame in self.sent if frame.type == "DATA" and frame.length]
        if not sizes:
            return "none"
        empty = sum(f.type == "DATA" and not f.length for f in self.sent)
        small = sum(size < 256 for size in sizes)
        common = ", ".join(f"{size} ({count})" for size, count in Counter(sizes).most_common(6))
        return (
            f"{len(sizes)} frames, {sum(sizes) // len(sizes)} bytes each, {100 * small // len(sizes)} % under 256, "
            f"{empty} empty; most: {common}"
        )

    def credit(self):
        """How it gives credit back."""
        updates = [frame for frame in self.sent if frame.type == "WINDOW_UPDATE"]
        came = sum(frame.length for frame in self.got if frame.type == "DATA")
        per = len(updates) / max(1, came / 1e6)
        return f"{len(updates)} updates for {came / 1e6:.0f} MB, {per:.0f} a MB"

    def rest(self):
        """Its PINGs, resets and GOAWAYs."""
        pings = sum(frame.type == "PING" and not frame.flags & ACK for frame in self.sent)
        resets = Counter(frame.value for frame in self.sent if frame.type == "RST_STREAM")
        away = Counter(frame.value for frame in self.sent if frame.type == "GOAWAY")
        return f"{pings} PINGs; RST_STREAM by code {dict(resets)}; GOAWAY {dict(away)}"

    def streams(self):
        """Its connections, and the most calls in one of them."""
        calls = defaultdict(set)
        for frame in self.sent + self.got:
            if frame.type == "HEADERS":
                calls[frame.connection].add(frame.stream)
        most = max((len(streams) for streams in calls.values()), default=0)
        return f"{len(calls)} connections, at most {most} calls in one"


def _observe(kind, load, binaries):
    server = [binaries / "interop-server", "--port", 0, "--runtime", "tokio"]
    with Server(server) as running, FrameTap(running.port) as behind:
        with Proxy(kind, behind.port) as proxy, FrameTap(proxy.port) as before:
            said = _run([binaries / "interop-load", "--server_host", "127.0.0.1", "--server_port", before.port,
                         "--load", load], proxy)
    print(f"\n## {kind.name}, {load}: {said}")
    for title, side in (("to the server", Side(behind.frames, "client")), ("to the client", Side(before.frames, "server"))):
        print(f"{title}: SETTINGS {side.settings()}")
        print(f"    {side.streams()}")
        print(f"    DATA: {side.data()}")
        print(f"    credit: {side.credit()}")
        print(f"    {side.rest()}")


def _run(command, proxy):
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = ""
    for line in process.stdout:
        last = line.strip()
        if last == "STARTED":
            proxy.reload()
    process.wait()
    return last


def main():
    parser = argparse.ArgumentParser(description="what proxies do to frames")
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--proxy", default=",".join(KINDS))
    parser.add_argument("--load", default=",".join(_LOADS))
    arguments = parser.parse_args()
    for name in arguments.proxy.split(","):
        print(f"# {name}: {version(KINDS[name])}")
        for load in arguments.load.split(","):
            _observe(KINDS[name], load, arguments.binaries)


if __name__ == "__main__":
    main()
