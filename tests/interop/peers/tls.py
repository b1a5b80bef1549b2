"""TLS in the suite: certificates made by openssl for a run, and what they are called on the command lines."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# Those whose programs know the options.
PEERS = {"grpcio"}
# The name in the certificate, and not that of the host.
_NAME = "foo.test.google.fr"
_FRAMES = "with TLS the frames cannot be read"
# grpcio's client looks at the frames in these.
_TAPPED = ("client_compressed_unary", "server_compressed_unary", "client_compressed_streaming",
           "server_compressed_streaming", "cancel_after_begin", "cancel_after_first_response", "empty_unary")


@dataclass
class Certificates:
    ca: Path
    chain: Path
    key: Path


def make(place):
    """An authority, and a certificate of its."""
    place = Path(place)
    made = Certificates(place / "ca.pem", place / "server.pem", place / "server.key")
    ca_key, request, extensions = place / "ca.key", place / "server.csr", place / "extensions"
    extensions.write_text(f"subjectAltName=DNS:{_NAME}\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-x509", *key, "-keyout", ca_key, "-out", made.ca, "-subj", "/CN=interop authority", "-days", "2")
    _openssl("req", *key, "-keyout", made.key, "-out", request, "-subj", "/CN=interop")
    _openssl("x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial", "-out", made.chain,
             "-days", "2", "-extfile", extensions)
    return made


def prepare(peers, certificates):
    """Gives these peers their options."""
    for one in peers:
        one.server_tls = ["--use_tls", "true", "--tls_cert", certificates.chain, "--tls_key", certificates.key]
        one.client_tls = ["--use_tls", "true", "--ca_file", certificates.ca, "--server_host_override", _NAME]
        if one.name == "grpcio":
            one.client_lacks = {case: _FRAMES for case in _TAPPED}


def _openssl(*arguments):
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
