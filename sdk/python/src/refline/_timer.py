"""Calls functions later, from one daemon thread that is started with the first."""

import heapq
import os
import threading
import time
from itertools import count

_lock = threading.Condition(threading.Lock())
_heap = []
_order = count()
_thread = None


def later(seconds, fn):
    global _thread
    with _lock:
        heapq.heappush(_heap, (time.monotonic() + seconds, next(_order), fn))
        if _thread is None:
            _thread = threading.Thread(target=_work, name="refline-timer", daemon=True)
            _thread.start()
        _lock.notify()


def _work():
    while True:
        with _lock:
            while not _heap or _heap[0][0] > time.monotonic():
                _lock.wait(_heap[0][0] - time.monotonic() if _heap else None)
            fn = heapq.heappop(_heap)[2]
        fn()


def _after_fork():
    global _lock, _thread
    _lock = threading.Condition(threading.Lock())
    _heap.clear()
    _thread = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
