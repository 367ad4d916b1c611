#!/usr/bin/env bash
# Sends generated requests to every route, and holds each answer against the OpenAPI description. Needs PyPI on the first run.
# Usage: scripts/api/schemathesis.sh [BINARY [EXAMPLES]]; without a binary, one is built. EXAMPLES are the requests that are
# generated for each operation and phase; the default makes more than 5,000 in all.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib/server.sh
use_binary "${1:-}"
examples=${2:-100}

venv=target/schemathesis
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/api/schemathesis-requirements.txt

make_work_folder
# Copies, since the routes for models are tried too.
mkdir "$work/models"
cp -r tests/models/two-heads "$work/models/ressort"
cp -r tests/models/two-heads "$work/models/ressort-mini"
start --models-dir "$work/models" --model "$work/models/ressort" --model "$work/models/ressort-mini" --max-jobs 100000

# `hooks.py` has the check that is excluded, and adds what it does not know. Run below $work, where it leaves its own files.
root=$PWD
(
  cd "$work"
  PYTHONPATH="$root/scripts/api" SCHEMATHESIS_HOOKS=hooks "$root/$venv/bin/schemathesis" \
    --config-file "$root/scripts/api/schemathesis.toml" run "$RESSORT_SERVER/openapi.json" --checks all \
    --exclude-checks negative_data_rejection --max-examples "$examples" --continue-on-failure --generation-database none \
    --seed 1 --no-color
)
if grep -q panicked "$work/log"; then
  echo 'schemathesis.sh: the server panicked; its log:' >&2
  cat "$work/log" >&2
  exit 1
fi
