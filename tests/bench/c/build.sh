#!/usr/bin/env bash
# Builds the measuring program of nghttp2's C library as the file that is named, where gcc and its headers are there.
set -euo pipefail
out=$1
if ! command -v gcc >/dev/null || ! echo '#include <nghttp2/nghttp2.h>' | gcc -E - >/dev/null 2>&1; then
  rm -f "$out"
  echo "skipped: gcc or nghttp2's headers (libnghttp2-dev) are not installed"
  exit 0
fi
gcc -O2 -o "$out" "$(dirname "$0")/nghttp2_bench.c" -lnghttp2
