#!/usr/bin/env bash
# Generates a Python and a TypeScript client of the OpenAPI description, compiles them, and calls a server with each. Needs
# Node.js 20 or newer, and PyPI and the npm registry on the first run.
# Usage: scripts/api/clients.sh [BINARY]; without a binary, one is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
binary=${1:-}
if [ -z "$binary" ]; then
  cargo build --locked --quiet
  binary=${CARGO_TARGET_DIR:-target}/debug/ressort
fi

venv=target/api-clients/venv
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/api/clients-requirements.txt
# ES modules are found from the file that imports them, so the program goes where the packages are.
node=target/api-clients/node
mkdir -p "$node"
cp scripts/api/package.json scripts/api/package-lock.json scripts/api/tsconfig.json scripts/api/call.ts "$node"
npm ci --prefix "$node" --silent --no-audit --no-fund

work=$(mktemp -d)
server=
stop() { if [ -n "$server" ]; then kill "$server" 2> /dev/null && wait "$server" || true; fi; }
trap 'stop; rm -rf "$work"' EXIT
RUST_LOG=warn "$binary" serve --port 0 --providers cpu --model tests/models/two-heads > "$work/out" 2> "$work/log" &
server=$!
for _ in $(seq 300); do
  RESSORT_SERVER=$(grep -oh 'http://127[.0-9]*:[0-9]*' "$work/out" | head -1 || true)
  [ -z "$RESSORT_SERVER" ] || break
  kill -0 "$server" 2> /dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$RESSORT_SERVER" ] || { echo 'clients.sh: the server does not start; its log:' >&2; cat "$work/log" >&2; exit 1; }
export RESSORT_SERVER
curl --silent --show-error --fail "$RESSORT_SERVER/openapi.json" > "$work/openapi.json"

echo '-- Python'
# Bodies of lines and of plain text are left out: the generator knows JSON and forms only, and says so.
"$venv/bin/openapi-python-client" generate --path "$work/openapi.json" --meta none --output-path "$work/ressort_client" \
  --config scripts/api/python-client.yml > "$work/generated" 2>&1 || { cat "$work/generated" >&2; exit 1; }
grep -A 1 '^WARNING' "$work/generated" | grep -v '^--' | sort | uniq -c || true
cp scripts/api/call.py "$work"
(cd "$work" && "$OLDPWD/$venv/bin/mypy" --no-error-summary ressort_client call.py && "$OLDPWD/$venv/bin/python" call.py)

echo '-- TypeScript'
"$node/node_modules/.bin/openapi-typescript" "$work/openapi.json" --output "$node/schema.d.ts"
"$node/node_modules/.bin/tsc" --project "$node"
node "$node/call.js"
echo 'the generated clients are answered'
