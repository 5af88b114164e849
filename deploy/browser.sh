#!/usr/bin/env bash
# Installs the browser that the console's tests need, where it is missing and this user may. The tests themselves skip loudly
# without one, and fail where CI=true.
set -u
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  command -v "$name" >/dev/null && exit 0
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q chromium >/dev/null && exit 0
fi
echo "[tidegate] missing: Chromium (apt-get install chromium): the console's browser tests will be skipped" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
