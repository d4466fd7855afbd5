#!/usr/bin/env python3
"""A data flow of three steps. It runs from any branch or tag; nothing is built.

It reports each step to Refline as a JSON line in $REFLINE_EVENTS. Without that
variable it runs too.
"""

import argparse
import json
import os

from numbers_source import numbers  # a module next to the flow


def report(**event):
    path = os.environ.get("REFLINE_EVENTS")
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(event) + "\n")


def step(name, work):
    report(type="step_started", step=name)
    try:
        result = work()
    except Exception as e:
        report(type="step_finished", step=name, status="failed", message=str(e))
        raise
    report(type="step_finished", step=name)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="world")
    parser.add_argument("--count", type=int, default=5)
    args = parser.parse_args()

    data = step("extract", lambda: numbers(args.count))
    squares = step("transform", lambda: [n * n for n in data])
    step("load", lambda: print(f"hello {args.name}: {squares}, sum {sum(squares)}"))
    report(type="table", title="squares", columns=["n", "n²"], rows=[[n, n * n] for n in data])


if __name__ == "__main__":
    main()
