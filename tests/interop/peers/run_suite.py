"""Runs halfclose's interop server and client against real peers: C-core, grpc-go, grpc-js, tonic and the h2 package.

    run_suite.py --server-bin S --client-bin C --tonic-bin T      the cases
    run_suite.py ... --loads                                      the loads
    run_suite.py --control --tonic-bin T                          the peers against themselves: shows that the rig works

Every case is a process of its own with a time limit. Prints a table, a count for each pair of peers, and closes with
`N passed, M failed`; exits 0 only when all passed and at least one ran. A peer that is not there and cannot be installed
is skipped, and so is a case that a peer's API cannot do; both are said.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import loads
import roster
import tls
from client_cases import CANCEL, CASES, CaseFailed, check, check_flags, equal
from edge_cases import EDGES
from negative_cases import NEGATIVE
from processes import ProcessFailed, Server, peer, run_client
from wire_tap import FrameCounter, WireTap

# The calls that each core case makes, in order: a client that passes without making them is no pass. Not listed are
# the load cases, whose bytes are too many to read, and timeout_on_sleeping_server, whose call may end unsent.
_WIRE_CALLS = {
    "empty_unary": ["EmptyCall"],
    "large_unary": ["UnaryCall"],
    "client_compressed_unary": ["UnaryCall"] * 3,
    "server_compressed_unary": ["UnaryCall"] * 2,
    "client_streaming": ["StreamingInputCall"],
    "client_compressed_streaming": ["StreamingInputCall"] * 2,
    "server_streaming": ["StreamingOutputCall"],
    "server_compressed_streaming": ["StreamingOutputCall"],
    "ping_pong": ["FullDuplexCall"],
    "empty_stream": ["FullDuplexCall"],
    "custom_metadata": ["UnaryCall", "FullDuplexCall"],
    "status_code_and_message": ["UnaryCall", "FullDuplexCall"],
    "special_status_message": ["UnaryCall"],
    "unimplemented_method": ["UnimplementedCall"],
    "unimplemented_service": ["UnimplementedCall"],
    "cancel_after_begin": ["StreamingInputCall"],
    "cancel_after_first_response": ["FullDuplexCall"],
}
# What must be on the wire in the compression cases: the side that compresses, and its flags call by call.
_WIRE_FLAGS = {
    "client_compressed_unary": ("request", [[0], [1], [0]]),
    "client_compressed_streaming": ("request", [[0], [1, 0]]),
    "server_compressed_unary": ("response", [[1], [0]]),
    "server_compressed_streaming": ("response", [[1, 0]]),
}
# Some clients make calls of EmptyCall beside the one that they cancel, to know that what they sent before has left.
_CANCELLED = {"cancel_after_begin", "cancel_after_first_response"}
# C-core refuses any padded DATA frame, so grpcio is no control for this one; test_rig.py has a client that is.
_NOT_FOR_GRPCIO = {"data_frame_padding"}
# Cases of halfclose's client alone.
_OWN_CLIENT = ["long_status_message"]
# Cases that need a server that was started for them.
_OWN_SERVER = ["waits_for_headers"]
# Calls with which it is seen that grpc-go sends a PING in each round trip.
_COUNTED_CALLS = 300


@dataclass
class Row:
    pair: str
    case: str
    seconds: float
    why: str | None = None
    said: str = ""
    skipped: bool = False

    def __str__(self):
        result = "SKIP" if self.skipped else "PASS" if self.why is None else "FAIL"
        end = self.said if self.why is None else self.why
        return f"{result}  {self.pair:<30} {self.case:<28} {self.seconds:6.2f} s  {end}".rstrip()


class Suite:
    """The rows of all pairs; pairs may run at the same time."""

    def __init__(self, limit, only):
        self.limit = limit
        self._only = only
        self._lock = threading.Lock()
        self.rows = []

    def chosen(self, names):
        return [name for name in names if not self._only or name in self._only]

    def note(self, row):
        with self._lock:
            self.rows.append(row)
            print(row, flush=True)


class Pair:
    """A client and a server, and their rows."""

    def __init__(self, suite, client, server):
        self._suite = suite
        self._client = client
        self._server = server
        self.name = f"{client.name} > {server.name}"

    def record(self, case, body):
        """Runs `body()`, which gives why it failed or None, and what there is to say; notes the row."""
        began = time.monotonic()
        try:
            why, said = body()
        except (ProcessFailed, CaseFailed) as error:
            why, said = str(error), ""
        self._suite.note(Row(self.name, case, time.monotonic() - began, why, said))

    def cases(self, names):
        """Every case against one server, which is then stopped with SIGTERM and must exit 0; then each case that needs
        a server of its own. A server that died is started anew."""
        names = self._possible(names)
        left = [name for name in names if name not in _OWN_SERVER]
        while left:
            try:
                with Server(self._server.serve()) as server:
                    left = self._until_death(server, left)
                    if server.alive:
                        self.record("(graceful stop)", lambda: (_stopped(server), ""))
            except ProcessFailed as error:
                self.record("(server start)", lambda why=str(error): (why, ""))
                return
        for name in names:
            if name in _OWN_SERVER:
                self.record(name, lambda name=name: self._on_own_server(name, ()))

    def loads(self, chosen):
        """Every load, each against a server of its own."""
        possible = self._possible([load.case for load in chosen])
        if "many_unary" in possible and "grpc-go" in (self._client.name, self._server.name):
            self.record("(a PING each round trip)", self._pings)
        for load in chosen:
            if load.case in possible:
                self.record(load.case, lambda load=load: self._on_own_server(load.case, load.arguments))

    def negative(self, names):
        """Every HTTP/2 negative case: the client must pass and the server's verdict must be good."""
        for case in self._suite.chosen(names):
            self.record(case, lambda case=case: (self._negative_case(case), ""))

    def _possible(self, names):
        """The chosen ones of these cases; notes those that a peer's API cannot do."""
        possible = []
        for name in self._suite.chosen(names):
            lacks = self._client.client_lacks.get(name) or self._server.server_lacks.get(name)
            if lacks:
                self._suite.note(Row(self.name, name, 0.0, said=lacks, skipped=True))
            else:
                possible.append(name)
        return possible

    def _until_death(self, server, names):
        for number, case in enumerate(names):
            def body():
                # With TLS there is nothing to read on the wire.
                tapped = case in _WIRE_CALLS and not self._client.client_tls
                why, said = self._tapped(server.port, case) if tapped else self._run(server.port, case)
                server.drain()
                return (why, said) if server.alive else (f"the server died: {server.output[-300:]!r}; {why}", said)

            self.record(case, body)
            if not server.alive:
                return names[number + 1 :]
        return []

    def _run(self, port, case, *arguments):
        return run_client(self._client.call(port, case, *arguments), self._suite.limit)

    def _tapped(self, port, case):
        """As any case, and the wire shows what the case is about."""
        with WireTap("127.0.0.1", port) as tap:
            why, said = self._run(tap.port, case)
        if why is None:
            equal("frames that could not be read", tap.errors, [])
            _check_wire(case, tap.calls)
        return why, said

    def _on_own_server(self, case, arguments):
        with Server(self._server.serve(case)) as server:
            why, said = self._run(server.port, case, *arguments)
            server.drain()
            alive = server.alive
        return (why, said) if alive else (f"the server died: {server.output[-300:]!r}; {why}", said)

    def _pings(self):
        """What `many_unary` is about is there: of each two round trips one has a PING of grpc-go's, or more."""
        with Server(self._server.serve()) as server, FrameCounter("127.0.0.1", server.port) as counter:
            why, _ = self._run(counter.port, "many_unary", "--calls", _COUNTED_CALLS)
        side = "request" if self._client.name == "grpc-go" else "response"
        pings = counter.pings[side]
        if why is None:
            check(2 * pings >= _COUNTED_CALLS, f"{pings} PINGs in {_COUNTED_CALLS} round trips")
        return why, f"{pings} PINGs in {_COUNTED_CALLS} round trips"

    def _negative_case(self, case):
        with Server(peer("negative_server.py", "--port", 0, "--test_case", case)) as server:
            why, _ = self._run(server.port, case)
            if server.wait(1.0) is None:
                server.terminate()
            lines = [line for line in server.output.splitlines() if line.startswith("VERDICT ")]
            verdict = lines[-1] if lines else f"no verdict: {server.output[-300:]!r}"
        found = [text for text in (why, None if verdict == "VERDICT ok" else verdict) if text]
        return "; ".join(found) or None


