"""Checked by mypy --strict, not run: what a type checker sees of the package."""

from typing import List

from refline import Future, Futures, flow, task, unmapped


@task
def plain(x: int) -> str:
    return str(x)


@task(retries=2, delay=[1, 2], tags=["a"])
def with_options(x: int, y: int = 1) -> float:
    return x / y


@task
async def later(x: int) -> bytes:
    return b""


class Source:
    @task
    def read(self, day: int) -> str:
        return ""


@flow
def whole(day: int) -> float:
    a: str = plain(day)
    f: Future[str] = plain.submit(day)
    fs: Futures[float] = with_options.map([1, 2], y=unmapped(3))
    results: List[float] = fs.results()
    b: Future[bytes] = later.submit(1)
    c: str = Source().read(1)
    plain("not a number")  # type: ignore[arg-type]
    whole.with_options(retries=1)
    print(a, f, b.result(), c)
    return sum(results)


@flow(name="named", retries=1, executor=4)
async def asynchronous() -> int:
    data: bytes = await later(1)
    return len(data)


total: float = whole(1)
