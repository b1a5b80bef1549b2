#!/usr/bin/env bash
# Makes the Python environment of the real-peer suite: a venv with the pinned packages and, inside it, the descriptor
# set compiled from tests/interop/proto. Does nothing when both are up to date. HALFCLOSE_PEERS_VENV overrides the
# place (default: target/peers-venv in the workspace). The last line printed is the path of its Python.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
proto=$root/tests/interop/proto
venv=${HALFCLOSE_PEERS_VENV:-$root/target/peers-venv}
stamp=$venv/.stamp
log=

fail() {
    echo "peers: setup failed: $1" >&2
    if [[ -n $log && -s $log ]]; then tail -n 5 "$log" >&2; fi
    exit 1
}

cd "$proto" || fail "no directory $proto"
protos=(grpc/testing/empty.proto grpc/testing/messages.proto grpc/testing/test.proto)
want=$(cat "$here/requirements.txt" "$here/setup.sh" "${protos[@]}" | sha256sum | cut -d' ' -f1) \
    || fail "cannot read requirements.txt or the protos"

if [[ ! -f $stamp || $(cat "$stamp") != "$want" ]]; then
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
        || fail "$python is missing or older than 3.11"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    rm -f "$stamp"
    "$python" -m venv "$venv" >"$log" 2>&1 || fail "python -m venv $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" \
        >"$log" 2>&1 || fail "pip install -r requirements.txt"
    "$venv/bin/python" -m grpc_tools.protoc -I . --include_imports \
        --descriptor_set_out="$venv/grpc_testing.binpb" "${protos[@]}" >"$log" 2>&1 || fail "protoc"
    echo "$want" >"$stamp"
fi
echo "$venv/bin/python"
