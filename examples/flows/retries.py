"""Retries, timeouts, and what is kept: refline runs retry --from-failed goes on where a run failed."""

import time

from refline import flow, task

calls = []


@task(retries=3, delay=0.1, backoff=2, jitter=0.2, retry_on=ConnectionError, timeout=30)
def fetch(page):
    calls.append(page)
    if calls.count(page) == 1 and page % 2:
        raise ConnectionError("page %d: connection reset" % page)
    return ["row %d of page %d" % (n, page) for n in range(2)]


@task(tags=["slow"])
def clean(rows):
    time.sleep(0.05)
    return [row.upper() for row in rows]


@task(keep=True)  # however large the result is
def join(pages):
    return [row for page in pages for row in page]


@flow
def retries():
    pages = fetch.map(range(4))
    cleaned = clean.map(pages)
    return join(cleaned)


if __name__ == "__main__":
    print(len(retries()), "rows")