def _check_wire(case, calls):
    service = "UnimplementedService" if case == "unimplemented_service" else "TestService"
    want = [f"/grpc.testing.{service}/{method}" for method in _WIRE_CALLS[case]]
    if case in _CANCELLED:
        calls = [call for call in calls if call.path != "/grpc.testing.TestService/EmptyCall"]
    equal("calls on the wire", [call.path for call in calls], want)
    if case in _WIRE_FLAGS:
        side, flags = _WIRE_FLAGS[case]
        for call, of_call in zip(calls, flags):
            check_flags(getattr(call, side), of_call)
    if case in _CANCELLED:
        equal("error code of the client's RST_STREAM", calls[0].request.reset, CANCEL)


def _stopped(server):
    code = server.terminate()
    return None if code == 0 else f"exit code {code}: {server.output[-300:]!r}"


_NEGATIVE_SERVER = roster.Peer("negative", "", server=[], client=[])


def _control(suite, peers):
    """What each peer does with itself."""
    for one in peers:
        cases = list(CASES) + (list(EDGES) if one.name != "grpcio" else [])
        yield lambda one=one, cases=cases: Pair(suite, one, one).cases([name for name in cases if name not in _OWN_SERVER])
        if one.name == "grpcio":
            pair = Pair(suite, one, _NEGATIVE_SERVER)
            yield lambda pair=pair: pair.negative([name for name in NEGATIVE if name not in _NOT_FOR_GRPCIO])


