"""@task"""

from . import _call
from ._future import Children, Future, Futures, find, resolve, unmapped
from ._node import Node, current

_OPTIONS = ("name", "retries", "delay", "backoff", "jitter", "retry_on", "timeout", "cache", "cache_key", "tags", "keep")


def task(name=None, *, retries=0, delay=0, backoff=1.0, jitter=0.0, retry_on=Exception, timeout=None,
         cache=None, cache_key=None, tags=(), keep=None):
    """Makes a function a task: @task or @task(retries=3, delay=1).

    retries, delay     further attempts; seconds between them: a number, a list, or a
                       function of the attempt (from 1). backoff multiplies a number with
                       each attempt; jitter adds up to that part of it at random.
    retry_on           exception classes, or a function of the exception
    timeout            seconds of one attempt
    cache, cache_key   True or a timedelta: results are used again for equal inputs;
                       cache_key is a text, or a function of the arguments that returns one
    tags               shown with the task
    keep               whether the result is kept for a retry of the run: by default if it
                       has at most 64 kB
    """
    options = {k: v for k, v in locals().items() if k in _OPTIONS}
    if callable(name):
        return Task(name, **dict(options, name=None))
    return lambda fn: Task(fn, **options)


class Task(_call.Spec):
    """A function whose calls inside a flow are seen one by one."""

    kind = "task"

    def __init__(self, fn, name=None, retries=0, delay=0, backoff=1.0, jitter=0.0, retry_on=Exception,
                 timeout=None, cache=None, cache_key=None, tags=(), keep=None):
        super().__init__(fn, name, retries, delay, backoff, jitter, retry_on, timeout, keep)
        if cache is False:
            cache = None
        if cache is not None and cache is not True and not hasattr(cache, "total_seconds"):
            raise TypeError("cache=%r: True or a timedelta" % (cache,))
        self.cache = cache
        self.cache_key = cache_key
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags)
        self._options = {}

    def __class_getitem__(cls, _item):
        return cls

    def __repr__(self):
        return "<Task %s>" % self.name

    def __call__(self, *args, **kwargs):
        parent = current.get()
        if parent is None:
            return self.fn(*args, **kwargs)
        run = parent.run
        node = Node(parent.child_id(), self.name, "task", run, parent)
        node.tags, node.quiet = self.tags, parent.quiet
        node.helps = parent.helps
        if run.submitted:
            args, kwargs = resolve(args), resolve(kwargs)
        if self.mode:
            return self._call_special(node, args, kwargs)
        run.add(node)
        if run.results is None and self.cache is None:
            return _call.attempts(self, node, args, kwargs)
        from ._results import call_kept

        return call_kept(self, node, args, kwargs)

    def _call_special(self, node, args, kwargs):
        if self.mode == _call.GENERATOR:
            return _call.generate(self, node, args, kwargs)
        from . import _async

        if self.mode == _call.COROUTINE:
            return _async.attempts(self, node, args, kwargs)
        return _async.generate(self, node, args, kwargs)

    def submit(self, *args, after=(), **kwargs):
        """Runs the task elsewhere: on the flow's executor. Futures among the arguments
        are waited for; after names others. Outside of a flow it runs here and now."""
        return self._submit(current.get(), args, kwargs, after)

    def _submit(self, parent, args, kwargs, after=(), index=None, of=None):
        if parent is None:
            return self._submit_plain(args, kwargs)
        run = parent.run
        node = Node(parent.child_id(), self.name, "task", run, parent)
        node.tags, node.quiet = self.tags, parent.quiet
        node.index, node.of = index, of
        if isinstance(after, Future):
            after = (after,)
        found = list(after)
        if run.submitted:
            find(args, found)
            find(kwargs, found)
        run.submitted = True
        if found:
            found = list(dict.fromkeys(found))
            node.after = [f.id for f in found]
        future = Future(self, node, args, kwargs, found)
        if parent.children is None:
            parent.children = Children()
        parent.children.add(future)
        run.add(node)
        run.state(node, "queued")
        future._start()
        return future

    def _submit_plain(self, args, kwargs):
        future = Future(self, None, args, kwargs)
        try:
            future._value, future._state = _call.invoke(self, resolve(args), resolve(kwargs)), "success"
        except Exception as e:
            future._error, future._traceback, future._state = e, e.__traceback__, "failed"
        future._life = 3
        return future

    def map(self, *args, after=(), **kwargs):
        """Submits the task once per element of its arguments, which have the same
        length; unmapped(x), texts, dicts and what is not iterable are given to all."""
        args = [resolve(a) if type(a) is Future else a for a in args]
        kwargs = {k: resolve(v) if type(v) is Future else v for k, v in kwargs.items()}
        columns, n = _columns(self.name, list(enumerate(args)) + list(kwargs.items()))
        parent = current.get()
        futures = Futures()
        width = len(args)
        for i in range(n):
            row = [c[i] if mapped else c for c, mapped in columns]
            futures.append(self._submit(parent, tuple(row[:width]), dict(zip(kwargs, row[width:])), after, i, n))
        return futures

    def with_options(self, **options):
        """A copy of the task with other options."""
        unknown = set(options) - set(_OPTIONS)
        if unknown:
            raise TypeError("with_options: unknown option %s; known: %s" % (", ".join(sorted(unknown)), ", ".join(_OPTIONS)))
        known = {k: getattr(self, k) for k in _OPTIONS}
        copy = type(self)(self.fn, **dict(known, **options))
        copy._options = dict(self._options, **options)
        return copy

    def __get__(self, instance, _owner=None):
        return self if instance is None else BoundTask(self, instance)

    def __reduce__(self):
        from ._pickle import reduce_spec

        return reduce_spec(self)


class BoundTask:
    """A task that is a method, of one object."""

    def __init__(self, task, instance):
        self._task = task
        self._instance = instance

    def __getattr__(self, name):
        return getattr(self._task, name)

    def __call__(self, *args, **kwargs):
        return self._task(self._instance, *args, **kwargs)

    def submit(self, *args, **kwargs):
        return self._task.submit(self._instance, *args, **kwargs)

    def map(self, *args, **kwargs):
        return self._task.map(unmapped(self._instance), *args, **kwargs)

    def with_options(self, **options):
        return BoundTask(self._task.with_options(**options), self._instance)


def _columns(name, arguments):
    columns, n, first = [], None, None
    for key, value in arguments:
        if type(value) is unmapped:
            columns.append((value.value, False))
            continue
        if isinstance(value, (str, bytes, bytearray, dict)) or not hasattr(type(value), "__iter__"):
            columns.append((value, False))
            continue
        if not hasattr(type(value), "__getitem__") or not hasattr(type(value), "__len__") or hasattr(value, "iloc"):
            value = list(value)
        if n is None:
            n, first = len(value), key
        elif len(value) != n:
            raise ValueError("%s.map: argument %s has %d elements, argument %s %d; unmapped(x) gives one value to all"
                             % (name, first, n, key, len(value)))
        columns.append((value, True))
    if n is None:
        raise TypeError("%s.map: no argument is a list or another iterable; use submit() for a single call" % name)
    return columns, n
