#!/usr/bin/env bash
# Plays scenes in which clients harm a server, on the loopback and for some minutes, and checks what others then see.
# Usage: scripts/faults/run.sh [BINARY]; without a binary, one is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH
binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --release --locked --quiet
    binary=target/release/ressort
fi
python3 -m scripts.faults.connections "$binary"
python3 -m scripts.faults.texts "$binary"
