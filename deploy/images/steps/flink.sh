#!/usr/bin/env bash
# flink.sh ROOT HOME JARS: Flink's home at HOME from the Python package in ROOT/venv, with the jars of JARS/flink in lib/
# and those of JARS/plugins in plugins/. Links, not copies: the package is the one Flink there is.
set -euo pipefail
root=$1 home=$2 jars=$3
package=$("$root/venv/bin/python" -c 'import importlib.util; print(next(iter(importlib.util.find_spec("pyflink").submodule_search_locations)))')
mkdir -p "$home"/{bin,conf,lib,opt,log,usrlib,plugins/s3-fs-hadoop}
cp -r "$package/conf/." "$home/conf/"
# The scripts find their home by where they lie, so these are copies.
find "$package/bin" -maxdepth 1 -type f \( -name '*.sh' -o -name '*.jar' -o -name flink \) -exec cp {} "$home/bin/" \;
chmod a+x "$home"/bin/*.sh "$home/bin/flink"
ln -s "$package"/lib/*.jar "$home/lib/"
ln -s "$package"/opt/*.jar "$home/opt/"
# Thread mode keeps native code of the interpreter in the JVM: its classes must be loaded once, not by each job.
ln -s "$package"/opt/flink-python-*.jar "$home/lib/"
for plugin in "$package"/plugins/*/; do ln -s "$plugin" "$home/plugins/"; done
cp "$jars"/flink/*.jar "$home/lib/"
cp "$jars"/plugins/*.jar "$home/plugins/s3-fs-hadoop/"
