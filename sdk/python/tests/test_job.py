"""What a flow writes as a job of Refline, and how it ends."""

import os
import re
import signal
import time

import pytest

TASKS = """
    import os, sys, time, signal

    @task
    def quick(x=0):
        return x
"""


def test_events_of_a_flow(job):
    job.run(TASKS + """
    @task(retries=1, delay=0.01, tags=["io", 7])
    def flaky(path):
        print("reading", path, end="")
        print(" now")
        sys.stderr.write("careful\\n")
        if not os.path.exists(path):
            open(path, "w").close()
            raise ValueError("no " + path)

    @flow
    def etl():
        a = quick.map([1, 2])
        flaky.submit("there", after=a)
        log("done", level="warning")
        progress(1, 4)
        table([{"a": 1, "b": None}, {"a": float("nan"), "b": True}], title="T")
        markdown("# hello")
        link("https://example.com", "E")
        artifact("there") if os.path.exists("there") else None

    etl()
    """)
    events = job.events()
    assert job.states() == {"1": "success", "1.1": "success", "1.2": "success", "1.3": "success"}
    first = [e for e in events if e["type"] == "task" and e["id"] == "1.2"][0]
    assert (first["name"], first["kind"], first["index"], first["of"]) == ("quick", "task", 1, 2)
    flaky = [e for e in events if e["type"] == "task" and e["id"] == "1.3"]
    assert [e["state"] for e in flaky] == ["queued", "running", "retrying", "running", "success"]
    assert flaky[0]["after"] == ["1.1", "1.2"] and flaky[0]["tags"] == ["io", "7"]
    assert flaky[1]["worker"].endswith("/%d" % int(flaky[1]["worker"].split("/")[1]))
    error = flaky[2]["error"]
    assert flaky[2]["delay"] == 0.01 and error["type"] == "ValueError" and error["message"] == "no there"
    assert "in flaky" in error["traceback"] and "refline/_" not in error["traceback"]
    logs = [(e["id"], e["text"], e["stream"], e["level"]) for e in events if e["type"] == "log"]
    assert ("1.3", "reading there now", "out", "info") in logs
    assert ("1.3", "careful", "err", "info") in logs
    assert ("1", "done", "out", "warning") in logs
    table = [e for e in events if e["type"] == "table"][0]
    assert table["rows"] == [[1, None], ["nan", True]] and table["columns"] == ["a", "b"] and table["id"] == "1"


def test_print_goes_where_it_is_told(job):
    out = job.run("""
    import io, logging, sys
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

    @task
    def t():
        print("plain")
        text = io.StringIO()
        print("inside", file=text)
        print("error", file=sys.stderr)
        logging.info("logged")
        print("no end", end="")

    @flow
    def f():
        t()

    f()
    print("after")
    """)
    assert out == "plain\nlogged\nno endafter\n" and job.stderr == "error\n"
    assert [(e["text"], e["stream"]) for e in job.events() if e["type"] == "log"] == [
        ("plain", "out"), ("error", "err"), ("logged", "out"), ("no end", "out")]


def test_eight_processes_tear_no_lines(job):
    job.run("""
    from concurrent.futures import ProcessPoolExecutor

    @task
    def write(n, size):
        for i in range(n):
            log("x" * size)

    @flow(executor=lambda: ProcessPoolExecutor(8))
    def f():
        write.map([300] * 8, unmapped(100))
        write.map([60] * 8, unmapped(5000))
        write.map([3] * 8, unmapped(100000))

    if __name__ == "__main__":
        f()
    """)
    raw = job.events_file.read_bytes()
    assert raw.endswith(b"\n") and len(job.events()) == raw.count(b"\n")
    assert sum(e["type"] == "log" for e in job.events()) == 8 * 363
    assert set(job.states().values()) == {"success"}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(job, method):
    out = job.run("""
    import multiprocessing, os
    from concurrent.futures import ProcessPoolExecutor

    class Unpicklable(Exception):
        def __init__(self, a, b):
            super().__init__(a + b)

    @task
    def inner(x):
        return x

    @task
    def square(x):
        print("square", x)
        return inner(x) ** 2 + sum(inner.map([0, 0]).results())

    @task(retries=1)
    def bad(x):
        raise Unpicklable("a", "b")

    @task
    def dies():
        os._exit(7)

    @flow(executor=lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(METHOD)))
    def f():
        squares = square.map(range(4)).results()
        error = bad.submit(1).exception()
        lost = dies.submit().exception()
        return squares, type(error).__name__, str(error), type(lost).__name__

    if __name__ == "__main__":
        print(f())
    """.replace("METHOD", repr(method)))
    module = "" if method == "fork" else "__mp_main__."
    assert out.splitlines()[-1] == "([0, 1, 4, 9], 'TaskFailed', '%sUnpicklable: ab', 'BrokenProcessPool')" % module
    states = job.states()
    assert len([i for i in states if i.count(".") == 2]) == 12  # tasks of tasks, in the workers
    assert job.last("bad")["state"] == "failed" and job.last("bad")["attempt"] == 2
    assert "in bad" in job.last("bad")["error"]["traceback"]
    assert job.last("dies")["state"] == "failed"
    workers = {e["worker"] for e in job.events() if e.get("worker")}
    assert len(workers) >= 2
    assert any(e["type"] == "log" and e["text"].startswith("square") for e in job.events())


