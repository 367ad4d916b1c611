#!/usr/bin/env bash
# Fetches ONNX Runtime, builds ressort and scores files. Takes the arguments of `ressort score` (--help lists them), and
# --gpu, which takes the CUDA build of ONNX Runtime. Paths are those of the folder it is started in.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
gpu=() flags=()
for flag in "$@"; do
  if [ "$flag" = --gpu ]; then gpu=(--gpu); else flags+=("$flag"); fi
done

command -v cargo > /dev/null || { echo "score.sh: cargo is missing; install Rust from https://rustup.rs" >&2; exit 1; }
if [ -z "${ORT_DYLIB_PATH:-}" ]; then
  ORT_DYLIB_PATH=$("$root/scripts/onnxruntime.sh" ${gpu[@]+"${gpu[@]}"})
  # ONNX Runtime's CUDA provider looks for NVIDIA's libraries in the loader's path.
  if [ ${#gpu[@]} -gt 0 ]; then export LD_LIBRARY_PATH="$(dirname "$ORT_DYLIB_PATH")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
fi
# What `ressort` names after Ctrl-C, to resume.
printf -v RESSORT_COMMAND '%q ' "$0" "$@"
export RESSORT_COMMAND ORT_DYLIB_PATH RESSORT_MODELS_DIR=${RESSORT_MODELS_DIR:-$root/models}
# Built from inside the project, whose rust-toolchain.toml then applies.
(cd "$root" && cargo build --release --locked)
exec "${CARGO_TARGET_DIR:-$root/target}/release/ressort" score ${flags[@]+"${flags[@]}"}
