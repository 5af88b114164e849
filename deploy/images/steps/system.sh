#!/usr/bin/env bash
# system.sh build|jobs|services: Debian's packages of a stage, and the user that processes run as.
set -euo pipefail
case "$1" in
  build) packages="python3.11 python3.11-venv python3.11-dev gcc libc6-dev make maven openjdk-17-jre-headless" ;;
  jobs) packages="python3.11 openjdk-17-jre-headless libjemalloc2 procps" ;;
  services) packages="python3.11" ;;
  *) echo "system.sh build|jobs|services" >&2; exit 2 ;;
esac
apt-get update -q
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
groupadd --gid 9999 tidegate
useradd --uid 9999 --gid 9999 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tidegate