def test_a_worker_elsewhere_sends_its_lines_home(job):
    out = job.run("""
    import refline._events as events
    from concurrent.futures import ProcessPoolExecutor

    def elsewhere():
        events.boot_id = lambda: "another computer"

    @task
    def child(x):
        return x

    @task
    def work(x):
        log("there")
        return child(x)

    @flow(executor=lambda: ProcessPoolExecutor(1, initializer=elsewhere))
    def f():
        return work.map([1, 2]).results()

    if __name__ == "__main__":
        print(f())
    """)
    assert out.endswith("[1, 2]\n")
    assert job.states() == dict.fromkeys(["1", "1.1", "1.2", "1.1.1", "1.2.1"], "success")
    assert [e["id"] for e in job.events() if e["type"] == "log"] == ["1.1", "1.2"]


def test_a_fork_of_the_user_writes_too(job):
    job.run(TASKS + """
    @task
    def forks():
        pid = os.fork()
        if pid == 0:
            quick()
            os._exit(0)
        os.waitpid(pid, 0)
        quick()

    @flow
    def f():
        forks()

    f()
    """)
    ids = [i for i, s in job.states().items() if i.startswith("1.1.")]
    assert len(ids) == 2 and set(job.states().values()) == {"success"}


def test_several_flows_of_a_job_have_their_own_ids(job):
    script = TASKS + """
    @flow
    def f():
        quick()
    f(); f()
    """
    job.run(script)
    first = job.events_file.read_bytes()
    process = job.start(script, events=False, REFLINE_EVENTS=str(job.events_file))
    process.communicate(timeout=60)
    assert job.events_file.read_bytes().startswith(first)
    assert sorted(job.states()) == ["1", "1.1", "2", "2.1", "3", "3.1", "4", "4.1"]


def wait_for(job, what):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if what in job.events_file.read_text():
            return
        time.sleep(0.02)
    raise AssertionError("%r is not in %s" % (what, job.events_file.read_text()))


@pytest.mark.parametrize("executor", ["None", "ProcessPoolExecutor(2)", "ThreadPoolExecutor(2)"])
def test_sigterm_closes_tasks(job, executor):
    process = job.start("""
    import time
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    @task
    def slow(x):
        print("started", flush=True)
        time.sleep(600)

    @flow(executor=lambda: EXECUTOR)
    def f():
        try:
            futures = slow.map(range(8))
            log("submitted")
            futures.results()
        finally:
            print("cleaned up", flush=True)

    if __name__ == "__main__":
        f()
    """.replace("lambda: EXECUTOR", executor if executor == "None" else "lambda: " + executor))
    wait_for(job, '"started"')
    wait_for(job, '"submitted"')
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "cleaned up" in out
    states = job.states()
    assert len(states) == 9 and set(states.values()) == {"canceled"}
    assert job.last("slow")["reason"] == "ended by SIGTERM"


def test_a_program_keeps_its_own_handler_of_sigterm(job):
    out = job.run(TASKS + """
    signal.signal(signal.SIGTERM, lambda *a: print("mine"))

    @flow
    def f():
        os.kill(os.getpid(), signal.SIGTERM)
        return quick(1)

    print(f())
    """)
    assert out == "mine\n1\n"


