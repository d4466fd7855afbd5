"""Flows of the Prefect that is installed, unchanged. Without it nothing is tested here."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from importlib import metadata

import pytest

from conftest import SRC

try:
    VERSION = tuple(int(n) for n in metadata.version("prefect").split(".")[:2])
except metadata.PackageNotFoundError:
    VERSION = (0,)

modern = pytest.mark.skipif(VERSION < (2,), reason="needs Prefect 2 or 3")
three = pytest.mark.skipif(VERSION < (3,), reason="needs Prefect 3")
one = pytest.mark.skipif(VERSION[0] != 1, reason="needs Prefect 1")


class Flow:
    """Files that run as jobs run them."""

    def __init__(self, folder):
        self.folder = folder
        self.events_file = folder / "events.jsonl"
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "REFLINE"))}
        self.env = dict(keep, PYTHONPATH=SRC, HOME=str(folder), TMPDIR=str(folder), REFLINE_EVENTS=str(self.events_file),
                        HTTP_PROXY="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def start(self, text, *args, **env):
        (self.folder / "etl.py").write_text(textwrap.dedent(text))
        self.events_file.write_bytes(b"")
        return subprocess.Popen([sys.executable, "-m", "refline", *args], env=dict(self.env, **env), cwd=str(self.folder),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, text, *args, code=0, **env):
        process = self.start(text, *args, **env)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == code, "exit %s\n%s" % (process.returncode, out)
        return out

    def events(self):
        return [json.loads(line) for line in self.events_file.read_bytes().split(b"\n") if line]

    def tasks(self):
        """id → its name, its states and its last line."""
        out = {}
        for e in self.events():
            if e["type"] == "task":
                name, states, _ = out.get(e["id"], (e.get("name"), [], None))
                out[e["id"]] = (name, states + [e["state"]] if e["state"] != "queued" else states, e)
        return out

    def named(self, name):
        return [t for t in self.tasks().values() if t[0] == name]


@pytest.fixture
def flow(tmp_path):
    return Flow(tmp_path)


ETL = """
    import datetime
    import logging
    import os
    import sys
    from typing import Optional

    from prefect import flow, get_run_logger, task, unmapped
    from prefect.artifacts import create_markdown_artifact, create_table_artifact
    from prefect.blocks.system import Secret
    from prefect.tasks import task_input_hash
    from prefect.variables import Variable

    calls = []


    @task(retries=2, retry_delay_seconds=0)
    def flaky():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("not yet")
        return 2


    @task(tags=["source"])
    def load(day: int):
        get_run_logger().info("loading %s", day)
        return list(range(day))


    @task(name="times")
    def multiply(x, k):
        return x * k


    @task(cache_key_fn=task_input_hash, persist_result=True)
    def costly(x):
        calls.append("costly")
        return x


    @task
    def broken():
        raise RuntimeError("it is broken")


    @task
    def total(xs):
        return sum(xs)


    @flow
    def inner(xs):
        return total(xs)


    @flow(persist_result=True)
    def etl(day: int = 3, name: str = "x", when: Optional[datetime.date] = None):
        factor = flaky()
        xs = multiply.map(load(day), unmapped(factor))
        s = inner([x.result() for x in xs])
        costly(1), costly(1)
        state = broken(return_state=True)
        create_markdown_artifact("# total %d" % s, key="total")
        create_table_artifact([{"a": 1}], key="rows")
        print("result", s, name, type(when).__name__, calls.count("costly"), Secret.load("api-token").get(), state.is_failed())
        if name == "fail":
            broken()
        return s


    if __name__ == "__main__":
        raise SystemExit("this block must not run")
