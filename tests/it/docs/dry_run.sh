# Stands in for the commands of the manual: checks that each exists with its flags, and runs none of them.
# Failures are collected in $FAILURES, as a pipe would swallow an exit code.

grep=$(type -P grep)
wrong() { echo "$1" >> "$FAILURES"; }
here() { [ -e "$ROOT/$1" ] || wrong "there is no $1"; }

# Flags of a script are looked for in its sources.
flags_in() {
  local sources=$1 flag; shift
  for flag in "$@"; do
    case $flag in --*) ;; *) continue ;; esac
    "$grep" -rqF -e "${flag%%=*}" "$ROOT/$sources" || wrong "$sources takes no ${flag%%=*}"
  done
}

ressort() {
  local said
  said=$("$RESSORT" "$@" --help 2>&1 > /dev/null) || wrong "ressort $*: $said"
}
target/release/ressort() { ressort "$@"; }

without_gpu() {
  local command=$1 kept=() flag; shift
  for flag in "$@"; do [ "$flag" = --gpu ] || kept+=("$flag"); done
  ressort "$command" ${kept[@]+"${kept[@]}"}
}
scripts/serve.sh() { here scripts/serve.sh; without_gpu serve "$@"; }
scripts/score.sh() { here scripts/score.sh; without_gpu score "$@"; }
scripts/evaluate.sh() { here scripts/evaluate.sh; ressort evaluate --model "$1" --data "$2" "${@:3}"; }
scripts/onnxruntime.sh() { here scripts/onnxruntime.sh; flags_in scripts/onnxruntime.sh "$@"; }
scripts/test.sh() { here scripts/test.sh; flags_in scripts/test.sh "$@"; }
scripts/faults/run.sh() { here scripts/faults/run.sh; }
scripts/soak.sh() { here scripts/soak.sh; }
scripts/package.sh() { here scripts/package.sh; flags_in scripts/package.sh "$@"; }
scripts/package/reproduce.sh() { here scripts/package/reproduce.sh; flags_in scripts/package/reproduce.sh "$@"; }
scripts/package/try.sh() { here scripts/package/try.sh; }
scripts/fuzz.sh() { here scripts/fuzz.sh; here "fuzz/targets/$1.rs"; }
bash() { here "$1"; flags_in "$1" "${@:2}"; }

python() {
  case $1 in
    -m)
      case $2 in venv | pytest) return ;; esac
      local path=${2//.//}
      if [ -d "$ROOT/$path" ]; then here "$path/__main__.py"; else here "$path.py"; fi
      flags_in "${path%/*}" "${@:3}" ;;
    # Its options are in another module, which needs no Ray.
    scripts/score_ray.py) here "$1"; flags_in scripts/score_ray_plan.py "${@:2}" ;;
    *) here "$1"; flags_in "$1" "${@:2}" ;;
  esac
}
python3() { python "$@"; }

pip() {
  case "$1 $2" in
    'install -r') here "$3" ;;
    *) wrong "pip $*: name a file of requirements that is part of the repository" ;;
  esac
}

cargo() {
  case $1 in
    bench | build | clippy | deny | doc | fmt | run | test) ;;
    *) wrong "cargo $1 is not known to the test of the manual" ;;
  esac
}

# Nothing to check: they are on every machine, or what they do shows in a block that is run.
cd() { :; }
.() { :; }
cp() { :; }
mv() { :; }
kill() { :; }
zcat() { :; }
curl() { :; }
git() { :; }
ruff() { :; }
pyright() { :; }
pytest() { :; }
command_not_found_handle() { wrong "the test of the manual does not know $1"; }
PATH=
