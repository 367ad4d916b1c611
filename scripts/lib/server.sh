# Sourced by scripts that call a server: builds the program where none is named, and starts and stops servers.
#
#   use_binary [BINARY]   sets `binary`, and ORT_DYLIB_PATH
#   make_work_folder      sets `work`, which goes at the end of the script, with the server
#   start FLAGS           starts `ressort serve FLAGS` on a free port, and sets RESSORT_SERVER to its address
#   stop                  ends it

use_binary() {
  ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
  export ORT_DYLIB_PATH
  binary=${1:-}
  if [ -z "$binary" ]; then
    cargo build --locked --quiet
    binary=${CARGO_TARGET_DIR:-target}/debug/ressort
  fi
}

make_work_folder() {
  work=$(mktemp -d)
  server=
  trap 'stop; rm -rf "$work"' EXIT
}

stop() {
  if [ -n "$server" ]; then kill "$server" 2> /dev/null && wait "$server" || true; fi
  server=
}

start() {
  RUST_LOG=warn "$binary" serve --port 0 --providers cpu "$@" > "$work/out" 2> "$work/log" &
  server=$!
  # 30 s: models load in seconds, and a server that ended is noticed at once.
  for _ in $(seq 300); do
    RESSORT_SERVER=$(grep -oh 'http://127[.0-9]*:[0-9]*' "$work/out" | head -1 || true)
    [ -z "$RESSORT_SERVER" ] || break
    kill -0 "$server" 2> /dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
  done
  [ -n "$RESSORT_SERVER" ] || { echo "$(basename "$0"): the server does not start; its log:" >&2; cat "$work/log" >&2; exit 1; }
  export RESSORT_SERVER
}
