#!/usr/bin/env bash
# Measures nghttp2's C library where it is installed: whole RPCs in memory, and header blocks decoded.
# The release build of this crate must be there, for the blocks.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../target}
if ! command -v gcc >/dev/null || ! echo '#include <nghttp2/nghttp2.h>' | gcc -E - >/dev/null 2>&1; then
  echo "skipped: gcc or nghttp2's headers (libnghttp2-dev) are not installed"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -o "$work/nghttp2_bench" "$here/nghttp2_bench.c" -lnghttp2
"$work/nghttp2_bench" calls 3000
"$target/release/hpack-bench" --dump "$work"
for blocks in "$work"/*.blocks; do
  "$work/nghttp2_bench" blocks "$blocks" | sed "s|$work/||"
done
if command -v valgrind >/dev/null; then
  count() {
    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$work/nghttp2_bench" calls "$1" 2>&1 |
      awk '/refs:/ { gsub(",", "", $NF); print $NF }'
  }
  echo "instructions_per_rpc=$((($(count 300) - $(count 100)) / 20000))"
fi
