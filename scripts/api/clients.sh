#!/usr/bin/env bash
# Generates a Python and a TypeScript client of the OpenAPI description, compiles them, and calls a server with each. Needs
# Node.js 20 or newer, and PyPI and the npm registry on the first run.
# Usage: scripts/api/clients.sh [BINARY]; without a binary, one is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib/server.sh
use_binary "${1:-}"

venv=target/api-clients/venv
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/api/clients-requirements.txt
# ES modules are found from the file that imports them, so the program goes where the packages are.
node=target/api-clients/node
mkdir -p "$node"
cp scripts/api/package.json scripts/api/package-lock.json scripts/api/tsconfig.json scripts/api/call.ts "$node"
npm ci --prefix "$node" --silent --no-audit --no-fund

make_work_folder
start --model tests/models/two-heads
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
