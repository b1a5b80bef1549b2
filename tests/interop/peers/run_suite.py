"""Runs halfclose's interop server and client against real peers: grpcio (C-core) and the h2 package.

    run_suite.py --server-bin target/release/interop-server --client-bin target/release/interop-client
    run_suite.py --control      grpcio against itself and against the negative server: shows that the rig works

Every case is a process of its own with a time limit. Prints a table, a count for each pair of peers, and closes with
`N passed, M failed`; exits 0 only when all passed and at least one ran.
"""

import argparse
import sys
import time
from dataclasses import dataclass

from client_cases import CANCEL, CASES, CaseFailed, check_flags, equal
from negative_cases import NEGATIVE
from processes import ProcessFailed, Server, peer, run_client
from wire_tap import WireTap

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
_CANCELLED = {"cancel_after_begin", "cancel_after_first_response"}
# C-core refuses any padded DATA frame, so grpcio is no control for this one; test_rig.py has a client that is.
_NOT_FOR_GRPCIO = {"data_frame_padding"}


@dataclass
class Row:
    pair: str
    case: str
    seconds: float
    why: str | None

    def __str__(self):
        result = "PASS" if self.why is None else "FAIL"
        end = "" if self.why is None else f"  {self.why}"
        return f"{result}  {self.pair:<34} {self.case:<28} {self.seconds:6.2f} s{end}"


class Suite:
    def __init__(self, limit, only):
        self._limit = limit
        self._only = only
        self.rows = []

    def chosen(self, names):
        return [name for name in names if not self._only or name in self._only]

    def record(self, pair, case, body):
        """Runs `body()`, which gives None or why it failed, and notes the row."""
        began = time.monotonic()
        try:
            why = body()
        except (ProcessFailed, CaseFailed) as error:
            why = str(error)
        row = Row(pair, case, time.monotonic() - began, why)
        self.rows.append(row)
        print(row, flush=True)

    def against_server(self, pair, server_command, client_command, tapped=False):
        """Every case of a client against one server, which is then stopped with SIGTERM and must exit 0.

        `client_command(port, case)` is the client's command line. A server that died is started anew.
        """
        cases = self.chosen(CASES)
        while cases:
            try:
                with Server(server_command) as server:
                    cases = self._until_death(pair, server, client_command, cases, tapped)
                    if server.alive:
                        self.record(pair, "(graceful stop)", lambda: _stopped(server))
            except ProcessFailed as error:
                why = str(error)
                self.record(pair, "(server start)", lambda: why)
                return

    def _until_death(self, pair, server, client_command, cases, tapped):
        for number, case in enumerate(cases):
            def body():
                if tapped and case in _WIRE_CALLS:
                    why = self._tapped(server.port, client_command, case)
                else:
                    why = run_client(client_command(server.port, case), self._limit)
                server.drain()
                return why if server.alive else f"the server died: {server.output[-300:]!r}; {why}"

            self.record(pair, case, body)
            if not server.alive:
                return cases[number + 1 :]
        return []

    def _tapped(self, port, client_command, case):
        """As any case, and the wire shows what the case is about."""
        with WireTap("127.0.0.1", port) as tap:
            why = run_client(client_command(tap.port, case), self._limit)
        if why is None:
            equal("frames that could not be read", tap.errors, [])
            _check_wire(case, tap.calls)
        return why

    def negative(self, pair, client_command, cases):
        """Every HTTP/2 negative case: the client must pass and the server's verdict must be good."""
        for case in self.chosen(cases):
            self.record(pair, case, lambda case=case: self._negative_case(client_command, case))

    def _negative_case(self, client_command, case):
        with Server(peer("negative_server.py", "--port", 0, "--test_case", case)) as server:
            why = run_client(client_command(server.port, case), self._limit)
            if server.wait(1.0) is None:
                server.terminate()
            lines = [line for line in server.output.splitlines() if line.startswith("VERDICT ")]
            verdict = lines[-1] if lines else f"no verdict: {server.output[-300:]!r}"
        found = [text for text in (why, None if verdict == "VERDICT ok" else verdict) if text]
        return "; ".join(found) or None


def _check_wire(case, calls):
    service = "UnimplementedService" if case == "unimplemented_service" else "TestService"
    want = [f"/grpc.testing.{service}/{method}" for method in _WIRE_CALLS[case]]
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


def _grpcio_client(port, case):
    return peer("grpcio_client.py", "--server_host", "127.0.0.1", "--server_port", port, "--test_case", case)


def _own_client(binary, runtime):
    def command(port, case):
        return [
            binary,
            *("--server_host", "127.0.0.1", "--server_port", port),
            *("--test_case", case, "--runtime", runtime),
        ]

    return command


def _run(suite, arguments):
    if arguments.control:
        suite.against_server("grpcio > grpcio", peer("grpcio_server.py", "--port", 0), _grpcio_client, tapped=True)
        suite.negative("grpcio > negative", _grpcio_client, [n for n in NEGATIVE if n not in _NOT_FOR_GRPCIO])
    for runtime in arguments.runtime.split(","):
        if arguments.server_bin:
            command = [arguments.server_bin, "--port", 0, "--runtime", runtime]
            suite.against_server(f"grpcio > halfclose/{runtime}", command, _grpcio_client)
        if arguments.client_bin:
            client = _own_client(arguments.client_bin, runtime)
            server = peer("grpcio_server.py", "--port", 0)
            suite.against_server(f"halfclose/{runtime} > grpcio", server, client, tapped=True)
            suite.negative(f"halfclose/{runtime} > negative", client, NEGATIVE)


def main():
    parser = argparse.ArgumentParser(description="halfclose against real peers")
    parser.add_argument("--server-bin", help="path of interop-server")
    parser.add_argument("--client-bin", help="path of interop-client")
    parser.add_argument("--runtime", default="tokio,smol", help="comma-separated")
    parser.add_argument("--test_case", help="only these cases, comma-separated")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one case")
    parser.add_argument("--control", action="store_true", help="run the peers against each other")
    arguments = parser.parse_args()
    if not (arguments.server_bin or arguments.client_bin or arguments.control):
        parser.error("nothing to run: give --server-bin, --client-bin or --control")
    only = set(arguments.test_case.split(",")) if arguments.test_case else set()
    if unknown := only - set(CASES) - set(NEGATIVE):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")

    suite = Suite(arguments.timeout, only)
    _run(suite, arguments)

    print()
    for pair in dict.fromkeys(row.pair for row in suite.rows):
        rows = [row for row in suite.rows if row.pair == pair]
        good = sum(row.why is None for row in rows)
        print(f"{pair:<34} {good:>3} of {len(rows)}")
    failed = sum(row.why is not None for row in suite.rows)
    print(f"{len(suite.rows) - failed} passed, {failed} failed")
    sys.exit(failed != 0 or not suite.rows)


if __name__ == "__main__":
    main()
