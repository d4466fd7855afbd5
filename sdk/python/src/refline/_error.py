"""What is said about an exception: its type, its message, and a traceback without the
frames of this package. Values of arguments are never in it."""

import os

from ._events import MOST_MESSAGE, MOST_TEXT, clip

_own = os.path.dirname(os.path.abspath(__file__)) + os.sep


class RemoteTraceback(Exception):
    """Carries the text of a traceback from another process."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return "\n" + self.text

    def __reduce__(self):
        return RemoteTraceback, (self.text,)


def type_name(error):
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return "%s.%s" % (kind.__module__, kind.__qualname__)


def message_of(error):
    try:
        return clip(str(error), MOST_MESSAGE)
    except Exception as e:
        return "<no message: str() of the exception raised %s>" % type(e).__name__


def describe(error):
    """The type, the message and the traceback as texts."""
    text = getattr(error, "__refline_traceback__", None)
    if text is None:
        text = traceback_of(error)
    return type_name(error), message_of(error), clip(text, MOST_TEXT)


def traceback_of(error):
    import traceback

    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__, limit=-200)
        _strip(traceback, whole, set())
        return "".join(whole.format())
    except Exception as e:  # a broken __str__ or __repr__ of the user's
        return "<no traceback: %s>" % type(e).__name__


def _strip(traceback, whole, seen):
    while whole is not None and id(whole) not in seen:
        seen.add(id(whole))
        whole.stack = traceback.StackSummary.from_list([f for f in whole.stack if not f.filename.startswith(_own)])
        _strip(traceback, whole.__cause__, seen)
        whole = whole.__context__


def drop_own_frames(error):
    """Removes the frames of this package from the traceback of an exception."""
    drop_frames(error, _own)


def drop_frames(error, folder):
    """Removes the frames of files below a folder from the traceback of an exception."""
    import types

    frames = []
    tb = error.__traceback__
    while tb is not None:
        if not tb.tb_frame.f_code.co_filename.startswith(folder):
            frames.append(tb)
        tb = tb.tb_next
    last = None
    for tb in reversed(frames):
        last = types.TracebackType(last, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    error.__traceback__ = last
