#!/usr/bin/env bash
# A long run: builds every fuzz target, then runs each for a while, two at a time (HALFCLOSE_FUZZ_JOBS), and prints
# what came of it.
#
#   fuzz/campaign.sh [seconds a target [target...]]
#
# What libFuzzer finds of interest is added to fuzz/corpus-work/<target>, which git ignores, so that the next run goes
# on from there; what fails goes to fuzz/artifacts/<target>, next to the log. Exits with 1 when anything failed.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=fuzz/build.sh
source ./build.sh

seconds=${1:-600}
shift || true
[ $# -eq 0 ] || targets=$(printf '%s\n' "$@")
# A build while this runs must not pull the programs from under it.
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
xargs -I{} cp "$binaries/{}" "$programs/" <<<"$targets"

dictionary() {
    case $1 in
        *_connection | chunking | frame_decode) echo -dict=dictionaries/http2.dict ;;
        hpack_*) echo -dict=dictionaries/hpack.dict ;;
        message_decode | client_server) ;;
        *) echo -dict=dictionaries/grpc.dict ;;
    esac
}

# The number of a line of libFuzzer's final statistics, or the last value of one of its counters.
statistic() { sed -n "s/^stat::$2: *//p" "$1"; }
counter() { grep -o " $2: [0-9]*" "$1" | tail -n 1 | grep -o '[0-9]*$'; }

run() {
    local target=$1 found=-
    local log=artifacts/$target/log
    mkdir -p "artifacts/$target" "corpus-work/$target"
    # shellcheck disable=SC2046
    (
        TIMEFORMAT='%R %U %S'
        time nice -n 15 "$programs/$target" "corpus-work/$target" "corpus/$target" $(dictionary "$target") \
            -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="artifacts/$target/" 2>"$log"
    ) 2>"$log.time" || found=FAILED
    local real user system
    read -r real user system < <(tail -n 1 "$log.time")
    printf '%-20s %10s executions %5.0f s %5.0f CPU s, cov %5s, ft %6s, %5s inputs  %s\n' "$target" \
        "$(statistic "$log" number_of_executed_units)" "$real" "$(bc <<<"$user + $system")" \
        "$(counter "$log" cov)" "$(counter "$log" ft)" "$(find "corpus-work/$target" -type f | wc -l)" "$found"
    [ "$found" = - ] || { tail -n 40 "$log"; touch "$programs/failed"; }
}
export -f run dictionary statistic counter
export seconds programs
xargs -n 1 -P "${HALFCLOSE_FUZZ_JOBS:-2}" bash -c 'run "$1"' _ <<<"$targets"
[ ! -e "$programs/failed" ]
