#!/usr/bin/env bash
# python.sh ROOT LOCK: a virtual environment at ROOT/venv with exactly the packages of LOCK, by their hashes.
# UV names an installer that is there already; else the pinned one is fetched and thrown away again.
set -euo pipefail
root=$1 lock=$2
python=${PYTHON:-python3.11}
tools=""
if [ -z "${UV:-}" ]; then
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
  "$python" -m venv "$tools"
  "$tools/bin/python" -m pip install -q --disable-pip-version-check uv==0.13.8
  UV=$tools/bin/uv
fi
mkdir -p "$root"
"$python" -m venv --without-pip "$root/venv"
"$UV" pip install -q --python "$root/venv/bin/python" --link-mode "${LINK_MODE:-copy}" --no-deps --require-hashes -r "$lock"
