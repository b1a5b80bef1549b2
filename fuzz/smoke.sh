#!/usr/bin/env bash
# Builds every fuzz target once and runs each for a few seconds on its committed corpus, two at a time.
#
#   fuzz/smoke.sh [seconds a target]
#
# Prints the executions of each target; exits with 1 when one of them finds anything.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=fuzz/build.sh
source ./build.sh

seconds=${1:-4}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# One target: its corpus is read only, what is found goes to artifacts/.
run() {
    local target=$1
    mkdir -p "artifacts/$target" "$logs/corpus/$target"
    if "$binaries/$target" "$logs/corpus/$target" "corpus/$target" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 -seed=1 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" >"$logs/$target" 2>&1; then
        printf '%-20s %10s executions\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target")"
    else
        printf '%-20s FINDING, see fuzz/artifacts/%s\n' "$target" "$target"
        tail -n 40 "$logs/$target"
        touch "$logs/failed"
    fi
}
export -f run
export binaries seconds logs
xargs -n 1 -P 2 bash -c 'run "$1"' _ <<<"$targets"
[ ! -e "$logs/failed" ]