@pytest.mark.parametrize("where", ["t()", "t.submit().result()", "nested.submit().result()", "process.submit().result()"])
def test_a_blocking_call_times_out(job, where):
    out = job.run("""
    import time
    from concurrent.futures import ProcessPoolExecutor

    @task(timeout=0.2)
    def t():
        time.sleep(600)

    @task
    def nested():
        t()

    @task(timeout=0.2)
    def process():
        time.sleep(600)

    @flow(executor=EXECUTOR)
    def f():
        try:
            WHERE
        except TimeoutError as e:
            print(e)

    if __name__ == "__main__":
        f()
    """.replace("WHERE", where).replace("EXECUTOR", "lambda: ProcessPoolExecutor(1)" if "process" in where else "None"))
    assert "not done after its timeout of 0.2 s" in out
    threads = "goes on in its thread" in out
    assert threads == (where in ("t.submit().result()", "nested.submit().result()"))
    name = "process" if "process" in where else "t"
    assert job.last(name)["state"] == "failed" and job.last(name)["reason"] == "timeout"


def test_an_outer_timeout_is_not_retried_inside(job):
    out = job.run("""
    import time
    calls = []

    @task(retries=5, timeout=60)
    def inner():
        calls.append(1)
        try:
            time.sleep(60)
        except Exception:
            print("swallowed")

    @flow(timeout=0.2)
    def f():
        inner()

    try:
        f()
    except TimeoutError as e:
        print(e, len(calls))
    """)
    assert out == "f: not done after its timeout of 0.2 s 1\n"
    assert job.states() == {"1": "failed", "1.1": "canceled"}


def test_many_tasks_are_counted(job):
    out = job.run("""
    @task
    def t(x):
        if x in (5, 15000):
            raise ValueError(x)
        return x

    @flow
    def f():
        return sum(not isinstance(r, Exception) for r in t.map(range(20000)).results(errors="return"))

    print(f())
    """)
    assert out == "19998\n"
    counts = [e for e in job.events() if e["type"] == "tasks"]
    last = {k: v for k, v in counts[-1].items() if k not in ("type", "parent", "name")}
    assert last == {"total": 20000, "success": 19998, "failed": 2} and counts[-1]["parent"] == "1"
    lines = [e for e in job.events() if e["type"] == "task"]
    assert len({e["id"] for e in lines}) == 10000 + 1 + 1  # the flow, and the late failure
    assert os.path.getsize(job.events_file) < 12 << 20


def test_printed_lines_stop_before_the_file_is_full(job):
    out = job.run("""
    import refline._events as events
    events.MOST_LOGS, events.CHECK_SIZE = 200_000, 1000

    @task
    def t(x):
        for i in range(300):
            print("y" * 1000)

    @flow
    def f():
        t.map([1, 2])

    f()
    """)
    assert out.count("\n") == 600
    assert os.path.getsize(job.events_file) < 250_000
    assert set(job.states().values()) == {"success"}
    last = job.events()[-1]
    assert last["type"] == "log" and "further printed lines are only in the log of the job" in last["text"]


def test_without_refline_it_is_a_tree(job):
    job.run("""
    @task
    def double(x):
        if x == 2:
            raise ValueError("two")
        return 2 * x

    @flow
    def inner():
        return double(1)

    @flow
    def f():
        inner()
        print("printed")
        double.map([1, 2]).results(errors="return")

    f()
    """, events=False)
    lines = [re.sub(r" [0-9.]+ s", "", line) for line in job.stderr.splitlines()]
    assert lines[:2] == ["    ✓ double", "  ✓ inner"] and lines[-1] == "✓ f"
    assert sorted(lines[2:-1]) == ["  ✓ double[0]", "  ✗ double[1] ValueError: two"]


def test_exit_codes(job):
    script = """
    @task
    def t():
        raise ValueError("text")

    @flow
    def f():
        t()

    f()
    """
    job.run(script, events=False, code=1)
    assert job.stderr.rstrip().endswith("ValueError: text")
    job.run(script, code=1)
    assert job.last("t")["error"]["message"] == "text"
