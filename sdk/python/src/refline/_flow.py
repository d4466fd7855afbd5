"""@flow"""

import threading

from . import _call
from ._node import Node, current

_OPTIONS = ("name", "retries", "delay", "timeout", "executor", "keep")


def flow(name=None, *, retries=0, delay=0, timeout=None, executor=None, keep=None):
    """Makes a function a flow: @flow or @flow(retries=1).

    retries, delay   further attempts of the whole flow, and the seconds between them
    timeout          seconds of one attempt
    executor         where submitted tasks run: a number of threads, any
                     concurrent.futures executor, or a function that makes one; None:
                     threads of this process
    keep             of tasks that do not say: whether results are kept for a retry
    """
    options = {k: v for k, v in locals().items() if k in _OPTIONS}
    if callable(name):
        return Flow(name, **dict(options, name=None))
    return lambda fn: Flow(fn, **options)


class Flow(_call.Spec):
    """A function that calls tasks. Called inside another flow it is a part of that."""

    kind = "flow"

    def __init__(self, fn, name=None, retries=0, delay=0, timeout=None, executor=None, keep=None):
        super().__init__(fn, name, retries, delay, 1.0, 0.0, Exception, timeout, keep)
        if isinstance(executor, int) and executor < 1:
            raise ValueError("executor=%d: at least 1 thread" % executor)
        self.executor = executor
        self.storage = None
        self.run_config = None
        self.schedule = None

    def __class_getitem__(cls, _item):
        return cls

    def __repr__(self):
        return "<Flow %s>" % self.name

    def __call__(self, *args, **kwargs):
        parent = current.get()
        if parent is None:
            return self._top(args, kwargs)
        node = Node(parent.child_id(), self.name, "flow", parent.run, parent)
        node.helps, node.quiet = parent.helps, parent.quiet
        self._options(node)
        parent.run.add(node)
        if self.mode in (_call.COROUTINE, _call.ASYNC_GENERATOR):
            from . import _async

            return _async.flow_attempts(self, node, args, kwargs, _own_executor(self, node))
        with _own_executor(self, node):
            return _call.attempts(self, node, args, kwargs)

    def _options(self, node):
        if self.executor is not None:
            node.executor = self.executor
        if self.keep is not None:
            node.keep = self.keep

    def _top(self, args, kwargs):
        from . import _run

        run = _run.start()
        node = _run.root(run, self.name)
        self._options(node)
        run.add(node)
        if self.mode in (_call.COROUTINE, _call.ASYNC_GENERATOR):
            from . import _async

            return _async.top_flow(self, run, node, args, kwargs, _own_executor(self, node))
        with Around(run), _own_executor(self, node):
            return _call.attempts(self, node, args, kwargs)

    def with_options(self, **options):
        """A copy of the flow with other options."""
        unknown = set(options) - set(_OPTIONS)
        if unknown:
            raise TypeError("with_options: unknown option %s; known: %s" % (", ".join(sorted(unknown)), ", ".join(_OPTIONS)))
        copy = Flow(self.fn, **dict({k: getattr(self, k) for k in _OPTIONS}, **options))
        copy.storage, copy.run_config, copy.schedule = self.storage, self.run_config, self.schedule
        return copy

    def register(self, *args, **kwargs):
        """Registers the flow with a Refline server by its place in git."""
        from ._register import register

        return register(self, *args, **kwargs)

    def __reduce__(self):
        from ._pickle import reduce_spec

        return reduce_spec(self)


class _own_executor:
    """An executor that a function makes lives as long as the flow."""

    def __init__(self, flow, node):
        self.made = None
        self.node = node
        self.make = flow.executor if callable(flow.executor) and not hasattr(flow.executor, "submit") else None

    def __enter__(self):
        if self.make is not None:
            self.made = self.node.executor = self.make()

    def __exit__(self, kind, error, _tb):
        if self.made is not None:
            wait = kind is None or issubclass(kind, Exception)
            try:
                self.made.shutdown(wait=wait)
            except TypeError:
                self.made.shutdown()


class Around:
    """What is around a top-level flow: the end by a signal, printed lines, and the
    report of the end."""

    def __init__(self, run):
        self.run = run
        self.guard = None

    def __enter__(self):
        from . import _streams

        _streams.install()
        if threading.current_thread() is threading.main_thread():
            from ._signals import Guard

            self.guard = Guard(self.run)

    def __exit__(self, kind, error, _tb):
        from . import _streams

        _streams.remove()
        if self.guard is not None:
            self.guard.close()
        if error is not None:
            from ._error import drop_own_frames

            drop_own_frames(error)
        self.run.cancel_open("the flow ended")
        self.run.finish()
