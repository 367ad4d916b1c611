#!/usr/bin/env bash
# Makes what is installed without Rust, under target/package/out: a release archive, a Debian package and a Python wheel, for x86_64
# Linux.
# The same commit gives the same bytes in any folder, at any time: scripts/package/reproduce.sh compares.
#
#   scripts/package.sh                   all, from a release build
#   scripts/package.sh --binary FILE     all, from a program that is built already
#   scripts/package.sh --deb-revision N  another revision of the Debian package, default 1
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD binary='' revision=1
fail() { echo "package.sh: $1" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$(realpath "${2:?--binary takes a file}"); shift 2 ;;
    --deb-revision) revision=${2:?--deb-revision takes a number}; shift 2 ;;
    *) echo "package.sh: unknown option $1; it takes --binary, --deb-revision or nothing" >&2; exit 2 ;;
  esac
done
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail 'packages are made on x86_64 Linux only'
for tool in python3 zstd dpkg-deb objdump git; do
  command -v $tool > /dev/null || fail "$tool is missing (Debian: apt-get install python3 zstd dpkg binutils git)"
done

step() { printf '\n== %s\n' "$1"; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
work=$root/target/package stage=$root/target/package/stage out=$root/target/package/out
tools=$root/target/tools/bin
# Files get the time of the commit, and paths of this machine stay out of the program.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
umask 022

step 'tools'
[ -x "$tools/cargo-cyclonedx" ] || cargo install --quiet --locked --root target/tools --version 0.5.9 cargo-cyclonedx
library=$(realpath "$(scripts/onnxruntime.sh)")

if [ -z "$binary" ]; then
  step 'program'
  # Paths are in messages of panics, and in those of C code. Both lists of flags stand paths with spaces.
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  CARGO_ENCODED_RUSTFLAGS=$(printf -- '--remap-path-prefix=%s=/ressort\x1f--remap-path-prefix=%s=/cargo' "$root" "$cargo_home")
  CFLAGS=$(printf -- '-ffile-prefix-map=%q=/ressort -ffile-prefix-map=%q=/cargo' "$root" "$cargo_home")
  export CARGO_ENCODED_RUSTFLAGS CFLAGS CC_SHELL_ESCAPED_FLAGS=1 CARGO_TARGET_DIR=$work/build
  unset CARGO_BUILD_TARGET
  cargo build --release --locked --bin ressort
  binary=$work/build/release/ressort
fi

step 'files'
rm -rf "$stage" "$out"
mkdir -p "$out"
put() { install -D --mode="$1" "$2" "$stage/$3"; }
doc=share/doc/ressort
put 755 "$binary" bin/ressort
strip --strip-unneeded "$stage/bin/ressort"
put 644 "$library" lib/ressort/libonnxruntime.so
git ls-files models | while read -r file; do put 644 "$file" "share/ressort/$file"; done
put 644 deploy/ressort.service lib/systemd/system/ressort.service
put 644 deploy/ressort.toml etc/ressort/ressort.toml
for file in LICENSE-MIT LICENSE-APACHE README.md CHANGELOG.md; do put 644 "$file" "$doc/$file"; done
for file in "$(dirname "$library")"/onnxruntime-*; do put 644 "$file" "$doc/$(basename "$file")"; done
# Without variables of the user, whose values help texts would show.
ressort() { env -i LC_ALL=C.UTF-8 ORT_DYLIB_PATH="$stage/lib/ressort/libonnxruntime.so" "$stage/bin/ressort" "$@"; }
completions() { mkdir -p "$stage/$(dirname "$2")"; ressort completions "$1" > "$stage/$2"; }
completions bash share/bash-completion/completions/ressort
completions zsh share/zsh/vendor-completions/_ressort
completions fish share/fish/vendor_completions.d/ressort.fish
ressort man "$stage/share/man/man1"
gzip --best --no-name "$stage"/share/man/man1/*.1
# A folder that passes its group on would mark those of the packages.
plain_folders() { find "$1" -type d -exec chmod 755 {} + -exec chmod g-s {} +; }

step 'list of parts (CycloneDX)'
CARGO=cargo "$tools/cargo-cyclonedx" cyclonedx --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu \
  --override-filename ressort-sbom --quiet
python3 scripts/package/sbom.py ressort-sbom.json "$root" "$library" > "$work/sbom.cdx.json"
rm ressort-sbom.json
put 644 "$work/sbom.cdx.json" "$doc/ressort.cdx.json"

step 'archive'
name=ressort-$version-x86_64-linux
(cd "$stage" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum > "$work/SHA256SUMS")
put 644 "$work/SHA256SUMS" SHA256SUMS
plain_folders "$stage"
tar --create --directory="$stage" --transform="s,^\.,$name," --sort=name --owner=0 --group=0 --numeric-owner --format=gnu \
  --mtime="@$SOURCE_DATE_EPOCH" . | zstd --quiet -12 --threads=1 -o "$out/$name.tar.zst"

step 'Debian package'
# cargo-deb would lay out the same files; dpkg-deb needs no build of another tool, and obeys SOURCE_DATE_EPOCH.
tree=$work/deb
rm -rf "$tree"
mkdir -p "$tree/DEBIAN" "$tree/usr"
cp -r "$stage/bin" "$stage/share" "$tree/usr/"
cp -r "$stage/etc" "$tree/"
install -D --mode=644 "$stage/lib/ressort/libonnxruntime.so" "$tree/usr/lib/ressort/libonnxruntime.so"
install -D --mode=644 "$stage/lib/systemd/system/ressort.service" "$tree/lib/systemd/system/ressort.service"
install --mode=755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$tree/DEBIAN/"
echo /etc/ressort/ressort.toml > "$tree/DEBIAN/conffiles"
floor=$(objdump -T "$stage/bin/ressort" "$stage/lib/ressort/libonnxruntime.so" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
floor=${floor#GLIBC_}
# In KiB, as dpkg-gencontrol counts: what folders take depends on the file system.
size=$(find "$tree" -type f -printf '%s\n' | awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
sed -e "s/@VERSION@/$version-$revision/" -e "s/@GLIBC@/$floor/" \
  -e "s/@SIZE@/$size/" deploy/debian/control > "$tree/DEBIAN/control"
plain_folders "$tree"
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
# Several threads would cut the file into other blocks than one does.
dpkg-deb --root-owner-group --threads-max=1 -Zxz -z3 --build "$tree" "$out/ressort_$version-${revision}_amd64.deb" > /dev/null

step 'Python wheel'
scripts/package/wheel.sh "$stage" "$out"

step 'made'
echo "the program needs glibc $floor or newer"
(cd "$out" && sha256sum -- * > SHA256SUMS && ls -l --block-size=1 -- * | awk '{ printf "%12d bytes  %s\n", $5, $9 }' && cat SHA256SUMS)