"""


@modern
def test_a_flow_and_its_tasks(flow):
    out = flow.run(ETL, "etl.py:etl", "--day=4", "--name=y", "--when=2026-01-02", API_TOKEN="s3cret")
    assert "result 12 y date 1 s3cret True" in out
    assert "View at" not in out and "server" not in out.lower(), out
    tasks = flow.tasks()
    assert flow.named("etl")[0][1] == ["running", "success"]
    assert flow.named("etl")[0][2]["id"] == "1"
    assert flow.named("flaky")[0][1] == ["running", "retrying", "running", "retrying", "running", "success"]
    assert flow.named("flaky")[0][2]["attempt"] == 3
    assert [t[1] for t in flow.named("times")] == [["running", "success"]] * 4
    assert [t[1][-1] for t in flow.named("costly")] == ["success", "cached"]
    inner = flow.named("inner")[0][2]["id"]
    assert flow.named("total")[0][2]["id"].startswith(inner + ".")
    lines = {e["id"]: e for e in flow.events() if e["type"] == "task" and e.get("name")}
    load = next(e for e in lines.values() if e["name"] == "load")
    assert load["tags"] == ["source"]
    assert all(load["id"] in e["after"] for e in lines.values() if e["name"] == "times")
    error = flow.named("broken")[0][2]["error"]
    assert (error["type"], error["message"]) == ("RuntimeError", "it is broken")
    assert "in broken" in error["traceback"] and "site-packages" not in error["traceback"]
    logs = [(e["id"], e["text"]) for e in flow.events() if e["type"] == "log"]
    assert (load["id"], "loading 4") in logs
    assert not any("Finished in state" in text for _, text in logs)
    assert [e["text"] for e in flow.events() if e["type"] == "markdown"] == ["# total 12"]
    assert [e["rows"] for e in flow.events() if e["type"] == "table"] == [[[1]]]
    assert all(t[1][-1] in ("success", "failed", "cached") for t in tasks.values())
    assert not [p for p in flow.folder.iterdir() if p.name.startswith("refline-prefect")], "what Prefect wrote is gone"


@modern
def test_a_failure(flow):
    out = flow.run(ETL, "etl.py:etl", "--name=fail", API_TOKEN="s3cret", code=1)
    assert flow.named("etl")[0][1] == ["running", "failed"]
    error = flow.named("etl")[0][2]["error"]
    assert (error["type"], error["message"]) == ("RuntimeError", "it is broken")
    tail = out[out.rindex("Traceback (most recent call last)") :]
    assert "in broken" in tail and "prefect" not in tail, tail


SCRIPT = """
    import asyncio
    import sys

    from prefect import flow, task
    {imports}


    @task
    async def one(i):
        await asyncio.sleep(0.01)
        return i


    @task(timeout_seconds=0.2)
    def slow():
        import time
        for _ in range(3000):
            time.sleep(0.01)


    @task
    def square(x):
        return x * x


    @flow({options})
    def threads(n):
        return [f.result() for f in square.map(list(range(n)))]


    @flow
    async def later(n: int):
        return await asyncio.gather(*[one(i) for i in range(n)])


    @flow(retries=1)
    def again():
        state = slow(return_state=True)
        if not seen:
            seen.append(state.name)
            raise ValueError("once more")
        return seen


    seen = []
    if __name__ == "__main__":
        print("sum", sum(threads(int(sys.argv[1]))), asyncio.run(later(3)), again())
