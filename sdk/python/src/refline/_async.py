"""Flows and tasks that are coroutines; imported with the first."""

import asyncio
import time

from . import _call
from ._node import current
from ._timeout import message


def run_blocking(spec, args, kwargs):
    """One attempt of an async task that was submitted: with an event loop of its own."""
    return asyncio.run(_once(spec, args, kwargs))


async def _once(spec, args, kwargs):
    if spec.mode == _call.ASYNC_GENERATOR:
        return await _in_time(spec, _collect(spec.fn(*args, **kwargs)))
    return await _in_time(spec, spec.fn(*args, **kwargs))


async def _collect(values):
    return [v async for v in values]


async def _in_time(spec, awaitable):
    if spec.timeout is None:
        return await awaitable
    start = time.monotonic()
    try:
        return await asyncio.wait_for(awaitable, spec.timeout)
    except asyncio.TimeoutError as e:
        if time.monotonic() - start < spec.timeout:
            raise  # the function's own
        raise TimeoutError(message(spec.name, spec.timeout)) from e


async def wait_for(future):
    """Waits for a future of ours without blocking the event loop."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def wake():
        loop.call_soon_threadsafe(lambda: done.done() or done.set_result(None))

    if future._when_done(wake):
        await done


async def attempts(spec, node, args, kwargs):
    """All attempts of an async task or flow, like _call.attempts."""
    run = node.run
    run.add(node)
    keys = None
    if spec.kind == "task" and (run.results is not None or spec.cache is not None):
        from ._results import Keys

        keys = Keys(spec, node, args, kwargs)
        state, value = keys.find()
        if state:
            run.state(node, state)
            return value
    attempt = 1
    while True:
        run.running(node, attempt)
        token = current.set(node)
        try:
            value = await _once(spec, args, kwargs)
            if node.children is not None:
                for f in list(node.children.futures.values()):
                    await wait_for(f)
                node.children.finish()
            if keys is not None:
                keys.keep(value)
            run.success(node)
            return value
        except BaseException as e:
            if node.children is not None:
                node.children.abandon(e)
            delay = _call.after_failure(spec, node, e)
            if delay is None:
                raise
        finally:
            current.reset(token)
        await asyncio.sleep(delay)
        attempt += 1


async def generate(spec, node, args, kwargs):
    """An async generator task; it has one attempt."""
    run = node.run
    run.add(node)
    run.running(node, 1)
    values = spec.fn(*args, **kwargs)
    try:
        while True:
            token = current.set(node)
            try:
                value = await values.__anext__()
            except StopAsyncIteration:
                run.success(node)
                return
            finally:
                current.reset(token)
            yield value
    except BaseException as e:
        if isinstance(e, GeneratorExit):
            run.stopped(node, "canceled", reason="not read to its end")
        else:
            run.stopped(node, "failed", error=e)
        raise


async def flow_attempts(flow, node, args, kwargs, executor):
    with executor:
        return await attempts(flow, node, args, kwargs)


async def top_flow(flow, run, node, args, kwargs, executor):
    from ._flow import Around

    with Around(run), executor:
        return await attempts(flow, node, args, kwargs)
