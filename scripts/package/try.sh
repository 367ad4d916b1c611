#!/usr/bin/env bash
# Installs, runs, upgrades and removes what scripts/package.sh made, each in a fresh root: the archive, the Debian package, and the
# Python wheel in a bare virtual environment.
#
#   scripts/package/try.sh               all that is in target/package/out
#   scripts/package/try.sh wheel         only this: archive, deb or wheel
#   ROOTFS=FOLDER scripts/package/try.sh a minimal Debian that is there already; it is copied, not changed
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=$PWD/target/package/out
work=$(mktemp -d)
server=''
stop() { [ -z "$server" ] || { kill "$server" 2> /dev/null; wait "$server" 2> /dev/null; } || true; server=''; }
unmount() { ! mountpoint --quiet "$work/root/proc" || umount "$work/root/proc"; }
trap 'stop; unmount; rm -rf --one-file-system "$work"' EXIT
step() { printf '\n== %s\n' "$1"; }
fail() { echo "try.sh: $1" >&2; exit 1; }
# The only file of a pattern.
made() { [ -f "$1" ] || fail "$out has no $2; run scripts/package.sh first"; echo "$1"; }
# In a folder without models.
bare=(env -i --chdir="$work" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nowhere)

# Starts `ressort serve` with the words before it, asks for one text, and ends it.
serve() {
  local port=$1 line; shift
  "${bare[@]}" "$@" serve --port "$port" --providers cpu --streams 1 > "$work/serve.log" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    grep -q 'listens on' "$work/serve.log" && break
    kill -0 $server 2> /dev/null || { cat "$work/serve.log" >&2; fail "the server ended"; }
    sleep 0.2
  done
  line=$(curl -sS "http://127.0.0.1:$port/v1/classify" -H 'content-type: application/json' -d '{"text": "Angela Merkel sprach in Berlin."}')
  case $line in *'"Angela Merkel"'*) echo 'served a text' ;; *) fail "unexpected answer: $line" ;; esac
  stop
}

fresh_root() {
  unmount
  rm -rf --one-file-system "$work/root"
  if [ -n "${ROOTFS:-}" ]; then cp -a "$ROOTFS" "$work/root"; else debootstrap --variant=minbase --include=adduser,libstdc++6 bookworm "$work/root" > /dev/null; fi
  # The program finds its folder, and what the machine is like, there.
  mount -t proc proc "$work/root/proc"
}
inside() { chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }

try_archive() {
  local archive
  archive=$(made "$out"/ressort-*.tar.zst archive)
  step 'archive'
  fresh_root
  mkdir "$work/root/opt/ressort"
  zstd -dc "$archive" | tar --extract --directory="$work/root/opt/ressort" --strip-components=1
  (cd "$work/root/opt/ressort" && sha256sum --check --quiet SHA256SUMS)
  inside /opt/ressort/bin/ressort --version
  inside /opt/ressort/bin/ressort doctor -- --port 18071 --state-file /tmp/active.json
  serve 18071 chroot "$work/root" /opt/ressort/bin/ressort
}

try_deb() {
  local deb
  deb=$(made "$out"/ressort_*.deb 'Debian package')
  step 'Debian package: install'
  fresh_root
  cp "$deb" "$work/root/tmp/ressort.deb"
  inside dpkg --install /tmp/ressort.deb
  inside ressort doctor
  [ "$(stat -c %a "$work/root/var/lib/ressort")" = 750 ] || fail 'the state folder is open to others'
  serve 18072 chroot --userspec=ressort:ressort "$work/root" ressort
  step 'Debian package: upgrade'
  echo '{}' > "$work/root/var/lib/ressort/models/own.json"
  echo '# changed by the administrator' >> "$work/root/etc/ressort/ressort.toml"
  # The same files with a higher version.
  dpkg-deb --raw-extract "$deb" "$work/next"
  sed -i 's/^Version: .*/Version: 999.0.0-1/' "$work/next/DEBIAN/control"
  dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/next" "$work/root/tmp/next.deb" > /dev/null
  inside dpkg --install /tmp/next.deb
  grep -q 'changed by the administrator' "$work/root/etc/ressort/ressort.toml" || fail 'the upgrade replaced the settings'
  [ -f "$work/root/var/lib/ressort/models/own.json" ] || fail 'the upgrade lost the state'
  serve 18072 chroot --userspec=ressort:ressort "$work/root" ressort
  step 'Debian package: remove, purge'
  inside dpkg --remove ressort
  [ ! -e "$work/root/usr/bin/ressort" ] || fail 'the program is still there'
  [ -f "$work/root/var/lib/ressort/models/own.json" ] || fail 'removing lost the state'
  inside dpkg --purge ressort
  for left in var/lib/ressort etc/ressort usr/share/ressort usr/lib/ressort; do
    [ ! -e "$work/root/$left" ] || fail "purging left /$left"
  done
  ! inside getent passwd ressort || fail 'purging left the user'
}

try_wheel() {
  local wheel venv=$work/venv
  wheel=$(made "$out"/ressort-*.whl 'Python wheel')
  step 'Python wheel: install'
  python3 -m venv "$venv"
  pip() { "$venv/bin/pip" --disable-pip-version-check --quiet "$@"; }
  pip install "$wheel"
  cmp "$venv/bin/ressort" target/package/stage/bin/ressort
  "${bare[@]}" "$venv/bin/ressort" --version
  "${bare[@]}" "$venv/bin/ressort" doctor -- --port 18073
  serve 18073 "$venv/bin/ressort"
  step 'Python wheel: upgrade'
  mkdir "$venv/share/ressort/models/own"
  echo '{}' > "$venv/share/ressort/models/own/config.json"
  scripts/package/wheel.sh target/package/stage "$work" 999.0.0
  pip install --upgrade "$work"/ressort-999.0.0-*.whl
  case $("$venv/bin/pip" show ressort) in *'Version: 999.0.0'*) ;; *) fail 'the upgrade did not install the new version' ;; esac
  [ -f "$venv/share/ressort/models/own/config.json" ] || fail 'the upgrade removed a model of the user'
  serve 18073 "$venv/bin/ressort"
  step 'Python wheel: remove'
  pip uninstall --yes ressort
  for left in bin/ressort share/ressort/models/ressort share/man/man1/ressort.1.gz; do
    [ ! -e "$venv/$left" ] || fail "removing left $left"
  done
  [ -f "$venv/share/ressort/models/own/config.json" ] || fail 'removing removed a model of the user'
  [ ! -e /nowhere ] || fail 'something was written to the home folder'
}

for package in "${@:-archive deb wheel}"; do
  # The default is three words.
  for name in $package; do
    case $name in
      archive | deb | wheel) "try_$name" ;;
      *) echo "try.sh: unknown package $name; it takes archive, deb or wheel" >&2; exit 2 ;;
    esac
  done
done

step 'done'