def _cases(suite, peers, ours):
    for one in peers:
        if ours.server:
            yield lambda one=one: Pair(suite, one, ours).cases([*CASES, *EDGES])
        if ours.client:
            names = [*CASES, *(name for name in EDGES if name not in _OWN_SERVER), *_OWN_CLIENT]
            yield lambda one=one, names=names: Pair(suite, ours, one).cases(names)
    if ours.client and not ours.client_tls:
        yield lambda: Pair(suite, ours, _NEGATIVE_SERVER).negative(NEGATIVE)


def _loads(suite, peers, ours):
    for one in peers:
        if ours.server:
            yield lambda one=one: Pair(suite, one, ours).loads(loads.of_client(one.name))
        if ours.client:
            yield lambda one=one: Pair(suite, ours, one).loads(loads.of_server(one.name))


def _work(suite, peers, arguments):
    """What is to be run, one function for each pair."""
    if arguments.control:
        yield from _control(suite, peers)
    for runtime in arguments.runtime.split(","):
        ours = roster.halfclose(arguments.server_bin, arguments.client_bin, runtime)
        ours.server, ours.client = ours.server if arguments.server_bin else [], ours.client if arguments.client_bin else []
        if arguments.tls:
            tls.prepare([*peers, ours], arguments.certificates)
        yield from (_loads if arguments.loads else _cases)(suite, peers, ours)


def _report(suite, skipped):
    """The counts; whether all is well."""
    print()
    for pair in dict.fromkeys(row.pair for row in suite.rows):
        rows = [row for row in suite.rows if row.pair == pair]
        ran = [row for row in rows if not row.skipped]
        beside = f", {len(rows) - len(ran)} skipped" if len(ran) < len(rows) else ""
        print(f"{pair:<30} {sum(row.why is None for row in ran):>3} of {len(ran)}{beside}")
    for name, why in skipped.items():
        print(f"{name:<30} SKIPPED: {why}")
    ran = [row for row in suite.rows if not row.skipped]
    failed = sum(row.why is not None for row in ran)
    print(f"{len(ran) - failed} passed, {failed} failed")
    return bool(ran) and failed == 0


def _arguments():
    parser = argparse.ArgumentParser(description="halfclose against real peers")
    parser.add_argument("--server-bin", help="path of interop-server")
    parser.add_argument("--client-bin", help="path of interop-client")
    parser.add_argument("--tonic-bin", help="path of tonic-peer")
    parser.add_argument("--runtime", default="tokio,smol", help="comma-separated")
    parser.add_argument("--peer", default=",".join(roster.PEERS), help="only these peers, comma-separated")
    parser.add_argument("--test_case", help="only these cases, comma-separated")
    parser.add_argument("--timeout", type=float, default=90.0, help="seconds for one case")
    parser.add_argument("--loads", action="store_true", help="run the loads instead of the cases")
    parser.add_argument("--jobs", type=int, default=min(4, max(2, os.cpu_count() or 1)), help="how many pairs run at the same time")
    parser.add_argument("--tls", action="store_true", help="with TLS, against the peers that can: grpcio")
    parser.add_argument("--control", action="store_true", help="run the peers against themselves")
    arguments = parser.parse_args()
    if not (arguments.server_bin or arguments.client_bin or arguments.control):
        parser.error("nothing to run: give --server-bin, --client-bin or --control")
    if unknown := set(arguments.peer.split(",")) - set(roster.PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    only = set(arguments.test_case.split(",")) if arguments.test_case else set()
    if unknown := only - {*CASES, *EDGES, *_OWN_CLIENT, *NEGATIVE, *loads.CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return arguments, only


def main():
    arguments, only = _arguments()
    try:
        names = [name for name in arguments.peer.split(",") if not arguments.tls or name in tls.PEERS]
        peers, skipped = roster.find(names, arguments.tonic_bin)
    except roster.Broken as why:
        sys.exit(f"a peer cannot be made: {why}")
    print("peers:", ", ".join(f"{one.name} {one.version}" for one in peers), flush=True)
    for name, why in skipped.items():
        print(f"SKIPPED {name}: {why}", flush=True)
    suite = Suite(arguments.timeout, only)
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(arguments.jobs) as threads:
        arguments.certificates = tls.make(place) if arguments.tls else None
        for done in [threads.submit(one) for one in _work(suite, peers, arguments)]:
            done.result()
    sys.exit(not _report(suite, skipped))


if __name__ == "__main__":
    main()
