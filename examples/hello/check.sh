#!/bin/sh
# Checks one property of the greeting that the build job wrote.
set -eu
case "$1" in
words) test "$WORDS" -ge 2 && echo "$WORDS words, as many as wanted" ;;
greeting) grep -q Hello out/greeting.txt && echo "a greeting it is" ;;
*) echo "unknown check: $1" >&2; exit 2 ;;
esac
