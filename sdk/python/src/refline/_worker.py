"""Runs one attempt of a task in a worker: another process, maybe another computer. It
sees neither context variables nor the environment of the flow, so all it needs is sent."""

import time

from . import _call, _events, _pickle
from ._node import Node, current
from ._run import Run

_files = {}  # home → events file, of this process


def attempt(ticket, payload, args, kwargs):
    """(True, value, "", seconds, lines) or (False, error, traceback, seconds, lines).
    lines are events that could not be written to the file from here."""
    _token, id, number, name, quiet, home, reported = ticket
    start = time.time()
    out = _out(home) if reported else None
    run = Run(out=out)
    node = Node(id, name, "task", run, None)
    node.opened, node.quiet, node.attempt = True, quiet, number
    run.add(node)
    ok, value, text = True, None, ""
    from . import _streams

    _streams.install()
    try:
        spec = _pickle.unpack(payload)
        if quiet:
            node.started = start
        else:
            run.running(node, number)
        token = current.set(node)
        try:
            value = _call.invoke(spec, args, kwargs)
            if node.children is not None:
                node.children.finish()
        except BaseException as e:
            if node.children is not None:
                node.children.abandon(e)
            raise
        finally:
            current.reset(token)
    except BaseException as e:
        from ._error import traceback_of

        ok, text = False, traceback_of(e)
        value = _sendable(e)
    finally:
        _streams.remove()
    if node.text is not None:
        run.flush(node)
    run.open.pop(id, None)
    run.finish()
    return ok, value, text, time.time() - start, out.take() if isinstance(out, _events.Lines) else None


def _out(home):
    if home not in _files:
        _files[home] = _events.open_home(home)
    return _files[home] or _events.Lines()


def _sendable(error):
    """The exception, or one that says the same if it does not survive pickling."""
    import pickle

    try:
        copy = pickle.loads(pickle.dumps(error))
        if type(copy) is type(error):
            error.__traceback__ = None
            return error
    except Exception:
        pass
    from ._error import message_of, type_name
    from ._future import TaskFailed

    return TaskFailed("%s: %s" % (type_name(error), message_of(error)))
