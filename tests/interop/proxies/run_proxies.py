"""Runs halfclose's interop and load programs through real proxies: nginx, HAProxy and nghttpx.

    run_proxies.py --binaries target/debug                        every proxy that is there, all pairs
    run_proxies.py --binaries target/debug --proxy nginx --runtime smol --only bidi,reload

A pair is a client and a server, with a proxy between them that is started for it. Prints a row for each case and load, a
count for each pair, and closes with `N passed, M failed`; exits 0 only when all passed.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent / "peers"))

from client_cases import CASES  # noqa: E402 - the peers are beside this directory
from processes import ProcessFailed, Server, peer  # noqa: E402
from proxies import KINDS, Proxy, version  # noqa: E402

# channel_soak and rpc_soak are in the suite of the peers.
_CASES = [name for name in CASES if not name.endswith("_soak")]
# Exactly the 4 MiB that a server receives by default: 10 bytes are the fields around the payload.
_LARGEST = "uploads:30x4194294"
_UPLOADS = ["uploads:5x4000000", "uploads:20x1000000", "uploads:90x272000", "uploads:30x4000000", _LARGEST]
_DOWNLOADS = ["downloads:5x4000000", "downloads:30x4000000"]
_BIDI = ["bidi:16x100000x2"]
# Metadata under the 8 KiB from which on C-core refuses some.
_REST = [
    *("turns:16x100000x1", "four_types:32x300", "trailers_only:10", "metadata:7500"),
    *("deadlines:50x300", "cancels:40x1000"),
]
# Calls that the server ends before their client has: one byte too many, and messages of ten bytes that are under way.
_EARLY = ["refused:30x4194295", "ended_early:10x300"]
_DROPPED = ["dropped_early:10x300"]
# C-core's server sends the spaces as they are, against RFC 9113 §8.2.1, and what proxies make of that is their own.
_SPACES = ["spaces:10"]
_RELOAD = "reload:16x1"
_RESTART = "restart:16x1"
# Of the cases: one whose server may answer before it has seen the end of the requests.
_ENDS_EARLY = {"status_code_and_message"}
# More than is ever under way on a stream of `_BIDI`.
_LARGE_WINDOW = 4 << 20
_BETWEEN = 0.3  # seconds from the start of such a load to its outage, and to the next one


@dataclass(frozen=True)
class Pair:
    """A client and a server, and what runs between them through a proxy."""

    proxy: str
    client: str
    server: str
    runs: tuple
    # The stream windows of halfclose's sides, in bytes, where they are not the default.
    window: int = 0

    def __str__(self):
        windows = f", {self.window >> 20} MiB windows" if self.window else ""
        return f"{self.proxy}: {self.client} > {self.server}{windows}"


@dataclass
class Row:
    pair: Pair
    run: str
    told: str
    passed: bool

    def __str__(self):
        return f"{'PASS' if self.passed else 'FAIL'}  {self.pair!s:<57} {self.run:<24} {self.told}"


class Programs:
    """The command lines of both sides."""

    def __init__(self, binaries):
        self._binaries = binaries

    def server(self, name, window):
        if name == "grpcio":
            return peer("grpcio_server.py", "--port", 0)
        return [self._binaries / "interop-server", "--port", 0, "--runtime", _runtime(name), *_of_window(window)]

    def client(self, name, port):
        return self._client(name, peer("grpcio_client.py"), "interop-client", port)

    def load(self, name, port, window):
        grpcio = [sys.executable, str(_HERE / "grpcio_load.py")]
        command = self._client(name, grpcio, "interop-load", port)
        return command if name == "grpcio" else [*command, *_of_window(window)]

    def _client(self, name, grpcio, binary, port):
        target = ("--server_host", "127.0.0.1", "--server_port", port)
        if name == "grpcio":
            return [*grpcio, *target]
        return [self._binaries / binary, *target, "--runtime", _runtime(name)]


def _of_window(window):
    return ["--stream_window", window] if window else []


def _runtime(name):
    return name.removeprefix("halfclose/")


class Session:
    """One pair, its server and its proxy."""

    def __init__(self, suite, pair):
        self._suite = suite
        self._pair = pair

    def run(self):
        programs = self._suite.programs
        try:
            with Server(programs.server(self._pair.server, self._pair.window)) as server:
                with Proxy(KINDS[self._pair.proxy], server.port) as proxy:
                    self._through(proxy, server)
                self._note("(graceful stop)", "", self._stop(server))
        except ProcessFailed as error:
            self._note("(start)", str(error), False)

    def _through(self, proxy, server):
        programs, client = self._suite.programs, self._pair.client
        load_client = programs.load(client, proxy.port, self._pair.window)
        cases = [run for run in self._pair.runs if run in CASES]
        loads = [run for run in self._pair.runs if ":" in run and run not in (_RELOAD, _RESTART)]
        if cases:
            self._program([*programs.client(client, proxy.port), "--test_case", ",".join(cases)], cases, server)
        # A program for each: what one leaves behind is not the next one's.
        for load in loads:
            self._program([*load_client, "--load", load], [load], server)
        for load, outage in ((_RELOAD, [proxy.reload] * 2), (_RESTART, [proxy.restart])):
            if load in self._pair.runs:
                self._program([*load_client, "--load", load], [load], server, outage)

    def _program(self, command, names, server, outage=()):
        """Runs a program and notes a row for each of `names`."""
        said = _said(command, self._suite.limit, outage)
        server.drain()
        for name in names:
            lines = [line for line in said if _about(line, name)]
            line = lines[-1] if lines else f"FAIL {name}: nothing said of it; {' | '.join(said[-3:])}"
            if not server.alive:
                line = f"FAIL {name}: the server died: {server.output[-300:]!r}; {line}"
            self._note(name, line[5 + len(name) :].strip(" :"), line.startswith("PASS "))

    def _stop(self, server):
        return server.terminate(15) == 0

    def _note(self, run, told, passed):
        self._suite.note(Row(self._pair, run, told, passed))


def _about(line, name):
    """Whether a line is `PASS name…` or `FAIL name: why`."""
    return line[:5] in ("PASS ", "FAIL ") and line[5:].startswith(name) and line[5 + len(name) :][:1] in ("", " ", ":")


def _said(command, limit, outage):
    """The lines that a program said. Each of `outage` is done a while after it says STARTED."""
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    watchdog = threading.Timer(limit, process.kill)
    watchdog.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("STARTED"):
                for act in outage:
                    time.sleep(_BETWEEN)
                    act()
        if process.wait() < 0:
            lines.append(f"killed after {limit:.0f} s")
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    return lines


class Suite:
    def __init__(self, programs, limit):
        self.programs = programs
        self.limit = limit
        self.rows = []
        self._lock = threading.Lock()

    def note(self, row):
        with self._lock:
            self.rows.append(row)
            print(row, flush=True)


def _pairs(proxies, runtimes):
    """Every pair, and the peers by themselves where they show that a proxy can."""
    for proxy in proxies:
        for runtime in runtimes:
            yield from _of_runtime(proxy, f"halfclose/{runtime}")
        yield Pair(proxy, "grpcio", "grpcio", (_LARGEST, *_BIDI))


def _of_runtime(proxy, ours):
    """The pairs of a runtime behind and before a proxy.

    HAProxy 2.6 hangs where both directions of a stream are full, whoever the peers are (docs/proxies.md): messages that do
    not wait for their answers go through it with large windows, and through each of the others as it comes.
    """
    bidi = _BIDI
    if proxy.startswith("haproxy"):
        bidi = []
        # Where all streams share a connection, one that is full holds up all: too many for any window of ours on both sides.
        both = [(ours, ours)] if proxy == "haproxy" else []
        for client, server in (*both, ("grpcio", ours), (ours, "grpcio")):
            yield Pair(proxy, client, server, tuple(_BIDI), _LARGE_WINDOW)
    if proxy == "haproxy-shared":
        yield Pair(proxy, ours, ours, tuple(_UPLOADS))
        yield Pair(proxy, "grpcio", ours, tuple(_UPLOADS))
        yield Pair(proxy, ours, "grpcio", (_LARGEST,))
        return
    rest = [*_REST, *_DROPPED, *_SPACES]
    yield Pair(proxy, ours, ours, (*_CASES, *_UPLOADS, *_DOWNLOADS, *bidi, *_EARLY, *rest, _RELOAD, _RESTART))
    # HAProxy resets a call that its server has ended before the client did, and C-core's client tells of the reset.
    early = [] if proxy == "haproxy" else _EARLY
    cases = [case for case in _CASES if proxy != "haproxy" or case not in _ENDS_EARLY]
    yield Pair(proxy, "grpcio", ours, (*cases, *_UPLOADS, *bidi, *early, *rest, _RELOAD))
    # C-core's server in Python has enough of fewer calls.
    cases = [case for case in _CASES if case != "concurrent_large_unary"]
    rest = [run.replace("cancels:40x1000", "cancels:40x400") for run in (*_EARLY, *_REST, *_DROPPED)]
    yield Pair(proxy, ours, "grpcio", (*cases, _LARGEST, *_DOWNLOADS, *bidi, *rest, _RELOAD))


def _only(pair, only):
    return replace(pair, runs=tuple(run for run in pair.runs if run.split(":")[0] in only))


def main():
    parser = argparse.ArgumentParser(description="halfclose through real proxies")
    parser.add_argument("--binaries", type=Path, required=True, help="where interop-server, -client and -load are")
    parser.add_argument("--proxy", default=",".join(KINDS), help="comma-separated")
    parser.add_argument("--runtime", default="tokio,smol", help="comma-separated")
    parser.add_argument("--pair", help="only pairs with this in their name, such as 'grpcio > '")
    parser.add_argument("--only", help="only these cases and loads, comma-separated, by name without numbers")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one program")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="pairs at a time")
    arguments = parser.parse_args()

    proxies = []
    for name in arguments.proxy.split(","):
        if name not in KINDS:
            parser.error(f"no such proxy: {name}")
        said = version(KINDS[name])
        if said is None:
            print(f"SKIPPED {name}: it is not installed")
        else:
            print(f"{name}: {said}")
            proxies.append(name)
    pairs = list(_pairs(proxies, arguments.runtime.split(",")))
    if arguments.pair:
        pairs = [pair for pair in pairs if arguments.pair in str(pair)]
    if arguments.only:
        only = set(arguments.only.split(","))
        pairs = [pair for pair in (_only(pair, only) for pair in pairs) if pair.runs]

    suite = Suite(Programs(arguments.binaries), arguments.timeout)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for done in [pool.submit(Session(suite, pair).run) for pair in pairs]:
            done.result()

    print()
    for pair in pairs:
        rows = [row for row in suite.rows if row.pair == pair]
        print(f"{pair!s:<57} {sum(row.passed for row in rows):>3} of {len(rows)}")
    failed = sum(not row.passed for row in suite.rows)
    print(f"{len(suite.rows) - failed} passed, {failed} failed")
    sys.exit(failed != 0 or (bool(proxies) and not suite.rows))


if __name__ == "__main__":
    main()
