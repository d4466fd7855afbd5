#!/bin/sh
# A template has resources, and each has a type.
set -eu
grep -q '"Resources"' "$1"
types=$(grep -c '"Type"' "$1")
echo "$1: $types resources"
test "$types" -eq 2
