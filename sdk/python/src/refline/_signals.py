"""The end by SIGTERM: open tasks are closed at once, then the process ends with 143."""

import atexit
import os
import sys

try:
    import _signal as signal
except ImportError:
    import signal

GRACE = 3  # seconds for the code around the flow to clean up
EXIT = 143

_terminated = False
_registered = False


class Guard:
    """Handles SIGTERM while a top-level flow runs in the main thread, unless the program
    handles it itself."""

    def __init__(self, run):
        global _registered
        self.run = run
        self.set = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        if self.set:
            signal.signal(signal.SIGTERM, self.end)
        if not _registered:
            _registered = True
            atexit.register(_leave)

    def close(self):
        if self.set and not _terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def end(self, _signum, _frame):
        global _terminated
        if os.getpid() != self.run.pid:  # forked from the process of the flow
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if _terminated:
            os._exit(EXIT)
        _terminated = True
        executors = {id(n.executor): n.executor for n in list(self.run.open.values())}
        self.run.cancel_open("ended by SIGTERM")
        self.run.finish()
        for executor in executors.values():
            _end_workers(executor)
        import threading

        watch = threading.Timer(GRACE, os._exit, (EXIT,))
        watch.daemon = True
        watch.start()
        raise SystemExit(EXIT)


def _end_workers(executor):
    """Ends the workers of a process pool, whose end would be waited for."""
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        try:
            process.terminate()
        except Exception:  # it has ended
            pass


def _leave():
    """Runs as the last thing at exit after SIGTERM: threads that are still printing
    could otherwise end the interpreter with an error."""
    if _terminated:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        os._exit(EXIT)
