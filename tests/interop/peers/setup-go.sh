#!/usr/bin/env bash
# Makes the interop programs on grpc-go: installs Go and grpc-go of Debian where they are missing, and builds
# tests/interop/peers/grpc-go. Without a module proxy: the packages are Debian's, in GOPATH mode. The last line printed is
# the version of grpc-go and the path of the program. Exits 3 when the packages are not there and cannot be installed,
# with the reason as last line of standard error; 1 when the program does not build.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(cd "$here/../../.." && pwd)/target/peers/grpc-go-peer
gopath=/usr/share/gocode
grpc=$gopath/src/google.golang.org/grpc
packages=(golang-go golang-google-grpc-dev)

missing() {
    echo "$1" >&2
    exit 3
}

if ! command -v go >/dev/null || [[ ! -d $grpc ]]; then
    command -v apt-get >/dev/null || missing "no ${packages[*]}, and no apt-get to install them with"
    [[ $(id -u) -eq 0 ]] || missing "no ${packages[*]}, and only root may install them"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null 2>&1 \
        || missing "apt-get could not install ${packages[*]}"
    [[ -d $grpc ]] || missing "golang-google-grpc-dev has no $grpc"
fi
version=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' "$grpc/version.go")
mkdir -p "$(dirname "$program")"
cd "$here/grpc-go"
GO111MODULE=off GOFLAGS= GOPATH=$gopath go build -o "$program" .
echo "$version $program"
