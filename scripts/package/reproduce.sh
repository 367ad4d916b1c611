#!/usr/bin/env bash
# Makes the packages of the last commit twice and compares them byte by byte. The two clones differ in what must not matter: folder,
# file system, home of cargo, umask, time zone, language, variables of the service, and time.
#
#   scripts/package/reproduce.sh                  two release builds from nothing; half an hour of processor time
#   scripts/package/reproduce.sh --binary FILE    packages of a program that is built already
#   SECOND=FOLDER scripts/package/reproduce.sh    where the second clone goes; default /dev/shm, which needs 3 GB
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD options=()
if [ "${1:-}" = --binary ]; then options=(--binary "$(realpath "${2:?--binary takes a file}")"); shift 2; fi
[ $# = 0 ] || { echo "reproduce.sh: unknown option $1; it takes --binary or nothing" >&2; exit 2; }
[ -z "$(git status --porcelain)" ] || echo 'reproduce.sh: what is not committed is left out' >&2
first=$(mktemp -d) second=$(mktemp -d -p "${SECOND:-/dev/shm}" 'another folder.XXXXXX')
trap 'rm -rf "$first" "$second"' EXIT

clone() {
  git clone --quiet "$root" "$1"
  # The tool for the list of parts is built once.
  mkdir "$1/target"
  [ ! -d target/tools ] || cp -r target/tools "$1/target/"
}

clone "$first/ressort"
clone "$second/a longer name"
(cd "$first/ressort" && time scripts/package.sh "${options[@]}")
cp -rn "$first/ressort/target/tools" "$second/a longer name/target/"
# Only what was made is compared.
rm -rf "$first/ressort/target/package/build"

home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$second/cargo home/registry"
for folder in cache index; do
  [ ! -d "$home/registry/$folder" ] || cp -r "$home/registry/$folder" "$second/cargo home/registry/"
done
export CARGO_HOME="$second/cargo home" TZ=Asia/Tokyo LC_ALL=tr_TR.UTF-8 RESSORT_PORT=9000
(cd "$second/a longer name" && umask 077 && time scripts/package.sh "${options[@]}")

echo
made=$first/ressort/target/package/out others="$second/a longer name/target/package/out"
diff <(cd "$made" && ls) <(cd "$others" && ls)
for file in "$made"/*; do
  cmp "$file" "$others/$(basename "$file")" || failed=yes
done
cat "$made/SHA256SUMS"
[ -z "${failed:-}" ] || { echo 'reproduce.sh: the packages differ' >&2; exit 1; }
echo 'the packages of both clones are equal'
