#!/usr/bin/env bash
# jars.sh POM DEST: the connector and plugin jars that pom.xml pins, under DEST/flink and DEST/plugins.
set -euo pipefail
pom=$1 dest=$2
for profile in flink plugins; do
  mvn -q -B -ntp -Dstyle.color=never -f "$pom" "-P$profile" dependency:copy-dependencies \
    -DexcludeTransitive=true "-DoutputDirectory=$dest/$profile"
done
