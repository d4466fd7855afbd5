"""100 tasks in sequence and 100 mapped, cold and warm, beside plain Python and Prefect.

Cold: the first tasks of a process, after its imports and a flow without tasks. Warm: per task, after a first flow.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

N = 100


def body(x):
    return x + 1


# Each case is a function that prepares, and returns what is measured.


def plain_sequence(n):
    return lambda: [body(i) for i in range(n)]


def plain_threads(n):
    def run():
        with ThreadPoolExecutor() as pool:
            return list(pool.map(body, range(n)))

    return run


def refline_tasks():
    import refline

    global one
    one = refline.task(body)
    # Workers find the task by its module and name.
    one.__qualname__ = "one"
    return refline, one


def refline_sequence(n):
    refline, one = refline_tasks()
    return _flow(refline, lambda: [one(i) for i in range(n)])


def _flow(refline, fn, **options):
    return refline.flow(**options)(fn)


def refline_map(n):
    refline, one = refline_tasks()
    return _flow(refline, lambda: one.map(range(n)).results())


def prefect_tasks():
    import prefect

    return prefect, prefect.task(body)


def prefect_sequence(n):
    prefect, one = prefect_tasks()

    @prefect.flow
    def sequence():
        return [one(i) for i in range(n)]

    return sequence


def prefect_map(n):
    prefect, one = prefect_tasks()

    @prefect.flow
    def mapped():
        return one.map(range(n)).result()

    return mapped


def beside(pool, n):
    """Seconds a task of the executor alone, and with tasks of ours, warm."""
    refline, one = refline_tasks()
    flow = _flow(refline, lambda: one.map(range(n)).results()).with_options(executor=pool)

    def alone():
        return [f.result() for f in [pool.submit(body_once, i, time.time()) for i in range(n)]]

    alone(), flow()
    rounds = []
    for _ in range(5):
        begin = time.perf_counter()
        alone()
        middle = time.perf_counter()
        flow()
        rounds.append((middle - begin, time.perf_counter() - middle))
    return [min(r[i] for r in rounds) / n for i in (0, 1)]


def body_once(x, _token):
    """Dask runs calls with equal arguments once."""
    return x + 1


def dask(run):
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            return run(client.get_executor())


def threads(run):
    with ThreadPoolExecutor(8) as pool:
        return run(pool)


def processes(run):
    with ProcessPoolExecutor(2) as pool:
        return run(pool)


EXECUTORS = {"threads": threads, "processes": processes, "dask": dask}
COLD = {
    "sequence": [plain_sequence, refline_sequence, prefect_sequence],
    "mapped": [plain_threads, refline_map, prefect_map],
}


def empty(name):
    """Runs a flow without tasks first: the start of Prefect's server is not measured."""
    if "plain" in name:
        return
    flow = __import__(name.partition("_")[0]).flow
    flow(nothing)()


def nothing():
    return None


def measure(case):
    """Runs in a process of its own."""
    kind, _, name = case.partition(" ")
    if kind == "import":
        begin = time.perf_counter()
        __import__(name)
        print(time.perf_counter() - begin)
    elif kind == "cold":
        run = globals()[name](N)
        empty(name)
        begin = time.perf_counter()
        run()
        print(time.perf_counter() - begin)
    elif kind == "warm":
        run = globals()[name](1000)
        run()
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        print(min(times) / 1000)
    elif kind == "executor":
        print(*EXECUTORS[name](lambda pool: beside(pool, 300)))


def child(case, folder):
    events = os.path.join(folder, "events.jsonl")
    with open(events, "w"):
        pass
    env = dict(os.environ, REFLINE_EVENTS=events, PREFECT_HOME=os.path.join(folder, "prefect"), PREFECT_LOGGING_LEVEL="ERROR",
               PREFECT_SERVER_ANALYTICS_ENABLED="false", PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120", DO_NOT_TRACK="1")
    done = subprocess.run([sys.executable, os.path.abspath(__file__), case], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    if done.returncode:
        raise SystemExit("%s: %s" % (case, done.stderr[-2000:]))
    return [float(v) for v in done.stdout.split()[-2 if case.startswith("executor") else -1 :]]


UNCHANGED = """
from prefect import flow, task

@task
def load(n):
    return list(range(n))

@task
def double(x):
    return 2 * x

@flow
def unchanged():
    return sum(f.result() for f in double.map(load(10)))

if __name__ == "__main__":
    unchanged()
"""


def unchanged(rounds, folder):
    """Seconds of a whole process that runs a flow of Prefect: as a job of Refline, and with
    Prefect's own server, whose database is there already."""
    script = os.path.join(folder, "unchanged.py")
    with open(script, "w") as f:
        f.write(UNCHANGED)
    events = os.path.join(folder, "unchanged.jsonl")
    plain = dict(os.environ, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120", PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1")
    ways = [([sys.executable, "-m", "refline", script + ":unchanged"], dict(plain, REFLINE_EVENTS=events)),
            ([sys.executable, script], dict(plain, PREFECT_HOME=os.path.join(folder, "own")))]
    seen = [[], []]
    for number in range(rounds + 1):  # the first one makes the database, and is not counted
        for (command, env), times in zip(ways, seen):
            open(events, "w").close()
            begin = time.perf_counter()
            done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            if done.returncode:
                raise SystemExit("%s: %s" % (command, done.stdout[-2000:]))
            if number:
                times.append(time.perf_counter() - begin)
    return [statistics.median(times) for times in seen]


def ms(seconds):
    return "%.3f ms" % (1000 * seconds)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        print("import of the package: %s (median of %d)" % (ms(statistics.median(child("import refline", folder)[0] for _ in range(3 * rounds))), 3 * rounds))
        for name, cases in COLD.items():
            seen = {c.__name__: [] for c in cases}
            for _ in range(rounds):
                for c in cases:  # in turns: the machine's load is the same for all
                    seen[c.__name__] += child("cold " + c.__name__, folder)
            plain, own, other = (statistics.median(seen[c.__name__]) for c in cases)
            print("%d tasks %s, cold: plain %s, refline %s (%s to %s), Prefect %s (%s to %s), ratio %.0f" % (
                N, name, ms(plain), ms(own), ms(min(seen[cases[1].__name__])), ms(max(seen[cases[1].__name__])),
                ms(other), ms(min(seen[cases[2].__name__])), ms(max(seen[cases[2].__name__])), other / own))
        print("a task in sequence, warm: %s" % ms(child("warm refline_sequence", folder)[0]))
        print("a task on own threads, warm: %s" % ms(child("warm refline_map", folder)[0]))
        here, own = unchanged(rounds, folder)
        print("a flow of Prefect, unchanged, whole process: refline %.1f s, Prefect's own server %.1f s, ratio %.1f" % (here, own, own / here))
        for name in EXECUTORS:
            alone, own = child("executor " + name, folder)
            print("a task on %s, warm: %s, the executor alone %s, ratio %.2f" % (name, ms(own), ms(alone), own / alone))


if __name__ == "__main__":
    if len(sys.argv) > 1 and " " in sys.argv[1]:
        sys.modules["bench"] = sys.modules["__main__"]
        measure(sys.argv[1])
    else:
        main()
