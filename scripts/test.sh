#!/usr/bin/env bash
# Everything that a contributor needs to trust a change: format, lints, docs, tests, licences.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
step() { printf '\n== %s\n' "$1"; }

step 'ONNX Runtime'
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
echo "$ORT_DYLIB_PATH"

step 'format'
cargo fmt --check

step 'lints'
cargo clippy --locked --all-targets --quiet -- -D warnings

step 'docs'
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --quiet

step 'licences of dependencies'
python3 scripts/licences.py

step 'scripts'
for script in scripts/*.sh; do bash -n "$script"; done
python3 -m compileall -q scripts

step 'letter case: the service against the training scripts'
python3 -m scripts.reference.make_truecase --check

step 'figures of `ressort evaluate` against seqeval, nervaluate and scikit-learn'
if python3 -m venv target/metrics-venv && target/metrics-venv/bin/pip install --quiet -r scripts/reference/metrics-requirements.txt; then
  target/metrics-venv/bin/python -m scripts.reference.make_metrics --check
else
  echo 'left out: the Python packages cannot be installed here; the tests use the stored values'
fi

step 'tests'
cargo test --locked

step 'fine-tune of a tiny checkpoint'
if python3 -c 'import onnxruntime, seqeval, sentencepiece, torch, transformers' 2> /dev/null; then
  python3 -m scripts.train.finetune.smoke --ressort "${CARGO_TARGET_DIR:-target}/debug/ressort" bert-cased
else
  echo 'left out: needs the packages of scripts/train/requirements.txt'
fi
