#!/usr/bin/env bash
# application.sh ROOT SOURCE: the project itself into ROOT/venv (its C extensions built here), the default model into
# ROOT/models, and the C example into ROOT/bin.
set -euo pipefail
root=$1 source=$2
python=$root/venv/bin/python
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
if [ -z "${UV:-}" ]; then
  "${PYTHON:-python3.11}" -m venv "$tools/uv"
  "$tools/uv/bin/python" -m pip install -q --disable-pip-version-check uv==0.13.8
  UV=$tools/uv/bin/uv
fi
# Built from a copy: the source stays as it is, and nothing that lies about there gets in.
mkdir "$tools/source"
for name in pyproject.toml README.md LICENSE schemas feeds features models jobs gate history quality api deploy; do
  [ -e "$source/$name" ] && cp -r "$source/$name" "$tools/source/"
done
find "$tools/source" \( -name '*.so' -o -name __pycache__ \) -prune -exec rm -rf {} +
"$UV" pip install -q --python "$python" --no-deps -b "$source/locks/all.lock" "$tools/source"
"$python" -m compileall -q "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/jobs"
mkdir -p "$root/models" "$root/bin"
cp -r "$source/models/default" "$root/models/"
gate=$tools/source/gate/native
# shellcheck disable=SC2046 # a list of files
gcc -std=c11 -O3 -Wall -Wextra -Werror "-I$gate" $(find "$gate"/{order,table,ledger,judge,gate,ring} -name '*.c') \
  "$gate/example/embed.c" -o "$root/bin/embed"
