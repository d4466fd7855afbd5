"""A flow with three tasks: python examples/flows/hello.py, or as a job of Refline."""

from refline import flow, log, table, task


@task
def extract():
    return {"north": [3, 5], "south": [8, 13, 21]}


@task
def total(numbers):
    return sum(numbers)


@task
def load(totals):
    table([{"region": region, "total": n} for region, n in totals.items()], title="totals")
    log("loaded %d regions" % len(totals))


@flow
def hello():
    regions = extract()
    totals = total.map(list(regions.values())).results()
    load(dict(zip(regions, totals)))


if __name__ == "__main__":
    hello()
