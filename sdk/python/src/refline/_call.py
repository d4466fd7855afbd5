"""Runs what a flow or a task is made of: attempts, retries, timeouts, in the caller's
thread. _future.py runs single attempts elsewhere."""

import os
import time

from ._node import current
from ._timeout import Expired

# How a function runs: flags of its code.
PLAIN, GENERATOR, COROUTINE, ASYNC_GENERATOR = 0, 0x20, 0x80, 0x200


def mode_of(fn):
    while hasattr(fn, "func") and not hasattr(fn, "__code__"):  # functools.partial
        fn = fn.func
    code = getattr(fn, "__code__", None)
    flags = code.co_flags if code is not None else 0
    for mode in (ASYNC_GENERATOR, COROUTINE, GENERATOR):
        if flags & mode:
            return mode
    return PLAIN


class Spec:
    """What flows and tasks have in common: a function with options."""

    kind = ""

    def __init__(self, fn, name, retries, delay, backoff, jitter, retry_on, timeout, keep):
        if not callable(fn):
            raise TypeError("@%s decorates a function, not %r" % (self.kind, type(fn).__name__))
        if retries < 0:
            raise ValueError("retries=%r: a number from 0 on" % (retries,))
        if hasattr(timeout, "total_seconds"):
            timeout = timeout.total_seconds()
        if timeout is not None and not timeout > 0:
            raise ValueError("timeout=%r: seconds above 0, or None for no timeout" % (timeout,))
        self.fn = fn
        self.mode = mode_of(fn)
        self.name = str(name or getattr(fn, "__name__", type(fn).__name__))
        self.retries = retries
        self.delay = delay
        self.backoff = backoff
        self.jitter = jitter
        self.retry_on = retry_on
        self.timeout = timeout
        self.keep = keep
        for attr in ("__module__", "__name__", "__qualname__", "__doc__"):
            value = getattr(fn, attr, None)
            if value is not None:
                setattr(self, attr, value)
        self.__wrapped__ = fn

    def delay_after(self, attempt):
        """Seconds to wait after a failed attempt, which counts from 1."""
        delay = self.delay
        if callable(delay):
            delay = delay(attempt)
        elif isinstance(delay, (list, tuple)):
            delay = delay[min(attempt, len(delay)) - 1] if delay else 0
        else:
            if hasattr(delay, "total_seconds"):
                delay = delay.total_seconds()
            delay = delay * self.backoff ** (attempt - 1)
        if hasattr(delay, "total_seconds"):
            delay = delay.total_seconds()
        if self.jitter:
            delay *= 1 + self.jitter * int.from_bytes(os.urandom(4), "big") / 2**32
        return max(float(delay), 0.0)

    def retries_on(self, error):
        if isinstance(self.retry_on, (type, tuple)):
            return isinstance(error, self.retry_on)
        return bool(self.retry_on(error))


def is_end(error):
    """Whether an exception ends the process or the surrounding call, not just the task."""
    return isinstance(error, (KeyboardInterrupt, GeneratorExit, Expired)) or type(error).__name__ == "CancelledError"


def after_failure(spec, node, error, seconds=None):
    """Reports a failed attempt. Returns the seconds until the next one, None if there
    is none."""
    run = node.run
    if is_end(error):
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "the surrounding call ended"
        run.stopped(node, "canceled", reason=reason, seconds=seconds)
        return None
    if node.attempt <= spec.retries and isinstance(error, Exception):
        try:
            if spec.retries_on(error):
                delay = spec.delay_after(node.attempt)
                run.stopped(node, "retrying", error=error, delay=delay, seconds=seconds)
                return delay
        except Exception as e:
            e.__context__ = error
            run.stopped(node, "failed", error=e, reason="retry_on or delay raised an exception", seconds=seconds)
            return None
    reason = "timeout" if isinstance(error, TimeoutError) and spec.timeout is not None else ""
    run.stopped(node, "failed", error=error, reason=reason, seconds=seconds)
    return None


def invoke(spec, args, kwargs):
    """One attempt whose value is needed at once: a generator is exhausted, a coroutine
    gets an event loop."""
    fn = spec.fn
    if spec.mode == GENERATOR:
        plain = fn

        def fn(*args, **kwargs):
            return list(plain(*args, **kwargs))
    elif spec.mode in (COROUTINE, ASYNC_GENERATOR):
        from ._async import run_blocking

        return run_blocking(spec, args, kwargs)
    if spec.timeout is None:
        return fn(*args, **kwargs)
    from ._timeout import call

    return call(spec.timeout, spec.name, fn, args, kwargs)


def attempts(spec, node, args, kwargs, body=invoke):
    """All attempts, one after the other, in this thread."""
    run = node.run
    attempt = 1
    while True:
        run.running(node, attempt)
        token = current.set(node)
        delay = None
        try:
            value = body(spec, args, kwargs)
            if node.children is not None:
                node.children.finish()
            run.success(node)
            return value
        except BaseException as e:
            if node.children is not None:
                node.children.abandon(e)
            delay = after_failure(spec, node, e)
            if delay is None:
                raise
        finally:
            current.reset(token)
        time.sleep(delay)
        attempt += 1


def generate(spec, node, args, kwargs):
    """A generator task: it runs from the first value that is asked for to the last. It
    is tried again only while it has not given a value."""
    run = node.run
    attempt, given = 1, False
    run.add(node)
    while True:
        run.running(node, attempt)
        values = spec.fn(*args, **kwargs)
        try:
            while True:
                token = current.set(node)
                try:
                    value = next(values)
                except StopIteration as end:
                    if node.children is not None:
                        node.children.finish()
                    run.success(node)
                    return end.value
                finally:
                    current.reset(token)
                given = True
                yield value
        except BaseException as e:
            if given or isinstance(e, GeneratorExit):
                values.close()
                if isinstance(e, GeneratorExit):
                    run.stopped(node, "canceled", reason="not read to its end")
                else:
                    run.stopped(node, "failed", error=e)
                raise
            delay = after_failure(spec, node, e)
            if delay is None:
                raise
        time.sleep(delay)
        attempt += 1
