#!/usr/bin/env bash
# Builds the measuring program of the h2 crate's header compression as the file that is named. h2 keeps that module to
# itself: the copy of its source that cargo has fetched is built with the module made public, and nothing else changed.
set -euo pipefail
out=$1
here=$(cd "$(dirname "$0")" && pwd)
version=$(awk '$0 == "name = \"h2\"" { getline; gsub("\"", "", $3); print $3 }' "$here/../../../Cargo.lock")
source=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/h2-"$version" 2>/dev/null | head -n 1 || true)
if [ -z "$source" ]; then
  rm -f "$out"
  echo "skipped: the source of h2 $version has not been fetched (build with --features peers first)"
  exit 0
fi
work=$(dirname "$out")/h2-hpack-build
mkdir -p "$work/src"
# Files that did not change keep their times, so that nothing is built twice.
rm -rf "$work/h2.new"
cp -r "$source" "$work/h2.new"
chmod -R u+w "$work/h2.new"
sed -i 's/^mod hpack;$/#[allow(missing_docs, missing_debug_implementations)] pub mod hpack;/' "$work/h2.new/src/lib.rs"
grep -q 'pub mod hpack;' "$work/h2.new/src/lib.rs"
if diff -qr "$work/h2.new" "$work/h2" >/dev/null 2>&1; then rm -rf "$work/h2.new"; else
  rm -rf "$work/h2"
  mv "$work/h2.new" "$work/h2"
fi
cat >"$work/Cargo.toml" <<END
[package]
name = "h2-hpack"
version = "0.0.0"
edition = "2024"
[dependencies]
bytes = "1"
h2 = { path = "h2" }
http = "1"
[profile.release]
lto = "thin"
codegen-units = 1
[workspace]
END
cp "$here/h2_hpack.rs" "$work/src/main.rs"
cargo build --quiet --release --manifest-path "$work/Cargo.toml" --target-dir "$work/target"
cp "$work/target/release/h2-hpack" "$out"
