"""Results that are kept for a retry of the run."""

import os
import shutil

import pytest

FLOW = """
import os, sys

class Big:
    def __init__(self, n):
        self.data = b"x" * n

@task
def load(n):
    print("load", n)
    return {"numbers": set(range(n)), "text": "a" * n}

@task
def step(i, data, limit):
    if i > limit:
        raise ValueError("no %d" % i)
    print("step", i)
    return i

@task(keep=True)
def big(n):
    print("big")
    return b"x" * n

@task
def not_kept(n):
    print("not kept")
    return b"x" * n

@task(keep=False)
def never():
    print("never")

@flow
def f(limit):
    data = load(3)
    big(200_000), not_kept(200_000), never()
    return sum(step.map(range(100), unmapped(data), unmapped(0)).results() if False else
               [step(i, data, int(os.environ["LIMIT"])) for i in range(100)])

print(f(1))
"""


def retry(job):
    """Hands the kept results to the next attempt, as the engine does."""
    old = job.folder / "old"
    shutil.rmtree(str(old), ignore_errors=True)
    os.rename(str(job.results), str(old))
    shutil.rmtree(str(old / "earlier"), ignore_errors=True)
    job.results.mkdir()
    os.rename(str(old), str(job.results / "earlier"))


def run(job, text=FLOW, **kwargs):
    return job.run(text, REFLINE_RESULTS=str(job.results), **kwargs)


@pytest.mark.parametrize("seeds", [("1", "2"), ("3", "0")])
def test_retry_after_index_57(job, seeds):
    out = run(job, LIMIT="57", PYTHONHASHSEED=seeds[0], code=1)
    assert out.count("step") == 58
    retry(job)
    # The limit is not in the arguments: the code reads it.
    changed = FLOW.replace('int(os.environ["LIMIT"])', "57 if i < 58 else 99")
    first = FLOW.replace('int(os.environ["LIMIT"])', "57")
    shutil.rmtree(str(job.results / "earlier"))
    job.results.joinpath("results").unlink() if job.results.joinpath("results").exists() else None
    run(job, first, code=1, PYTHONHASHSEED=seeds[0])
    retry(job)
    out = run(job, changed, PYTHONHASHSEED=seeds[1])
    assert out.splitlines()[-1] == str(sum(range(100)))
    assert out.count("step") == 42 and "load" not in out and "big" not in out
    assert "not kept" in out and "never" in out
    states = list(job.states().values())
    assert states.count("kept") == 60 and states.count("success") == 45


def test_keys_are_stable_and_differ(job):
    script = """
    import functools
    from refline._key import key_of

    class Point:
        def __init__(self, x):
            self.x, self.tags = x, {"a", "b", "c" + str(x)}

    def plain(x):
        return x

    @task
    def t(*args, **kwargs):
        return {1, 2, 3} and "in" in {"a", "b"}

    long = "x" * 5
    values = [
        (1, "a", 2.5, None, b"x"), ({"a", "b", "c"},), (frozenset([("a", 1), ("b", 2)]),), ([{"k": {1, "2"}}],),
        (Point(1),), (Point(2),), (plain, functools.partial, t), (1,), (True,), (1.0,), ("1",), ([1],), ((1,),),
    ]
    for v in values:
        print(key_of(t, v, {"z": 1, "a": 2}, "1.2").hex())
    assert key_of(t, ("".join(["x"] * 5),), {}) == key_of(t, (long,), {})
    assert key_of(t, (1,), {}, "1.2") != key_of(t, (1,), {}, "1.3")
    cyclic = []
    cyclic.append(cyclic)
    assert key_of(t, (cyclic,), {}) is None
    assert key_of(t, (open(__file__),), {}) is None
    """
    outs = {job.run(script, PYTHONHASHSEED=seed) for seed in "0123"}
    assert len(outs) == 1
    lines = outs.pop().split()
    assert len(lines) == 13 == len(set(lines))


def test_torn_and_damaged_records_are_skipped(job):
    script = """
    @task
    def t(x):
        print("ran", x)
        return "result %d" % x

    @flow
    def f():
        for i in range(4):
            t(i)

    f()
    """
    run(job, script)
    retry(job)
    path = job.results / "earlier" / "results"
    raw = path.read_bytes()
    records = raw.split(b"RLR1")[1:]
    assert len(records) == 4
    damaged = records[1][:-3] + b"xyz"
    path.write_bytes(b"noise" + b"RLR1" + records[0] + b"RLR1" + damaged + b"RLR1" + records[2][:20] + b"RLR1" + records[3] + b"RLR1")
    assert run(job, script).split("\n")[:-1] == ["ran 1", "ran 2"]


def test_submitted_tasks_and_processes(job):
    script = """
    from concurrent.futures import ProcessPoolExecutor

    @task
    def t(x):
        print("ran", x, flush=True)
        return x

    @task
    async def later(x):
        print("later", flush=True)
        return x

    @flow(executor=EXECUTOR)
    def f():
        return t.map(range(3)).results() + [later.submit(1).result()]

    @flow
    async def g():
        return await later(5)

    if __name__ == "__main__":
        import asyncio
        print(f(), asyncio.run(g()))
    """
    for executor in ("None", "lambda: ProcessPoolExecutor(2)"):
        text = script.replace("EXECUTOR", executor)
        shutil.rmtree(str(job.results))
        job.results.mkdir()
        assert run(job, text).count("ran") == 3
        retry(job)
        assert run(job, text) == "[0, 1, 2, 1] 5\n"
