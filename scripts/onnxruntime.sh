#!/usr/bin/env bash
# Puts ONNX Runtime where ressort looks for it, out of a pinned PyPI wheel, and prints the library's path.
# Does nothing but that when it is there. Needs python3 with pip.
#
#   scripts/onnxruntime.sh         the build for the CPU
#   scripts/onnxruntime.sh --gpu   the build for CUDA 13, and NVIDIA's libraries for it where the system has none
set -euo pipefail

cpu_version=1.32.0
gpu_version=1.31.1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RESSORT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ressort}

say() { printf 'onnxruntime.sh: %s\n' "$1" >&2; }
fail() { say "$1"; exit 1; }

flavour=cpu
case "${1:-}" in
  --gpu) flavour=gpu ;;
  '') ;;
  *) fail "unknown option $1; it takes --gpu or nothing" ;;
esac

# Platform tag and checksum of the wheel for this machine.
pin() {
  case "$flavour-$(uname -s)-$(uname -m)" in
    cpu-Linux-x86_64) echo manylinux_2_28_x86_64 99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8 ;;
    cpu-Linux-aarch64) echo manylinux_2_28_aarch64 e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054 ;;
    cpu-Darwin-arm64) echo macosx_14_0_arm64 d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e ;;
    gpu-Linux-x86_64) echo manylinux_2_28_x86_64 05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7 ;;
    *) fail "no pinned ONNX Runtime ($flavour) for $(uname -s) $(uname -m); install ONNX Runtime 1.24 or newer yourself and set ORT_DYLIB_PATH to its library" ;;
  esac
}

# Downloads one wheel by platform, requirement and checksum into a folder.
download() {
  local requirements=$3/requirements.txt
  printf '%s --hash=sha256:%s\n' "$2" "$4" > "$requirements"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --platform "$1" \
    --python-version 3.12 --implementation cp --abi cp312 --require-hashes --requirement "$requirements" --dest "$3" >&2 ||
    fail "$2 could not be downloaded from PyPI (or its checksum is wrong); see the message above"
}

# Unpacks the shared libraries and licences of all wheels in a folder into another.
unpack() {
  python3 - "$1" "$2" <<'PYTHON'
import pathlib, shutil, sys, zipfile

wheels, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True)
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            file = pathlib.PurePath(name).name
            library = (".so" in file or file.endswith(".dylib")) and "pybind" not in file
            if library or file.lower() in ("license", "license.txt", "thirdpartynotices.txt"):
                target = file if library else f"{wheel.name.split('-')[0]}-{file}"
                with archive.open(name) as source, open(folder / target, "wb") as target:
                    shutil.copyfileobj(source, target)
for library in folder.glob("libonnxruntime.so.*"):
    (folder / "libonnxruntime.so").symlink_to(library.name)
for library in folder.glob("libonnxruntime.*.dylib"):
    (folder / "libonnxruntime.dylib").symlink_to(library.name)
PYTHON
}

version=$cpu_version package=onnxruntime
[ "$flavour" = gpu ] && version=$gpu_version package=onnxruntime-gpu
folder=$cache/onnxruntime-$version-$flavour
if [ ! -d "$folder" ]; then
  wheel=$(pin)
  command -v python3 > /dev/null || fail "python3 is missing; it fetches ONNX Runtime from PyPI"
  python3 -m pip --version > /dev/null 2>&1 || fail "python3 has no pip; install it (Debian: apt-get install python3-pip)"
  mkdir -p "$cache"
  # Prepared in a temporary folder and then renamed, so that an interrupted download leaves nothing half done.
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  say "fetching ONNX Runtime $version ($flavour)"
  download "${wheel% *}" "$package==$version" "$work" "${wheel#* }"
  if [ "$flavour" = gpu ] && ! ldconfig -p 2> /dev/null | grep -q 'libcudnn\.so\.9'; then
    say "fetching NVIDIA's CUDA libraries (1.3 GB)"
    while read -r platform requirement checksum; do
      case "$platform" in ''|'#'*) continue ;; esac
      download "$platform" "$requirement" "$work" "$checksum"
    done < "$root/scripts/cuda-libraries.txt"
  fi
  unpack "$work" "$work/unpacked"
  mv "$work/unpacked" "$folder"
fi
# The one that ressort finds by itself is the one that this script fetched or printed last.
ln -sfn "$(basename "$folder")" "$cache/onnxruntime"
case "$(uname -s)" in
  Darwin) echo "$folder/libonnxruntime.dylib" ;;
  *) echo "$folder/libonnxruntime.so" ;;
esac
