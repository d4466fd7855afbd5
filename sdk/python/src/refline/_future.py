"""Futures: tasks that were submitted and may not have run yet."""

import threading

from . import _call
from ._node import current

# The life of a future. WAITING: for futures among its arguments.
WAITING, QUEUED, RUNNING, DONE = range(4)

_lock = threading.Lock()  # guards the life of all futures; held for a few instructions


class DependencyFailed(RuntimeError):
    """A task was not run since one that it depends on failed; __cause__ is its error."""


class TaskFailed(RuntimeError):
    """Stands for the exception of a task that could not be sent from its worker."""


class unmapped:
    """An argument of map() that is the same for all tasks."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Future:
    """The result of a submitted task, once there is one."""

    __slots__ = (
        "id", "name", "_spec", "_node", "_args", "_kwargs", "_after", "_life", "_value", "_error",
        "_traceback", "_state", "_seen", "_callbacks", "_waiters", "_missing", "_keys", "__weakref__",
    )

    def __init__(self, spec, node, args, kwargs, after=()):
        self.id = node.id if node is not None else ""
        self.name = spec.name
        self._spec = spec
        self._node = node
        self._args = args
        self._kwargs = kwargs
        self._after = after  # futures that it depends on
        self._life = WAITING
        self._value = None
        self._error = None
        self._traceback = None
        self._state = "queued"
        self._seen = False  # somebody looked at the error
        self._callbacks = []
        self._waiters = None
        self._missing = 0
        self._keys = None

    def __class_getitem__(cls, _item):
        return cls

    def __repr__(self):
        return "<Future %s %s: %s>" % (self.id, self.name, self.state)

    @property
    def state(self):
        """queued, running, retrying, success, failed, canceled, skipped, cached or kept."""
        return self._node.state if self._node is not None and self._life != DONE else self._state

    def done(self):
        return self._life == DONE

    def result(self, timeout=None):
        """The task's result, waited for. Raises the task's exception. Inside of a task
        it runs waiting tasks rather than block a thread."""
        self._wait(timeout)
        self._seen = True
        if self._error is not None:
            raise self._error.with_traceback(self._traceback)
        return self._value

    def exception(self, timeout=None):
        """The task's exception, waited for; None after success."""
        self._wait(timeout)
        self._seen = True
        return self._error

    def __await__(self):
        from ._async import wait_for

        yield from wait_for(self).__await__()
        return self.result()

    # Waiting

    def _wait(self, timeout=None):
        if self._life == DONE:
            return
        node = current.get()
        pool = None
        if node is not None and node.helps:
            self._help()
            if self._life == DONE:
                return
            from ._pool import pool_of_thread

            pool = pool_of_thread()
        waiter = threading.Lock()
        waiter.acquire()
        if not self._when_done(waiter.release):
            return
        if pool is None:
            done = waiter.acquire(timeout=-1 if timeout is None else max(timeout, 0))
        else:
            pool.block()
            try:
                done = waiter.acquire(timeout=-1 if timeout is None else max(timeout, 0))
            finally:
                pool.unblock()
        if not done and self._life != DONE:
            raise TimeoutError("%s %s: not done after %g s; it goes on" % (self.id, self.name, timeout))

    def _help(self):
        """Runs, here, what this future waits for, and then itself, as far as it has not
        started elsewhere."""
        order, stack, seen = [], [self], {self.id}
        while stack:
            f = stack.pop()
            order.append(f)
            for d in f._after:
                if d._life != DONE and d.id not in seen:
                    seen.add(d.id)
                    stack.append(d)
        for f in reversed(order):
            if f._life == QUEUED and f._is_local():
                f.run_here()

    def _is_local(self):
        executor = self._node.executor
        return executor is None or isinstance(executor, int)

    def _when_done(self, callback):
        """Calls callback when done; returns False, without calling it, if it is now."""
        with _lock:
            if self._life == DONE:
                return False
            self._callbacks.append(callback)
            return True

    # Life

    def _start(self):
        """Sends the future to its executor when its dependencies are done."""
        self._missing = 1 + len(self._after)
        for f in self._after:
            if not f._when_done(self._one_ready):
                self._one_ready()
        self._one_ready()

    def _one_ready(self):
        with _lock:
            self._missing -= 1
            if self._missing or self._life == DONE:
                return
        for f in self._after:
            f._seen = True
            if f._error is not None:
                error = DependencyFailed("%s %s was not run: %s %s %s" % (self.id, self.name, f.id, f.name, f._state))
                error.__cause__ = f._error
                self._node.run.stopped(self._node, "skipped", reason="%s %s %s" % (f.id, f.name, f._state))
                self._end("skipped", error=error)
                return
        if self._after:
            self._args, self._kwargs = resolve(self._args), resolve(self._kwargs)
        self._enqueue()

    def _enqueue(self):
        self._life = QUEUED
        if not self._is_local():
            from ._external import submit

            submit(self)
            return
        from ._pool import pool

        pool(self._node.executor).put(self)

    def claim(self):
        """Takes the future to run it; False if another thread has."""
        with _lock:
            if self._life != QUEUED:
                return False
            self._life = RUNNING
            return True

    def run_here(self):
        """Runs one attempt in this thread."""
        if not self.claim():
            return
        node, spec = self._node, self._spec
        if self._found():
            return
        node.helps = True
        node.run.running(node, node.attempt)
        token = current.set(node)
        try:
            value = _call.invoke(spec, self._args, self._kwargs)
            if node.children is not None:
                node.children.finish()
        except BaseException as e:
            if node.children is not None:
                node.children.abandon(e)
            self._failed(e)
            return
        finally:
            current.reset(token)
        self._succeeded(value)

    def _found(self):
        """Ends the future if an earlier run has its result."""
        if self._node.run.results is None and self._spec.cache is None or self._keys is not None:
            return False
        from . import _results

        self._keys = _results.Keys(self._spec, self._node, self._args, self._kwargs)
        state, value = self._keys.find()
        if state:
            self._node.run.state(self._node, state)
            self._end(state, value)
        return bool(state)

    def _succeeded(self, value, seconds=None):
        if self._keys is not None:
            self._keys.keep(value)
        self._node.run.success(self._node, seconds)
        self._end("success", value)

    def _failed(self, error, seconds=None):
        delay = _call.after_failure(self._spec, self._node, error, seconds)
        if delay is None:
            self._end("canceled" if _call.is_end(error) else "failed", error=error)
            return
        self._node.attempt += 1
        if delay == 0:
            self._enqueue()
            return
        from ._timer import later

        later(delay, self._again)

    def _again(self):
        if self._life == RUNNING:
            self._enqueue()

    def cancel(self, reason="canceled"):
        """Ends the future if it has not started; returns whether it has ended."""
        with _lock:
            waits = self._life in (WAITING, QUEUED)
            if waits:
                self._life = RUNNING
        if waits:
            self._node.run.stopped(self._node, "canceled", reason=reason)
            self._end("canceled", error=DependencyFailed("%s %s was canceled: %s" % (self.id, self.name, reason)))
        return self._life == DONE

    def _end(self, state, value=None, error=None):
        self._value, self._error, self._state = value, error, state
        if error is not None:
            self._traceback = error.__traceback__
        parent = self._node.parent
        with _lock:
            self._life = DONE
            callbacks, self._callbacks = self._callbacks, ()
        self._args = self._kwargs = self._keys = None
        self._after = ()
        if parent is not None and parent.children is not None and error is None:
            parent.children.forget(self)
        for callback in callbacks:
            callback()


