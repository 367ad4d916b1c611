#!/usr/bin/env bash
# Makes the Python wheel of the files that scripts/package.sh laid out. It has the very same program as the other packages.
#
#   scripts/package/wheel.sh STAGE OUT [VERSION]
#
# STAGE has bin/ressort and share/; VERSION is that of Cargo.toml, unless another one is given to try an upgrade.
set -euo pipefail

stage=$(realpath "${1:?STAGE is missing}")
mkdir -p "${2:?OUT is missing}"
out=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=${3:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)}
onnxruntime=$(sed -n 's/^cpu_version=//p' scripts/onnxruntime.sh)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

venv=$PWD/target/wheel-venv work=$PWD/target/package/wheel
if ! cmp --silent scripts/package/requirements.txt "$venv/requirements.txt"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r scripts/package/requirements.txt
  cp scripts/package/requirements.txt "$venv"
fi

rm -rf "$work"
mkdir -p "$work/ressort.data/data"
# Licences are in the wheel's own folder. ONNX Runtime comes with its own wheel.
cp -r "$stage/share" "$work/ressort.data/data/"
rm -rf "$work/ressort.data/data/share/doc"
cp "$stage/share/doc/ressort/ressort.cdx.json" README.md LICENSE-MIT LICENSE-APACHE "$work"
sed -e "s/@VERSION@/$version/" -e "s/@ONNXRUNTIME@/$onnxruntime/" -e "s,@ROOT@,$PWD," scripts/package/wheel.toml > "$work/pyproject.toml"
cd "$work"
CARGO=$OLDPWD/scripts/package/prebuilt.py RESSORT_PROGRAM=$stage/bin/ressort "$venv/bin/maturin" build --release --offline --quiet --out "$out"
