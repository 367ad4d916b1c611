#!/usr/bin/env bash
# Sends generated requests to every route, and holds each answer against the OpenAPI description. Needs PyPI on the first run.
# Usage: scripts/api/schemathesis.sh [BINARY [EXAMPLES]]; without a binary, one is built. EXAMPLES are the requests that are
# generated for each operation and phase; the default makes more than 5,000 in all.
set -euo pipefail
cd "$(dirname "$0")/../.."
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
binary=${1:-}
examples=${2:-100}
if [ -z "$binary" ]; then
  cargo build --locked --quiet
  binary=${CARGO_TARGET_DIR:-target}/debug/ressort
fi

venv=target/schemathesis
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/api/schemathesis-requirements.txt

work=$(mktemp -d)
server=
stop() { if [ -n "$server" ]; then kill "$server" 2> /dev/null && wait "$server" || true; fi; }
trap 'stop; rm -rf "$work"' EXIT

# Copies, since the routes for models are tried too.
mkdir "$work/models"
cp -r tests/models/two-heads "$work/models/ressort"
cp -r tests/models/two-heads "$work/models/ressort-mini"
RUST_LOG=warn "$binary" serve --port 0 --providers cpu --models-dir "$work/models" --model "$work/models/ressort" \
  --model "$work/models/ressort-mini" --max-jobs 100000 > "$work/out" 2> "$work/log" &
server=$!
url=
for _ in $(seq 300); do
  url=$(grep -oh 'http://127[.0-9]*:[0-9]*' "$work/out" | head -1 || true)
  [ -z "$url" ] || break
  kill -0 "$server" 2> /dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$url" ] || { echo 'schemathesis.sh: the server does not start; its log:' >&2; cat "$work/log" >&2; exit 1; }

# `hooks.py` has the check that is excluded, and adds what it does not know. Run below $work, where it leaves its own files.
root=$PWD
(
  cd "$work"
  PYTHONPATH="$root/scripts/api" SCHEMATHESIS_HOOKS=hooks "$root/$venv/bin/schemathesis" \
    --config-file "$root/scripts/api/schemathesis.toml" run "$url/openapi.json" --checks all \
    --exclude-checks negative_data_rejection --max-examples "$examples" --continue-on-failure --generation-database none \
    --seed 1 --no-color
)
if grep -q panicked "$work/log"; then
  echo 'schemathesis.sh: the server panicked; its log:' >&2
  cat "$work/log" >&2
  exit 1
fi
