"""Notes and refusals of parameters that Refline does not have."""

import sys


def note(text):
    print("refline: note: " + text, file=sys.stderr)


def refuse(text):
    raise ValueError(text)
