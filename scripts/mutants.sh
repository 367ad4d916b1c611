#!/usr/bin/env bash
# Breaks the code in one line at a time, and runs the tests on each change: what no test notices is a gap (cargo-mutants).
#
#   scripts/mutants.sh [N [SEED]]    at least N mutants of the core (default: 80), at even distances from one that SEED chooses (default: 1)
#
# Takes about 20 seconds for each mutant on two cores. Results: target/mutants.out/. It works on a copy of the committed files.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=27.1.0
count=${1:-80}
seed=${2:-1}
tool=target/tools/bin/cargo-mutants
if ! "$tool" mutants --version 2> /dev/null | grep --quiet --fixed-strings "$version"; then
  cargo install cargo-mutants --version "$version" --locked --quiet --root target/tools
fi
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH

work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2> /dev/null; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree"
# Built once, and kept between runs.
export CARGO_TARGET_DIR=${RESSORT_MUTANTS_TARGET:-$PWD/target/mutants}
mutants=(--dir "$work/tree" --file 'src/classify/**' --file 'src/inference/**' --file 'src/models/**' --file 'src/score/**')
n_all=$("$tool" mutants "${mutants[@]}" --list | wc -l)
# Every n-th of all mutants. Names as filters would always add the mutants that delete a field.
n_shards=$((n_all > count ? n_all / count : 1))
sample=(--sharding round-robin --shard "$((seed % n_shards))/$n_shards")
echo "about $((n_all / n_shards)) of $n_all mutants"
# No debug information to generate and link, and as few random cases as find a broken rule.
export CARGO_PROFILE_DEV_DEBUG=0 PROPTEST_CASES=${PROPTEST_CASES:-16}
# Unit tests first, which take seconds; the integration tests only for what these miss. The examples of the manual are
# left out: they take a minute, and hold words and not rules.
run=("$tool" mutants "${mutants[@]}" "${sample[@]}" --in-place --output "${RESSORT_MUTANTS_OUT:-target}" --colors never)
"${run[@]}" --timeout 120 -- --lib || true
"${run[@]}" --timeout 300 --iterate -- --lib --test it -- --skip docs::
