"""A flow with parameters: --input day=2026-11-22 of Refline is --day=2026-11-22 here."""

import argparse
from datetime import date

from refline import flow, markdown, task


@task
def rows_of(region, day):
    return [(region, day.isoformat(), n) for n in range(3)]


@flow
def parameters(day, regions):
    tables = rows_of.map(regions, day=day).results()
    markdown("**%d rows** of %s" % (sum(map(len, tables)), day))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--day", type=date.fromisoformat, default=date(2026, 1, 1))
    parser.add_argument("--regions", default="north,south")
    args = parser.parse_args()
    parameters(args.day, args.regions.split(","))
