#!/usr/bin/env bash
# Breaks the code in random lines and runs the tests on each: what no test notices is a gap (cargo-mutants).
#
#   scripts/mutants.sh [N [SEED]]    N mutants of the core (default: 80), drawn by SEED (default: 1)
#
# Takes about half a minute for each mutant on two cores. Results: target/mutants.out/. It works on a copy of the committed files.
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
"$tool" mutants "${mutants[@]}" --list > "$work/all"
shuf --random-source=<(yes "$seed") --head-count="$count" "$work/all" > "$work/drawn"
echo "$(wc -l < "$work/drawn") of $(wc -l < "$work/all") mutants"
drawn=()
while IFS= read -r name; do
  drawn+=(--re "^$(sed 's/[][\.*^$+?(){}|]/\\&/g' <<< "$name")\$")
done < "$work/drawn"
# Unit tests first, which take seconds; the integration tests only for what these miss. The examples of the manual are
# left out: they take a minute, and hold words and not rules.
run=("$tool" mutants "${mutants[@]}" "${drawn[@]}" --in-place --output "${RESSORT_MUTANTS_OUT:-target}" --colors never)
"${run[@]}" --timeout 60 -- --lib || true
"${run[@]}" --timeout 300 --iterate -- --lib --test it -- --skip docs::
