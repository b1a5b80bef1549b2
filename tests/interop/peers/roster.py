"""The peers of the suite: how each is installed and started, and which cases its API cannot do."""

import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version

from processes import HERE, peer

_NOT_INSTALLED = 3  # the exit code of setup-go.sh and setup-js.sh


class NotInstalled(Exception):
    """The peer is not there and cannot be installed; says why."""


class Broken(Exception):
    """The peer is there, and its programs cannot be made; says why."""


@dataclass
class Peer:
    """An implementation of gRPC: its server prints `LISTENING <port>`, its client runs `--test_case`."""

    name: str
    version: str
    server: list
    client: list
    # The cases that the client, and those that the server cannot do, and why.
    client_lacks: dict = field(default_factory=dict)
    server_lacks: dict = field(default_factory=dict)
    # What the server needs on its command line in some cases.
    server_options: dict = field(default_factory=dict)
    # With TLS: what both need on their command lines.
    server_tls: list = field(default_factory=list)
    client_tls: list = field(default_factory=list)

    def call(self, port, case, *more):
        """The client's command line."""
        return [*self.client, "--server_host", "127.0.0.1", "--server_port", port, "--test_case", case, *self.client_tls, *more]

    def serve(self, case=None):
        """The server's command line."""
        return [*self.server, "--port", 0, *self.server_options.get(case, ()), *self.server_tls]


def halfclose(server, client, runtime):
    """halfclose on one of its runtimes; `server` and `client` are the paths of its programs."""
    return Peer(
        f"halfclose/{runtime}",
        "",
        server=[server, "--runtime", runtime],
        client=[client, "--runtime", runtime],
        server_options={"waits_for_headers": ["--early_headers"]},
    )


def _grpcio(_):
    return Peer("grpcio", version("grpcio"), server=peer("grpcio_server.py"), client=peer("grpcio_client.py"))


def _grpc_go(_):
    found, program = _set_up("setup-go.sh")
    return Peer("grpc-go", found, server=[program, "server"], client=[program, "client"])


def _grpc_js(_):
    found, packages = _set_up("setup-js.sh")
    node = ["env", f"NODE_PATH={packages}", "node", str(HERE / "grpc-js" / "peer.js")]
    compresses_nothing = "grpc-js servers compress no responses"
    return Peer(
        "grpc-js",
        found,
        server=[*node, "server"],
        client=[*node, "client"],
        server_lacks={
            "server_compressed_unary": compresses_nothing,
            "server_compressed_streaming": compresses_nothing,
        },
    )


def _tonic(program):
    if program is None:
        raise NotInstalled("no --tonic-bin")
    all_or_none = "tonic compresses all messages of a stream or none"
    return Peer(
        "tonic",
        _locked_version("tonic"),
        server=[program, "server"],
        client=[program, "client"],
        client_lacks={"client_compressed_streaming": all_or_none},
        server_lacks={"server_compressed_streaming": all_or_none},
        # tonic returns the connection's window when a message is received: with its defaults one stream that nobody
        # reads takes all of it, whatever the client does.
        server_options={"stalled_uploads": ["--stream_window", "65535"]},
    )


PEERS = {"grpcio": _grpcio, "grpc-go": _grpc_go, "grpc-js": _grpc_js, "tonic": _tonic}


def find(names, tonic_program):
    """The peers of these names, and why each of the others is not there. Raises `Broken` when one cannot be made."""
    found, skipped = [], {}
    for name in names:
        try:
            found.append(PEERS[name](tonic_program))
        except NotInstalled as why:
            skipped[name] = str(why)
    return found, skipped


def _set_up(script):
    """Runs a setup script; the two words of its last line: the version, and what it has made."""
    done = subprocess.run([HERE / script], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == _NOT_INSTALLED:
        raise NotInstalled(done.stderr.strip().splitlines()[-1])
    if done.returncode != 0:
        raise Broken(f"{script}: {done.stderr.strip()[-1000:]}")
    found, made = done.stdout.strip().splitlines()[-1].split(" ", 1)
    return found, made


def _locked_version(crate):
    lines = (HERE.parents[2] / "Cargo.lock").read_text().splitlines()
    return lines[lines.index(f'name = "{crate}"') + 1].split('"')[1]
