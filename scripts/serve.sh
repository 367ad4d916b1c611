#!/usr/bin/env bash
# Fetches ONNX Runtime, builds ressort and serves the model that ships, on 127.0.0.1:8080. Takes the flags of
# `ressort serve` (--help lists them), and --gpu, which takes the CUDA build of ONNX Runtime.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
gpu=() flags=()
for flag in "$@"; do
  if [ "$flag" = --gpu ]; then gpu=(--gpu); else flags+=("$flag"); fi
done

command -v cargo > /dev/null || { echo "serve.sh: cargo is missing; install Rust from https://rustup.rs" >&2; exit 1; }
if [ -z "${ORT_DYLIB_PATH:-}" ]; then
  ORT_DYLIB_PATH=$("$root/scripts/onnxruntime.sh" ${gpu[@]+"${gpu[@]}"})
  # ONNX Runtime's CUDA provider looks for NVIDIA's libraries in the loader's path.
  if [ ${#gpu[@]} -gt 0 ]; then export LD_LIBRARY_PATH="$(dirname "$ORT_DYLIB_PATH")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
fi
export ORT_DYLIB_PATH RESSORT_MODELS_DIR=${RESSORT_MODELS_DIR:-$root/models}
binary=${CARGO_TARGET_DIR:-$root/target}/release/ressort
if ! [ -x "$binary" ]; then
  echo "serve.sh: building ressort, which takes about ten minutes on two cores" >&2
fi
# Built from inside the project, whose rust-toolchain.toml then applies.
(cd "$root" && cargo build --release --locked)
exec "$binary" serve ${flags[@]+"${flags[@]}"}