"""


@modern
def test_a_script_that_calls_its_flows(flow):
    out = flow.run(SCRIPT.format(imports="", options=""), "--script", "etl.py", "5")
    assert "sum 30 [0, 1, 2] ['TimedOut']" in out
    assert len(flow.named("one")) == 3 and len(flow.named("square")) == 5
    assert flow.named("again")[0][1] == ["running", "retrying", "running", "success"]
    assert flow.named("slow")[0][1][-1] == "failed" and flow.named("slow")[0][2]["reason"] == "timeout"
    assert len({t[2]["id"] for t in flow.tasks().values() if t[2]["id"].count(".") == 0}) == 3


@three
def test_worker_processes(flow):
    try:
        from prefect.task_runners import ProcessPoolTaskRunner  # noqa: F401
    except ImportError:
        pytest.skip("this Prefect has no runner of processes")
    imports, options = "from prefect.task_runners import ProcessPoolTaskRunner", "task_runner=ProcessPoolTaskRunner(max_workers=2)"
    out = flow.run(SCRIPT.format(imports=imports, options=options), "--script", "etl.py", "5")
    assert "sum 30" in out
    assert [t[1] for t in flow.named("square")] == [["running", "success"]] * 5


@modern
def test_sigterm_ends_it(flow):
    process = flow.start("""
        import time
        from prefect import flow, task

        @task
        def wait():
            for _ in range(12000):
                time.sleep(0.01)

        @flow
        def etl():
            wait()
    """, "etl.py:etl")
    end = time.monotonic() + 120
    while not flow.named("wait") or flow.named("wait")[0][1] != ["running"]:
        assert process.poll() is None and time.monotonic() < end, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode != 0, out
    for name in ("etl", "wait"):
        assert flow.named(name)[0][1][-1] in ("failed", "canceled"), out


@modern
def test_a_server_that_is_set_is_used(flow):
    out = flow.run("""
        import os
        from prefect import flow

        @flow
        def etl():
            pass

        print(os.environ["PREFECT_API_URL"])
        os._exit(0)
    """, "etl.py:etl", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "http://127.0.0.1:9/api" in out
    assert "PREFECT_API_URL is set" in out


BLOCK = """
    import os
    from datetime import timedelta

    import prefect
    from prefect import Flow, Parameter, task, unmapped
    from prefect.client import Secret
    from prefect.executors import LocalDaskExecutor

    tries = []


    @task(max_retries=1, retry_delay=timedelta(seconds=0))
    def flaky():
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return 2


    @task(tags=["source"])
    def load(day):
        prefect.context.get("logger").info("loading %s with %s", day, Secret("API_TOKEN").get())
        return list(range(day))


    @task
    def times(x, k):
        return x * k


    @task
    def store(xs):
        if os.environ.get("BROKEN"):
            raise RuntimeError("it is broken")
        print("stored", sum(xs))


    @task
    def after(x):
        pass


    with Flow("etl") as etl_flow:
        day = Parameter("day", default=3)
        after(store(times.map(load(day), unmapped(2 if os.environ.get("EXECUTOR") else flaky()))))

    if os.environ.get("EXECUTOR"):
        etl_flow.executor = LocalDaskExecutor(scheduler=os.environ["EXECUTOR"])
    etl_flow.register(project_name="x")
    if __name__ == "__main__":
        etl_flow.run()
"""


@one
def test_a_block_of_prefect_1(flow):
    out = flow.run(BLOCK, "etl.py", "--day=4", API_TOKEN="s3cret")
    assert "stored 12" in out
    assert flow.named("etl")[0][1] == ["running", "success"]
    assert flow.named("flaky")[0][1] == ["running", "retrying", "running", "success"]
    assert [t[1] for t in flow.named("times")] == [["running", "success"]] * 4
    lines = {e["id"]: e for e in flow.events() if e["type"] == "task" and e.get("name")}
    load = next(e for e in lines.values() if e["name"] == "load")
    store = next(e for e in lines.values() if e["name"] == "store")
    assert all(load["id"] in e["after"] for e in lines.values() if e["name"] == "times")
    assert len(store["after"]) == 4
    assert [e["text"] for e in flow.events() if e["type"] == "log" and e["id"] == load["id"]] == ["loading 4 with s3cret"]


@one
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_failure_of_prefect_1(flow, executor):
    flow.run(BLOCK, "etl.py:etl_flow", API_TOKEN="s3cret", BROKEN="1", EXECUTOR=executor, code=1)
    assert flow.named("etl")[0][1] == ["running", "failed"]
    assert flow.named("store")[0][1] == ["running", "failed"]
    error = flow.named("store")[0][2]["error"]
    assert (error["type"], error["message"]) == ("RuntimeError", "it is broken")
    assert "in store" in error["traceback"] and "site-packages" not in error["traceback"]
    assert flow.named("after")[0][1] == ["skipped"]
    assert len(flow.named("times")) == 3
    assert [e["text"] for e in flow.events() if e["type"] == "log" and "loading" in e["text"]] == ["loading 3 with s3cret"]


@one
def test_a_parameter_that_prefect_1_does_not_have(flow):
    out = flow.run(BLOCK, "etl.py", "--dy=4", code=2)
    assert "etl has no parameter 'dy'; it has: day" in out
