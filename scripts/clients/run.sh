#!/usr/bin/env bash
# Runs the clients of other services against a server: their tests with small models and keys, then the examples of the manual
# with the model that ships. Needs Node.js 20 or newer, and PyPI and the npm registry on the first run.
# Usage: scripts/clients/run.sh [BINARY]; without a binary, one is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib/server.sh
use_binary "${1:-}"

venv=target/clients/venv
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/clients/requirements.txt
# ES modules are found from the file that imports them, so the scripts go where the packages are.
node=target/clients/node
mkdir -p "$node"
cp scripts/clients/package.json scripts/clients/package-lock.json scripts/clients/*.mjs scripts/examples/*.mjs "$node"
npm ci --prefix "$node" --silent --no-audit --no-fund

make_work_folder

# Runs an example and shows what it prints; all of them find the same.
example() {
  echo "-- $1"
  "${@:2}" | tee "$work/printed"
  grep -q "$expected" "$work/printed" || { echo "run.sh: $1 does not print '$expected'" >&2; exit 1; }
}

export RESSORT_API_KEY=key RESSORT_ADMIN_KEY=admin-key
mkdir "$work/models"
for model in lexicon-ner lexicon-topics two-heads two-heads-pooled; do cp -r "tests/models/$model" "$work/models"; done
start --streams 2 --models-dir "$work/models" --model "$work/models/lexicon-topics" --model "$work/models/lexicon-ner" \
  --model "$work/models/two-heads"
"$venv/bin/python" -m pytest --quiet scripts/clients
node --test "$node/hugging_face.test.mjs"
stop

start --streams 2 --model models/ressort
expected='Angela Merkel'
example classify.py python3 scripts/examples/classify.py
example classify.mjs node "$node/classify.mjs"
example classify.sh scripts/examples/classify.sh
example hugging_face.py "$venv/bin/python" scripts/examples/hugging_face.py
example hugging_face.mjs node "$node/hugging_face.mjs"
example open_inference.py "$venv/bin/python" scripts/examples/open_inference.py
expected=Sport
example text_embeddings.py "$venv/bin/python" scripts/examples/text_embeddings.py
example vllm.py "$venv/bin/python" scripts/examples/vllm.py
echo 'all clients are answered'
