# Builds all fuzz targets; for the other scripts, which source it in the folder fuzz/.
#
# Needs no nightly toolchain and no cargo-fuzz: the flags below are those that `cargo fuzz build -s none` passes
# (cargo-fuzz 0.13), and RUSTC_BOOTSTRAP lets the stable compiler take them. See docs/fuzzing.md.
# Sets `triple`, `binaries` (the folder of the programs) and `targets` (their names, one a line).
# shellcheck shell=bash

triple=$(rustc -vV | sed -n 's/^host: //p')
binaries=target/$triple/release
targets=$(grep -A1 "^\[\[bin\]\]" Cargo.toml | sed -n "s/^name = \"\(.*\)\"$/\1/p")
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
-Cllvm-args=-sanitizer-coverage-stack-depth -Cdebug-assertions -Ccodegen-units=1" \
    cargo build --release --locked --bins --target "$triple"
