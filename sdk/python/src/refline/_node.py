"""A node is one running flow or task; the context variable says which one runs here."""

import os
from contextvars import ContextVar
from itertools import count

current = ContextVar("refline_node", default=None)


class Node:
    """A flow or task of a run. Its id is its parent's with a number of its own: the
    submitter gives it, so ids are unique over processes."""

    __slots__ = (
        "id", "name", "kind", "run", "parent", "executor", "keep", "children", "numbers",
        "pid", "helps", "quiet", "opened", "started", "attempt", "tags", "index", "of",
        "after", "text", "state", "reported",
    )

    def __init__(self, id, name, kind, run, parent):
        self.id = id
        self.name = name
        self.kind = kind
        self.run = run
        self.parent = parent
        self.executor = parent.executor if parent is not None else None
        self.keep = parent.keep if parent is not None else None
        self.children = None  # futures submitted by this node, made with the first
        self.numbers = count(1)  # of children
        self.pid = run.pid
        self.helps = False  # on a thread of a pool: waiting may run other tasks
        self.quiet = False  # counted only
        self.opened = False
        self.started = 0.0
        self.attempt = 1
        self.tags = ()
        self.index = None
        self.of = None
        self.after = ()
        self.text = None  # unfinished printed lines, by stream
        self.state = ""
        self.reported = 0.0  # when progress was

    def child_id(self):
        number = next(self.numbers)
        pid = os.getpid()
        if pid != self.pid:  # forked by the user: its numbers are another process's too
            return "%s.%dp%d" % (self.id, number, pid)
        return "%s.%d" % (self.id, number)
