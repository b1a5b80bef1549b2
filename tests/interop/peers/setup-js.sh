#!/usr/bin/env bash
# Makes the packages of the interop programs on grpc-js, as tests/interop/peers/grpc-js/package-lock.json pins them, in
# target/peers/grpc-js; installs Node.js and npm of Debian where they are missing. The last line printed is the version of
# grpc-js and the value of NODE_PATH. Exits 3 when something cannot be installed, with the reason as last line of
# standard error.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
place=$(cd "$here/../../.." && pwd)/target/peers/grpc-js
lock=$here/grpc-js/package-lock.json

missing() {
    echo "$1" >&2
    exit 3
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    command -v apt-get >/dev/null || missing "no Node.js with npm, and no apt-get to install them with"
    [[ $(id -u) -eq 0 ]] || missing "no Node.js with npm, and only root may install them"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm; } >/dev/null 2>&1 \
        || missing "apt-get could not install nodejs and npm"
fi
node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' || missing "Node.js $(node --version) is older than 18"
want=$(sha256sum "$lock" | cut -d' ' -f1)
if [[ ! -f $place/.stamp || $(cat "$place/.stamp") != "$want" ]]; then
    rm -rf "$place"
    mkdir -p "$place"
    cp "$here/grpc-js/package.json" "$lock" "$place"
    (cd "$place" && npm ci --silent --no-audit --no-fund --ignore-scripts) >/dev/null 2>&1 \
        || missing "npm could not install the packages of package-lock.json"
    echo "$want" >"$place/.stamp"
fi
version=$(node -p "require('$place/node_modules/@grpc/grpc-js/package.json').version")
echo "$version $place/node_modules"
