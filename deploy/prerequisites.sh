#!/usr/bin/env bash
# Checks what must be on the machine before anything is built, and says plainly what is missing.
# `--python` prints the interpreter that will be used (PYTHON, python3.11 or python3, whichever is 3.11) instead.
set -u

python() {
  for candidate in "${PYTHON:-python3.11}" python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return 0
    fi
  done
  return 1
}

if [ "${1:-}" = "--python" ]; then
  python
  exit
fi

missing=0
need() {
  echo "[tidegate] missing: $1 ($2)" >&2
  missing=1
}

python >/dev/null || need "Python 3.11" "apt-get install python3.11 python3.11-venv, or pyenv install 3.11"
if ! command -v java >/dev/null; then
  need "Java 17" "apt-get install openjdk-17-jdk-headless"
elif ! java -version 2>&1 | head -n 1 | grep -qE '"(17|18|19|2[0-9])[.\"]'; then
  need "Java 17 or newer" "found: $(java -version 2>&1 | head -n 1)"
fi
command -v mvn >/dev/null || need "Maven" "apt-get install maven"
command -v gcc >/dev/null || need "gcc" "apt-get install gcc libc6-dev"
[ "$(uname -m)" = x86_64 ] || need "an x86-64 machine" "apache-flink publishes no Linux wheels for $(uname -m)"
exit "$missing"
