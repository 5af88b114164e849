#!/usr/bin/env bash
# What Flink's Kubernetes client starts its containers with: the command it gives, with an allocator that gives memory back.
set -eu
allocator=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2
[ -e "$allocator" ] && export LD_PRELOAD="$allocator"
exec "$@"
