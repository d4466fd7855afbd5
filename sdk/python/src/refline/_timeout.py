"""Ends a call after a time.

In the main thread, also that of a process worker, SIGALRM interrupts the call exactly,
in a sleep or a subprocess too. Elsewhere nothing can end a blocking call: it goes on in
a thread of its own, the task fails on time, and the message says so.
"""

import contextvars
import threading
import time

from . import _pool

try:
    import _signal as signal
except ImportError:
    import signal


class Expired(BaseException):
    """Interrupts a call; a BaseException, so that "except Exception" does not keep it."""

    def __init__(self, deadline):
        self.deadline = deadline


class _Deadline:
    __slots__ = ("at",)

    def __init__(self, seconds):
        self.at = time.monotonic() + seconds


_deadlines = []  # of the main thread, outermost first
_before = None  # the handler that was there


def call(seconds, what, fn, args, kwargs):
    """fn(*args, **kwargs), or TimeoutError after so many seconds."""
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        return _by_alarm(seconds, what, fn, args, kwargs)
    return _in_thread(seconds, what, fn, args, kwargs)


def message(what, seconds):
    return "%s: not done after its timeout of %g s" % (what, seconds)


def _by_alarm(seconds, what, fn, args, kwargs):
    global _before
    deadline = _Deadline(seconds)
    if not _deadlines:
        _before = signal.signal(signal.SIGALRM, _on_alarm)
    _deadlines.append(deadline)
    try:
        try:
            _arm()
            return fn(*args, **kwargs)
        finally:
            _deadlines.remove(deadline)
            _arm()
            if not _deadlines:
                signal.signal(signal.SIGALRM, _before if _before is not None else signal.SIG_DFL)
    except Expired as e:
        if e.deadline is not deadline:
            raise
        expired = e
    raise TimeoutError(message(what, seconds)).with_traceback(expired.__traceback__)


def _arm():
    if not _deadlines:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return
    left = min(d.at for d in _deadlines) - time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))


def _on_alarm(_signum, _frame):
    now = time.monotonic()
    for deadline in list(_deadlines):
        if deadline.at <= now + 1e-4:
            signal.setitimer(signal.ITIMER_REAL, 0.05)  # again, if something swallows this one
            raise Expired(deadline)
    _arm()


def _in_thread(seconds, what, fn, args, kwargs):
    done = threading.Lock()
    done.acquire()
    outcome = []
    context = contextvars.copy_context()
    pool = _pool.pool_of_thread()

    def work():
        _pool.lend(pool)
        try:
            try:
                outcome.append((True, context.run(fn, *args, **kwargs)))
            except BaseException as e:
                outcome.append((False, e))
            finally:
                done.release()
        except Expired:  # it came when the call had returned
            pass

    thread = threading.Thread(target=work, name="refline-timeout", daemon=True)
    thread.start()
    if not done.acquire(timeout=seconds):
        _interrupt(thread.ident)
        # Python code ends now, a blocking call when it returns.
        if not done.acquire(timeout=0.05):
            raise TimeoutError(message(what, seconds) + "; the call itself cannot be ended and goes on in its thread")
        raise TimeoutError(message(what, seconds))
    ok, value = outcome[0]
    if ok:
        return value
    raise value


def _interrupt(ident):
    try:
        import ctypes

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(_ThreadExpired))
    except Exception:
        return  # an interpreter without it: the thread is left alone


class _ThreadExpired(Expired):
    def __init__(self):
        super().__init__(None)
