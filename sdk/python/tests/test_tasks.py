"""What tasks and flows do in one process."""

import pytest

import refline
from refline import flow, task, unmapped


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    """Events go to a file, so that the tree is not printed."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"")
    monkeypatch.setenv("REFLINE_EVENTS", str(path))
    monkeypatch.delenv("REFLINE_RESULTS", raising=False)
    monkeypatch.setenv("REFLINE_TASK_CACHE", str(tmp_path / "cache"))


def test_outside_of_a_flow_a_task_is_a_function():
    @task(retries=3)
    def add(x, y=1):
        return x + y

    assert add(2) == 3
    assert add.fn(2, y=5) == 7
    assert add.submit(1).result() == 2
    assert add.map([1, 2], y=unmapped(10)).results() == [11, 12]


def test_results_arguments_and_order():
    @task
    def double(x):
        return 2 * x

    @task
    def total(xs, plus=0):
        return sum(xs) + plus

    @flow
    def whole():
        doubled = double.map(range(10))
        first = total.submit(doubled)
        second = total.submit([first, doubled[0], 1], plus=first, after=[doubled[9]])
        return first.result(), second.result(), total([{"a": first}["a"]])

    assert whole() == (90, 181, 90)


def test_map_checks_lengths_and_constants():
    @task
    def three(a, b, c):
        return a, b, c

    @flow
    def whole(*args, **kwargs):
        return three.map(*args, **kwargs).results()

    assert whole([1, 2], "ab", c={"k": 1}) == [(1, "ab", {"k": 1}), (2, "ab", {"k": 1})]
    assert whole((i for i in [1, 2]), [3, 4], unmapped([5])) == [(1, 3, [5]), (2, 4, [5])]
    with pytest.raises(ValueError, match="argument 0 has 2 elements, argument b 3"):
        whole([1, 2], b=[1, 2, 3], c=1)
    with pytest.raises(TypeError, match="no argument is a list"):
        whole(1, 2, 3)


@pytest.mark.parametrize("options, want", [
    (dict(delay=2), [2, 2, 2]),
    (dict(delay=1, backoff=2), [1, 2, 4]),
    (dict(delay=[1, 5]), [1, 5, 5]),
    (dict(delay=lambda attempt: attempt * 10), [10, 20, 30]),
])
def test_delays(options, want):
    t = task(lambda: None).with_options(retries=3, **options)
    assert [t.delay_after(n) for n in (1, 2, 3)] == want


def test_jitter_adds_a_part():
    t = task(retries=1, delay=10, jitter=0.5)(lambda: None)
    delays = [t.delay_after(1) for _ in range(100)]
    assert min(delays) >= 10 and max(delays) <= 15 and len(set(delays)) > 50


@pytest.mark.parametrize("submit", [False, True])
def test_retries(submit):
    calls = []

    @task(retries=2, retry_on=ValueError)
    def flaky(kind, good_at):
        calls.append(kind)
        if len(calls) < good_at:
            raise kind("attempt %d" % len(calls))
        return "good"

    @flow
    def whole(*args):
        return flaky.submit(*args).result() if submit else flaky(*args)

    assert whole(ValueError, 3) == "good"
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(ValueError, match="attempt 3"):
        whole(ValueError, 9)
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(KeyError):
        whole(KeyError, 9)
    assert len(calls) == 1


def test_retry_on_may_be_a_function():
    calls = []

    @task(retries=5, retry_on=lambda e: e.args[0] < 3)
    def count():
        calls.append(1)
        raise ValueError(len(calls))

    @flow
    def whole():
        count()

    with pytest.raises(ValueError, match="3"):
        whole()


def test_a_flow_is_tried_again():
    calls = []

    @task
    def one():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        return 1

    @flow(retries=1)
    def whole():
        return one()

    assert whole() == 1


def test_a_failure_that_nothing_looks_at_fails_the_flow():
    @task
    def bad():
        raise ValueError("nobody looks")

    @flow
    def whole():
        bad.submit()
        return 1

    with pytest.raises(ValueError, match="nobody looks"):
        whole()

    @flow
    def looks():
        return type(bad.submit().exception()).__name__

    assert looks() == "ValueError"


def test_what_depends_on_a_failure_is_skipped():
    @task
    def bad():
        raise ValueError("first")

    @task
    def after(x):
        return x

    @flow
    def whole():
        f = after.submit(bad.submit())
        g = after.submit(f)
        return g.exception(), f.state, g.state

    error, *states = whole()
    assert isinstance(error, refline.DependencyFailed) and states == ["skipped", "skipped"]
    assert isinstance(error.__cause__.__cause__, ValueError)


def test_results_return_errors():
    @task
    def odd(x):
        if x % 2:
            raise ValueError(x)
        return x

    @flow
    def whole():
        return [str(r) for r in odd.map(range(4)).results(errors="return")]

    assert whole() == ["0", "1", "2", "3"]

    @flow
    def raises():
        odd.map(range(4)).results()

    with pytest.raises(ValueError, match="1"):
        raises()


def test_nested_map_on_one_thread():
    @task
    def child(x):
        return x

    @task
    def parent(n):
        return sum(child.map(range(n)).results())

    @task
    def grandparent(n):
        return sum(parent.map([n] * 3).results())

    for size in (1, 2):
        @flow(executor=size)
        def whole():
            return sum(grandparent.map([3] * 8).results())

        assert whole() == 72


def test_waiting_for_a_chain_on_one_thread():
    @task
    def add(x, y):
        return x + y

    @task
    def parent():
        f = add.submit(0, 1)
        for _ in range(2000):
            f = add.submit(f, 1)
        return f.result()

    @flow(executor=1)
    def whole():
        return parent.submit().result()

    assert whole() == 2001


def test_a_child_that_retries_does_not_block_its_parent():
    calls = []

    @task(retries=2, delay=0.01)
    def child():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError
        return 1

    @task
    def after(x):
        return x

    @task
    def parent():
        return after.submit(child.submit()).result()

    @flow(executor=1)
    def whole():
        return parent.submit().result()

    assert whole() == 1


def test_sub_flows_have_their_own_tasks():
    @task
    def one():
        return refline._node.current.get().id

    @flow
    def inner():
        return one(), one()

    @flow
    def outer():
        return one(), inner(), one()

    a, (b, c), d = outer()
    root = a.split(".")[0]
    assert (a, b, c, d) == tuple(root + s for s in (".1", ".2.1", ".2.2", ".3"))


def test_async():
    import asyncio

    @task(retries=1)
    async def later(x):
        await asyncio.sleep(0)
        return x

    @task
    def plain(x):
        return x + 1

    @flow
    async def whole():
        a, b = await asyncio.gather(later(1), later(2))
        f = plain.submit(later.submit(10))
        return a, b, await f, plain(1)

    assert asyncio.run(whole()) == (1, 2, 11, 2)


def test_async_timeout_and_failure():
    import asyncio

    @task(timeout=0.05)
    async def slow():
        await asyncio.sleep(30)

    @flow
    async def whole():
        await slow()

    with pytest.raises(TimeoutError, match="not done after its timeout of 0.05 s"):
        asyncio.run(whole())


def test_generators_run_until_exhausted():
    closed = []

    @task
    def numbers(n):
        try:
            for i in range(n):
                yield i
        finally:
            closed.append(n)

    @flow
    def whole():
        return list(numbers(3)), numbers.submit(4).result()

    assert whole() == ([0, 1, 2], [0, 1, 2, 3]) and closed == [3, 4]


def test_async_generators():
    import asyncio

    @task
    async def numbers(n):
        for i in range(n):
            yield i

    @flow
    async def whole():
        return [i async for i in numbers(3)], await numbers.submit(2)

    assert asyncio.run(whole()) == ([0, 1, 2], [0, 1])


def test_methods():
    class Source:
        def __init__(self, n):
            self.n = n

        @task
        def read(self, x):
            return self.n + x

    source = Source(10)

    @flow
    def whole():
        return source.read(1), source.read.submit(2).result(), source.read.map([3, 4]).results()

    assert source.read(0) == 10
    assert whole() == (11, 12, [13, 14])


def test_options():
    @task(tags="a")
    def t():
        pass

    u = t.with_options(name="other", retries=2, tags=["b", "c"])
    assert (t.name, t.retries, t.tags) == ("t", 0, ("a",))
    assert (u.name, u.retries, u.tags) == ("other", 2, ("b", "c"))
    with pytest.raises(TypeError, match="unknown option colour"):
        t.with_options(colour=1)
    for wrong in (dict(retries=-1), dict(timeout=0)):
        with pytest.raises(ValueError):
            t.with_options(**wrong)
    with pytest.raises(TypeError, match="decorates a function"):
        refline.Task(7)


CALLS = []  # not in a closure, whose values are a part of the key


def test_cache_by_inputs():
    from datetime import timedelta

    calls = CALLS
    calls.clear()

    @task(cache=True)
    def slow(x):
        CALLS.append(x)
        return [x]

    @task(cache=timedelta(seconds=-1))
    def expired(x):
        CALLS.append(x)
        return x

    @task(cache=True, cache_key=lambda x: "all")
    def keyed(x):
        CALLS.append(x)
        return x

    @flow
    def whole(t, *xs):
        return [t(x) for x in xs] + t.map(xs).results()

    assert whole(slow, 1, 2, 1) == [[1], [2], [1]] * 2 and calls == [1, 2]
    calls.clear()
    assert whole(expired, 1) == [1, 1] and calls == [1, 1]
    calls.clear()
    assert whole(keyed, 1, 2) == [1, 1, 1, 1] and calls == [1]


def test_nothing_is_cached_unasked():
    calls = []

    @task
    def t(x):
        calls.append(x)

    @flow
    def whole():
        t(1), t(1)

    whole()
    assert calls == [1, 1]
