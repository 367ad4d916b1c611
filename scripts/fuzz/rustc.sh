#!/usr/bin/env bash
# A compiler that lets libFuzzer see which code of Ressort and of the fuzz targets an input reaches. Cargo calls it for every
# crate; the others are compiled as ever, so that their builds are shared with the project's.
case "${CARGO_PKG_NAME:-}" in
  ressort | ressort-fuzz)
    exec "$@" --cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
      -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
      -C llvm-args=-sanitizer-coverage-trace-compares -C llvm-args=-sanitizer-coverage-stack-depth ;;
  *) exec "$@" ;;
esac
