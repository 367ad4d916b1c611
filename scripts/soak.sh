#!/usr/bin/env bash
# Mixed clients at four times the capacity of a server, with models swapped meanwhile; every answer is checked. On the loopback.
# Usage: scripts/soak.sh [SECONDS], 600 unless told otherwise. Builds the server where that is due.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
cargo build --release --locked --quiet
exec python3 -m scripts.faults.soak "${1:-600}"
