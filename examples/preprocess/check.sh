#!/bin/sh
# Checks that a template has resources and that each of them has a type.
set -eu
grep -q '"Resources"' "$1"
types=$(grep -c '"Type"' "$1")
echo "$1: $types resources"
test "$types" -eq 2
