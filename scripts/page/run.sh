#!/usr/bin/env bash
# Tests the page at / and the HTML report of `ressort evaluate` in headless Chromium, with axe-core for accessibility.
#
#   scripts/page/run.sh                runs all tests
#   scripts/page/run.sh --screenshots  also writes pictures to target/page/screenshots, to look at
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
say() { printf 'page: %s\n' "$1" >&2; }

command -v node > /dev/null || { say 'node is missing; install Node.js 20 or later'; exit 1; }
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$chromium" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    say 'installing chromium'
    apt-get install --yes --quiet chromium > /dev/null || { apt-get update --quiet > /dev/null && apt-get install --yes --quiet chromium > /dev/null; }
    chromium=$(command -v chromium)
  else
    say 'chromium is missing; install it (Debian: apt-get install chromium)'
    exit 1
  fi
fi

# The packages lie below target/, and Node.js looks for them next to the tests: so these are copied there.
work=target/page/tests
rm -rf "$work" && mkdir -p "$work"
cp scripts/page/* "$work"
npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$work"

ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH CHROMIUM=$chromium ROOT=$PWD
cargo build --locked --quiet
export RESSORT=${CARGO_TARGET_DIR:-$PWD/target}/debug/ressort
[ "${1:-}" != --screenshots ] || export SCREENSHOTS=$PWD/target/page/screenshots
node --test --test-concurrency=1 "$work"/*.test.js
