#!/usr/bin/env bash
# Runs a fuzz target (fuzz/targets) with libFuzzer, from its seeds and from what earlier runs kept in fuzz/corpus.
#
#   scripts/fuzz.sh TARGET [RUNS|SECONDSs]    one of data, folder, request, text; for 60s unless told otherwise
#
# A panic, a failed assertion, an overflow, 2 GB of memory, or 10 seconds for one input end it with an error. The input is then
# in fuzz/artifacts; scripts/fuzz.sh TARGET FILE runs it alone. Without a sanitizer, since the targets' code is safe Rust:
# the toolchain of the project is enough, and the builds of other crates are shared with it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
usage() { sed -n 's/^#   //p' "$0" >&2; exit 2; }
target=${1:-}
[ -f "fuzz/targets/$target.rs" ] || usage
bound=${2:-60s}
case "$bound" in
  *[!0-9s]*) [ -f "$bound" ] || usage ;;
  *s) bound=-max_total_time=${bound%s} ;;
  *) bound=-runs=$bound ;;
esac

build=$PWD/target
CARGO_TARGET_DIR=$build RUSTC_WRAPPER=$PWD/scripts/fuzz/rustc.sh \
  cargo build --quiet --locked --manifest-path fuzz/Cargo.toml --bin "$target"
options=(-timeout=10 -rss_limit_mb=2048 "-artifact_prefix=fuzz/artifacts/$target-")
mkdir -p fuzz/artifacts
if [ -f "$bound" ]; then
  exec "$build/debug/$target" "${options[@]}" "$bound"
fi

venv=target/fuzz-venv
if ! cmp --silent scripts/fuzz/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/fuzz/requirements.txt
  cp scripts/fuzz/requirements.txt "$venv"
fi
corpus=fuzz/corpus/$target seeds=target/fuzz-seeds/$target
mkdir -p "$corpus" "$seeds"
"$venv/bin/python" -m scripts.fuzz.seeds "$target" "$seeds" "$seeds.dict"
exec "$build/debug/$target" "$bound" "${options[@]}" "-dict=$seeds.dict" -max_len=20000 -print_final_stats=1 "$corpus" "$seeds"
