#!/usr/bin/env bash
# Holds answers to be the same on another processor: qemu runs the AVX2 kernels of ONNX Runtime, without VNNI, on any x86 machine.
#
#   scripts/processors.sh [CPU]   CPU is a model of `qemu-x86_64 -cpu help` (default: Haswell)
#
# It runs the parity tests there, and scores the same texts with both models that ship, here and there, into files that must be
# equal byte for byte. Takes five minutes to half an hour.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cpu=${1:-Haswell}
say() { printf 'processors.sh: %s\n' "$1" >&2; }

[ "$(uname -sm)" = 'Linux x86_64' ] || { say 'skipped: only Linux on x86-64 has emulated x86 processors to compare with'; exit 0; }
if ! command -v qemu-x86_64 > /dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    say 'installing qemu-user'
    apt-get install --yes --quiet qemu-user > /dev/null || { apt-get update --quiet > /dev/null && apt-get install --yes --quiet qemu-user > /dev/null; }
  else
    say 'qemu-x86_64 is missing; install it (Debian: apt-get install qemu-user)'
    exit 1
  fi
fi

ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
emulated() { qemu-x86_64 -cpu "$cpu" "$@" 2> >(grep -v "TCG doesn't support" >&2); }

cargo build --locked --quiet
tests=$(cargo test --locked --no-run --test it --message-format short 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
[ -x "$tests" ] || { say "no test binary was built"; exit 1; }

say "parity tests on an emulated $cpu"
emulated "$tests" parity::

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$work/texts.jsonl" <<'PYTHON'
import json, pathlib, sys

from scripts.train.markup import read_news

texts = [news.text for news in read_news(part="dev")][:16]
assert len(texts) == 16, f"only {len(texts)} texts"
pathlib.Path(sys.argv[1]).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
PYTHON
for model in ressort ressort-mini; do
  options=(score "$work/texts.jsonl" --model "models/$model" --threshold 0 --top-k 17 --streams 1 --run-timeout-s 600)
  target/debug/ressort "${options[@]}" --output "$work/$model.here.jsonl" 2> /dev/null
  emulated target/debug/ressort "${options[@]}" --output "$work/$model.there.jsonl" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
  if ! cmp "$work/$model.here.jsonl" "$work/$model.there.jsonl"; then
    say "$model answers otherwise on an emulated $cpu"
    exit 1
  fi
  say "$model: $(wc -l < "$work/$model.here.jsonl") answers are equal byte for byte"
done
