#!/usr/bin/env bash
# Builds every fuzz target once and runs each for a few seconds on its committed corpus, two at a time.
#
#   fuzz/smoke.sh [seconds a target]
#
# Prints the executions of each target; exits with 1 when one of them finds anything. Needs no nightly toolchain and
# no cargo-fuzz: the flags below are those that `cargo fuzz build -s none` passes (cargo-fuzz 0.13), and
# RUSTC_BOOTSTRAP lets the stable compiler take them. See docs/fuzzing.md.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-4}
triple=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
-Cllvm-args=-sanitizer-coverage-stack-depth -Cdebug-assertions -Ccodegen-units=1"
cargo build --release --locked --bins --target "$triple"

targets=$(grep -A1 "^\[\[bin\]\]" Cargo.toml | sed -n "s/^name = \"\(.*\)\"$/\1/p")
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# One target: its corpus is read only, what is found goes to artifacts/.
run() {
    local target=$1
    mkdir -p "artifacts/$target" "$logs/corpus/$target"
    if "target/$triple/release/$target" "$logs/corpus/$target" "corpus/$target" \
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
export triple seconds logs
xargs -n 1 -P 2 bash -c 'run "$1"' _ <<<"$targets"
[ ! -e "$logs/failed" ]
