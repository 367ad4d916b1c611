#!/usr/bin/env bash
# Kills `ressort score` with SIGKILL at random moments and resumes each time with the same command, then compares the
# output and the errors byte for byte with those of a run that nobody disturbed. Ends with 1 where they differ.
#
#   scripts/bench/kill_resume.sh RESSORT FORMAT KILLS ARGUMENT...
#
# RESSORT is the binary, FORMAT the extension of the output, ARGUMENT... the input and the flags of `ressort score`.
set -euo pipefail

ressort=$1 format=$2 n_kills=$3
shift 3
work=$(mktemp -d "${TMPDIR:-/tmp}/kill-resume.XXXXXX")
trap 'rm -rf "$work"' EXIT
whole=$work/whole.$format killed=$work/killed.$format

# Exit code 3 says that some rows could not be scored, which is as good as 0 here.
finished() { [ "$1" -eq 0 ] || [ "$1" -eq 3 ]; }

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

start=$(milliseconds)
code=0
"$ressort" score "$@" --output "$whole" 2> "$work/log" || code=$?
finished $code || { cat "$work/log" >&2; exit 1; }
duration=$(($(milliseconds) - start))
echo "undisturbed: $duration ms, $(stat -c %s "$whole") bytes"

kills=0
while :; do
  "$ressort" score "$@" --output "$killed" 2> "$work/log" &
  process=$!
  if [ "$kills" -lt "$n_kills" ]; then
    # Up to a third of the whole run after the start, so that kills fall on loading, reading, writing and finishing.
    delay=$((RANDOM * 32768 + RANDOM))
    sleep "$(awk -v ms=$((delay % (duration / 3 + 1))) 'BEGIN { print ms / 1000 }')"
    kill -KILL $process 2> /dev/null && kills=$((kills + 1))
  fi
  code=0
  wait $process 2> /dev/null || code=$?
  done=$(sed -n 's/.*"documents": \([0-9]*\).*/\1/p' "$killed.parts/checkpoint.json" 2> /dev/null || true)
  [ $code -eq 137 ] && echo "kill $kills: ${done:-0} documents on the disk" && continue
  finished $code || { cat "$work/log" >&2; exit 1; }
  [ "$kills" -ge "$n_kills" ] && break
  # Finished before all kills were spent: start over.
  cmp "$whole" "$killed" && rm -f "$killed" "$killed.errors.jsonl"
done

[ ! -e "$killed.parts" ] || { echo "$killed.parts is left over" >&2; exit 1; }
cmp "$whole" "$killed"
if [ -e "$whole.errors.jsonl" ]; then cmp "$whole.errors.jsonl" "$killed.errors.jsonl"; fi
echo "identical after $kills kills: $(sha256sum < "$killed" | cut -c1-16)"
