"""A pool of daemon threads. It does not import concurrent.futures, and the end of the
process does not wait for it."""

import os
import threading
from collections import deque


class Pool:
    """Runs future.run_here() of what is put in. A thread that waits inside a task does
    not count: as many as size can always work, so waiting cannot block the pool."""

    def __init__(self, size):
        self.size = size
        self.lock = threading.Lock()
        self.threads = 0
        self.waiting = 0  # threads that wait inside a task
        self.idle = []  # [lock, future] of each idle thread
        self.backlog = deque()

    def put(self, future):
        with self.lock:
            if self.idle:
                slot = self.idle.pop()
                slot[1] = future
                slot[0].release()
                return
            if self.threads >= self.size + self.waiting:
                self.backlog.append(future)
                return
            self.threads += 1
        self._start(future)

    def _start(self, future):
        threading.Thread(target=self._work, args=(future,), name="refline", daemon=True).start()

    def _work(self, future):
        lend(self)
        while future is not None:
            future.run_here()
            future = self._next()

    def _next(self):
        with self.lock:
            if self.threads > self.size + self.waiting:
                self.threads -= 1
                return None
            if self.backlog:
                return self.backlog.popleft()
            slot = [threading.Lock(), None]
            slot[0].acquire()
            self.idle.append(slot)
        slot[0].acquire()
        return slot[1]

    def block(self):
        """A thread of the pool is about to wait: another one may work."""
        with self.lock:
            self.waiting += 1
            if not self.backlog or self.threads >= self.size + self.waiting:
                return
            self.threads += 1
            future = self.backlog.popleft()
        self._start(future)

    def unblock(self):
        with self.lock:
            self.waiting -= 1


_pools = {}
_local = threading.local()


def pool_of_thread():
    """The pool that this thread works for, else None."""
    return getattr(_local, "pool", None)


def lend(pool):
    """Marks this thread as one that works for a pool."""
    _local.pool = pool


def pool(size=None):
    """The pool of this process with so many threads."""
    if size is None:
        size = min(32, (os.cpu_count() or 1) + 4)
    found = _pools.get(size)
    if found is None:
        found = _pools.setdefault(size, Pool(size))
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)
