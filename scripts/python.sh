#!/usr/bin/env bash
# Lints, types and tests of the Python in scripts/. Its tools go into target/python-venv; a warm run takes half a minute.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=target/python-venv
installed=$venv/requirements-dev.txt

# pip takes seconds to find out that nothing changed, so the requirements of the last installation are kept.
requirements() { cat scripts/requirements-dev.txt scripts/reference/metrics-requirements.txt; }
if ! requirements | cmp --silent - "$installed"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/requirements-dev.txt
  requirements > "$installed"
fi

"$venv/bin/ruff" format --quiet --check
"$venv/bin/ruff" check --quiet
"$venv/bin/pyright" --warnings
"$venv/bin/python" -m pytest --quiet
