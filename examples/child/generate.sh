#!/bin/sh
# Writes a pipeline with one job for each argument.
set -eu
for name in "$@"; do
  printf '%s:\n  script:\n    - echo "this is %s"\n' "$name" "$name"
done
