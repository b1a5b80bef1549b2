#!/usr/bin/env bash
# Measures nghttp2's C library where it is installed: whole RPCs in memory, and header blocks decoded and encoded.
# The release build of this crate must be there, for the blocks.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/build.sh" "$work/nghttp2_bench"
[ -x "$work/nghttp2_bench" ] || exit 0
"$work/nghttp2_bench" calls 3000
"$target/release/hpack-bench" --dump "$work"
for blocks in "$work"/*.blocks; do
  for work_kind in decode encode; do
    echo "corpus=$(basename "$blocks" .blocks) work=$work_kind $("$work/nghttp2_bench" "$work_kind" "$blocks")"
  done
done
if command -v valgrind >/dev/null; then
  count() {
    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$work/nghttp2_bench" calls "$1" 2>&1 |
      awk '/refs:/ { gsub(",", "", $NF); print $NF }'
  }
  echo "instructions_per_rpc=$((($(count 300) - $(count 100)) / 20000))"
fi
