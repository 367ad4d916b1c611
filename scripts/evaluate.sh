#!/usr/bin/env bash
# Inspects a new model folder, compares it on labelled data with the model in use, shows the report, and prints the
# commands that activate it. MODEL is a folder, or the name of one in models/ (RESSORT_MODELS_DIR, or --models-dir).
#
#   scripts/evaluate.sh MODEL GOLD [flags of `ressort evaluate`]
#
# The model in use is models/ressort, or the folder that RESSORT_IN_USE names. The report goes to evaluations/MODEL/
# (RESSORT_REPORTS names another folder).
# Exit code: 0, or 4 when a --require is not met.
set -euo pipefail

if [ $# -lt 2 ]; then
  sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
candidate=$1 gold=$2
shift 2
# A name is that of a folder in the models folder, as for the program.
models=${RESSORT_MODELS_DIR:-$root/models}
flags=("$@")
for index in "${!flags[@]}"; do
  case ${flags[index]} in
    --models-dir)
      models=${flags[index + 1]:-}
      if [ -z "$models" ]; then echo "evaluate.sh: --models-dir needs a folder" >&2; exit 2; fi
      ;;
    --models-dir=*) models=${flags[index]#*=} ;;
  esac
done
if [ -n "$candidate" ] && [ ! -d "$candidate" ] && [ -d "$models/$candidate" ]; then candidate=$models/$candidate; fi
if [ ! -d "$candidate" ]; then echo "evaluate.sh: \`$candidate\`: no such model folder, here or in $models" >&2; exit 1; fi
in_use=${RESSORT_IN_USE:-$root/models/ressort}
out=${RESSORT_REPORTS:-$root/evaluations}/$(basename "$(cd "$candidate" && pwd)")

command -v cargo > /dev/null || { echo "evaluate.sh: cargo is missing; install Rust from https://rustup.rs" >&2; exit 1; }
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$("$root/scripts/onnxruntime.sh")}
export ORT_DYLIB_PATH
if [ -z "${RESSORT_BIN:-}" ]; then
  (cd "$root" && cargo build --release --locked)
  RESSORT_BIN=${CARGO_TARGET_DIR:-$root/target}/release/ressort
fi

echo "== $candidate"
"$RESSORT_BIN" inspect "$candidate"

echo
echo "== against $in_use on $gold"
mkdir -p "$out"
code=0
"$RESSORT_BIN" evaluate --data "$gold" --model "in-use=$in_use" --model "candidate=$candidate" \
  --json "$out/report.json" --html "$out/report.html" "$@" || code=$?
# 4: the comparison is complete, and a requirement is not met.
if [ "$code" -ne 0 ] && [ "$code" -ne 4 ]; then exit "$code"; fi

if [ -t 1 ] && [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open > /dev/null; then
  xdg-open "$out/report.html" > /dev/null 2>&1 &
fi

# Only the tasks that the new model answers are switched to it.
folder=$(cd "$candidate" && pwd)
name=$(basename "$folder")
tasks=$("$RESSORT_BIN" inspect --json "$candidate" | tr -d ' \n' | grep -o '"tasks":\[[^]]*\]')
switch=
for task in topics entities; do
  case $tasks in *"\"$task\""*) switch+=" --$task $name" ;; esac
done
echo
if [ "$code" -eq 4 ]; then
  echo 'A requirement is not met. To activate it anyway:'
else
  echo 'To activate it:'
fi
[ ! -d "$models" ] || models=$(cd "$models" && pwd)
if [ "$folder" != "$models/$name" ]; then printf '  cp -R %q %q\n' "$folder" "$models/$name"; fi
printf '  %q models load %q && %q models activate%s\n' "$RESSORT_BIN" "$name" "$RESSORT_BIN" "$switch"
exit "$code"
