#!/bin/bash
# Installs the peers below this folder, by the ordinary clients of their registries; a second run finds them there.
set -euo pipefail
cd "$(dirname "$0")"
[ -x python/.venv/bin/python ] || python3 -m venv python/.venv
python/.venv/bin/pip install --quiet --requirement python/requirements.txt
(cd node && npm ci --silent --no-audit --no-fund)
(cd rust && cargo build --release --locked --quiet)
