"""Submits futures to an executor of concurrent.futures, or one with its methods."""

import os

from . import _pickle, _worker
from ._future import _lock, QUEUED, RUNNING, TaskFailed


def submit(future):
    """Sends one attempt to the executor of the future's flow. The arguments hold the
    task's id and attempt: Dask runs calls with equal arguments once."""
    with _lock:
        if future._life != QUEUED:
            return
        future._life = RUNNING
    if future._found():
        return
    node, spec = future._node, future._spec
    run = node.run
    if not run.token:
        run.token = os.urandom(8).hex()
    try:
        ticket = (run.token, node.id, node.attempt, node.name, node.quiet, _home(run), run.out is not None)
        # Without a hash of the arguments as its key, a call of Dask is faster.
        options = {"pure": False} if type(node.executor).__module__.startswith("distributed.") else {}
        sent = node.executor.submit(_worker.attempt, ticket, _pickle.payload(spec, node.executor), future._args, future._kwargs, **options)
    except Exception as e:
        future._failed(e)
        return
    sent.add_done_callback(lambda sent: _collect(future, sent))


def _home(run):
    """What names the events file; None outside of a job."""
    if run.out is None or not hasattr(run.out, "home"):
        return None
    home = run.__dict__.get("_home")
    if home is None:
        home = run.__dict__["_home"] = run.out.home()
    return home


def _collect(future, sent):
    """Takes what the worker returned. A broken pool fails the task."""
    node = future._node
    try:
        ok, value, text, seconds, lines = sent.result()
    except BaseException as e:
        if not node.started:
            node.started = 1e-9
        future._failed(_failure(e), 0.0)
        return
    node.started = node.started or 1e-9
    if lines:
        node.run.replay(lines)
    if ok:
        future._succeeded(value, seconds)
        return
    if text:
        from ._error import RemoteTraceback

        value.__refline_traceback__ = text
        value.__cause__ = RemoteTraceback(text)
    future._failed(value, seconds)


def _failure(error):
    if isinstance(error, Exception):
        return error
    return TaskFailed("%s: %s" % (type(error).__name__, error))