class Futures(list):
    """The futures of a map, in order."""

    def results(self, errors="raise"):
        """All results in order. errors="return" gives exceptions in their places,
        "raise" raises the first one when all are done."""
        if errors not in ("raise", "return"):
            raise ValueError('errors=%r: "raise" or "return"' % (errors,))
        for f in self:
            f._wait()
        if errors == "return":
            return [f.result() if f.exception() is None else f.exception() for f in self]
        first = None
        for f in self:
            if f.exception() is not None and first is None:
                first = f
        if first is not None:
            first.result()
        return [f._value for f in self]


class Children:
    """What a flow or a task submitted and has not ended, or failed without anyone
    looking."""

    __slots__ = ("futures",)

    def __init__(self):
        self.futures = {}

    def add(self, future):
        self.futures[future.id] = future

    def forget(self, future):
        self.futures.pop(future.id, None)

    def finish(self):
        """Waits for all; a failure that nothing looked at is raised."""
        failed = None
        while self.futures:
            for f in list(self.futures.values()):
                f._wait()
                self.futures.pop(f.id, None)
                if f._error is not None and not f._seen and failed is None and f._state != "skipped":
                    failed = f
        if failed is not None:
            failed.result()

    def abandon(self, error):
        """Cancels what waits after a failure, and lets what runs come to its end."""
        left = list(self.futures.values())
        for f in left:
            f.cancel("%s of the flow or task that submitted it" % type(error).__name__)
        if not _call.is_end(error) and not isinstance(error, (SystemExit, TimeoutError)):
            for f in left:
                f._wait()
        self.futures.clear()


_HOLDERS = (list, tuple, dict, set)


def find(value, found, depth=4):
    """Adds the futures in an argument to found: also those in lists, tuples, dicts and
    sets."""
    kind = type(value)
    if kind is Future:
        found.append(value)
    elif kind is Futures:
        found.extend(value)
    elif kind in _HOLDERS and depth and value:
        items = value.values() if kind is dict else value
        for t in set(map(type, items)):
            if t is Future or t is Futures or t in _HOLDERS:
                for item in items:
                    find(item, found, depth - 1)
                break


def resolve(value, depth=5):
    """The argument with results in the places of futures."""
    kind = type(value)
    if kind is Future:
        return value.result()
    if kind is Futures:
        return [f.result() for f in value]
    if kind in _HOLDERS and depth and value:
        found = []
        find(value, found, depth)
        if not found:
            return value
        if kind is dict:
            return {k: resolve(v, depth - 1) for k, v in value.items()}
        return kind([resolve(v, depth - 1) for v in value])
    return value
