"""Tasks on a Dask cluster of several processes."""

import pytest

distributed = pytest.importorskip("distributed")

SCRIPT = """
import os, random, sys
from distributed import Client, LocalCluster
import refline

@task
def where(x):
    log("at %d" % x)
    return os.getpid()

@task
def chance():
    return random.random()

@task
def child(x):
    return x

@task(retries=2)
def fails(x):
    child(x)
    raise ValueError("no %d" % x)

@task
def add(x, y):
    return x + y

@flow
def f():
    pids = where.map(range(20)).results()
    values = refline.Futures([chance.submit() for _ in range(5)]).results()
    error = fails.submit(7).exception()
    chained = add.submit(add.submit(1, 2), add.submit(3, 4)).result()
    return len(set(pids)), os.getpid() in pids, len(set(values)), str(error), chained

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            print(f.with_options(executor=client.get_executor())())
"""


def test_dask(job):
    # Workers do not see the variable: what they need is sent with each task.
    out = job.run(SCRIPT.replace('if __name__ == "__main__":', 'if __name__ == "__main__":\n    path = os.environ.pop("REFLINE_EVENTS")').replace(
        "        with Client(cluster) as client:", '        os.environ["REFLINE_EVENTS"] = path\n        with Client(cluster) as client:'))
    assert out.splitlines()[-1] == "(2, False, 5, 'no 7', 10)"
    states = job.states()
    failed = job.last("fails")
    assert failed["state"] == "failed" and failed["attempt"] == 3 and "in fails" in failed["error"]["traceback"]
    assert list(states.values()).count("failed") == 1 and set(states.values()) == {"success", "failed"}
    assert sum(e["type"] == "log" for e in job.events()) == 20
    assert len(job.named("child")) == 3  # one in each attempt, on the worker
