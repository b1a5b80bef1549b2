#!/usr/bin/env bash
# Takes from the working corpora of long runs what reaches edges of the code that the committed seeds do not, as few
# and as small inputs as do so, into fuzz/corpus/<target>/min-*.
#
#   fuzz/minimise.sh [target...]
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=fuzz/build.sh
source ./build.sh

[ $# -eq 0 ] || targets=$(printf '%s\n' "$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for target in $targets; do
    merged=$work/$target
    mkdir -p "$merged" "corpus-work/$target"
    find "corpus/$target" -type f ! -name 'min-*' -exec cp -t "$merged" {} +
    "$binaries/$target" -set_cover_merge=1 -use_counters=0 -max_len=4096 -timeout=10 \
        "$merged" "corpus-work/$target" "corpus/$target" 2>"$work/log" || { cat "$work/log"; exit 1; }
    rm -f "corpus/$target"/min-*
    # What was added goes by the digest of its bytes.
    find "$merged" -type f -regex '.*/[0-9a-f]*' -printf '%f\n' | while read -r input; do
        mv "$merged/$input" "corpus/$target/min-${input:0:12}"
    done
    printf '%-20s %5s inputs, %7s bytes added to %s seeds\n' "$target" \
        "$(find "corpus/$target" -name 'min-*' | wc -l)" \
        "$(find "corpus/$target" -name 'min-*' -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')" \
        "$(find "corpus/$target" -type f ! -name 'min-*' | wc -l)"
done
