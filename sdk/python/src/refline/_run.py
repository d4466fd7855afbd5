"""One run of a top-level flow in this process: what is open, and where its states go."""

import os
import threading
import time

from . import _events
from ._node import Node

MOST_LINES = 10_000  # tasks with lines of their own; further ones are counted
COUNT_PACE = 0.5  # seconds between lines of counts

OPEN = ("queued", "running", "retrying")

_numbers = 0  # top-level flows of this process, outside of Refline


class Run:
    """Reports the states of its tasks to the events file, or to the console outside of
    a job, or keeps the lines for the process that submitted the work."""

    def __init__(self, out=None, console=None):
        self.pid = os.getpid()
        self.out = out
        self.console = console
        self.open = {}  # id → node, those that have not ended
        self.tasks = 0
        self.counts = {}  # (parent, name) → state → number
        self.unsent = set()  # keys of counts with lines to write
        self.counted_at = 0.0
        self.lock = threading.RLock()  # the handler of SIGTERM may interrupt its holder
        self.submitted = False  # there may be futures among arguments
        self.token = ""  # tells runs apart in workers that outlive one
        self.results = None  # kept results, when Refline asks for them
        self.ended = False
        self.worker = ""

    # States

    def add(self, node):
        """Takes a new flow or task into the run."""
        self.open[node.id] = node
        if node.kind == "task":
            self.tasks += 1
            node.quiet = node.quiet or self.tasks > MOST_LINES

    def state(self, node, state, extra=""):
        if state in OPEN:
            if node.id not in self.open:
                return  # closed by a signal, or given up
        elif self.open.pop(node.id, None) is None:
            return
        self._count(node, state)
        if self.out is not None:
            if not node.quiet or state == "failed":
                self.out.write(_events.state_line(node, state, extra))
            if self.unsent:
                self._write_counts(False)
        if self.console is not None:
            self.console.state(node, state)

    def running(self, node, attempt):
        node.attempt = attempt
        node.started = time.time()
        if self.out is None or node.quiet:
            self.state(node, "running")
            return
        if not self.worker:
            self.worker = _events.quote(_events.worker_name())
        self.state(node, "running", ',"attempt":%d,"worker":%s' % (attempt, self.worker))

    def success(self, node, seconds=None):
        if node.text is not None:
            self.flush(node)
        if seconds is None:
            seconds = time.time() - node.started
        self.state(node, "success", ',"s":%.6g,"attempt":%d' % (seconds, node.attempt))

    def stopped(self, node, state, error=None, reason="", delay=None, seconds=None):
        """An attempt, or a task that was not run, ended without success."""
        if node.text is not None:
            self.flush(node)
        extra = ""
        if node.started:
            if seconds is None:
                seconds = time.time() - node.started
            extra = ',"s":%.6g,"attempt":%d' % (seconds, node.attempt)
        if delay is not None:
            extra += ',"delay":%s' % _events.number(delay)
        if reason:
            extra += ',"reason":%s' % _events.quote(reason)
        if error is not None and (self.out is not None or self.console is not None):
            from ._error import describe

            kind, message, text = describe(error)
            if self.out is not None:
                extra += ',"error":{"type":%s,"message":%s,"traceback":%s}' % (
                    _events.quote(kind), _events.quote(message), _events.quote(text))
            if self.console is not None:
                self.console.error(node, kind, message)
        self.state(node, state, extra)

    # Counts

    def _count(self, node, state):
        before, node.state = node.state, state
        if node.kind != "task":
            return
        key = (node.id.rpartition(".")[0], node.name)
        with self.lock:
            counts = self.counts.get(key)
            if counts is None:
                counts = self.counts[key] = {}
            if before:
                counts[before] -= 1
            else:
                counts["total"] = counts.get("total", 0) + 1
            counts[state] = counts.get(state, 0) + 1
            if node.quiet:
                self.unsent.add(key)

    def _write_counts(self, now):
        if not now and time.monotonic() - self.counted_at < COUNT_PACE:
            return
        self.counted_at = time.monotonic()
        with self.lock:
            lines = [self._counts_line(*key) for key in self.unsent]
            self.unsent.clear()
        for line in lines:
            self.out.write(line)

    def _counts_line(self, parent, name):
        numbers = "".join([',"%s":%d' % (state, n) for state, n in self.counts[parent, name].items() if n])
        return '{"type":"tasks","parent":"%s","name":%s%s}' % (parent, _events.quote(name), numbers)

    # Lines of other kinds

    def log(self, node, text, stream="out", level="info"):
        if self.out is not None:
            self.out.log('{"type":"log","id":"%s","t":%.3f,"text":%s,"stream":"%s","level":%s}' % (
                node.id, time.time(), _events.quote(_events.clip(text, _events.MOST_TEXT)), stream, _events.quote(level)))

    def flush(self, node):
        """Writes printed text that has no line break yet."""
        for stream, text in node.text.items():
            if text:
                self.log(node, text, stream)
        node.text = None

    def report(self, node, kind, fields):
        """Writes progress, a table, text or a link of a task; fields is JSON."""
        line = '{"type":"%s","id":"%s","t":%.3f%s}' % (kind, node.id, time.time(), fields)
        if len(line) > _events.MOST_EVENT:
            raise ValueError("%s of %s: %d bytes are too many (at most %d); write a file and use artifact()"
                             % (kind, node.name, len(line), _events.MOST_EVENT))
        if self.out is not None:
            self.out.write(line)

    def progress(self, node, value, total, fields):
        """Reports progress, at most ten times a second and at its end."""
        now = time.monotonic()
        if now - node.reported < 0.1 and value != total:
            return
        node.reported = now
        self.report(node, "progress", fields)
        if self.console is not None:
            self.console.progress(node, value, total)

    def replay(self, lines):
        """Takes lines that a worker elsewhere could not write itself."""
        for line in lines:
            if self.out is not None:
                self.out.write(line)
            elif self.console is not None:
                self.console.replay(line)

    # The end

    def cancel_open(self, reason):
        """Closes what has not ended, innermost first."""
        for node in sorted(self.open.values(), key=lambda n: n.id.count("."), reverse=True):
            if self.open.get(node.id) is not None:
                self.stopped(node, "canceled", reason=reason)

    def finish(self):
        """Writes what is left when the top-level flow has ended."""
        if self.ended:
            return
        self.ended = True
        if self.out is not None:
            if self.unsent:
                self._write_counts(True)
            if self.out.dropped:
                self.out.write('{"type":"log","id":"1","t":%.3f,"text":"%d further printed lines are only in the log of the job","stream":"err","level":"warning"}'
                               % (time.time(), self.out.dropped))
        if self.console is not None:
            self.console.finish()
        if self.results is not None:
            self.results.close()


_file = None  # the events file of this process


def start():
    """A new run, by where this process is: in a job of Refline or on its own."""
    global _file
    path = os.environ.get("REFLINE_EVENTS")
    if not path:
        from ._console import Console

        return Run(console=Console())
    if _file is None or _file.path != path:
        _file = _events.EventFile(path)
    run = Run(out=_file)
    folder = os.environ.get("REFLINE_RESULTS")
    if folder:
        from ._results import Results

        run.results = Results(folder)
    return run


def root(run, name):
    """The node of a top-level flow. Its number is unique in the job, in which several
    processes may run flows."""
    return Node(_claim(run), name, "flow", run, None)


def _claim(run):
    global _numbers
    while run.out is not None:
        _numbers += 1
        try:
            fd = os.open("%s.%d" % (_file.path, _numbers), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            continue
        except OSError:  # a folder that is read-only: unique at least here
            return "%d" % _numbers if os.getpid() == run.pid else "%dp%d" % (_numbers, os.getpid())
        os.close(fd)
        return "%d" % _numbers
    _numbers += 1
    return "%d" % _numbers


def _after_fork():
    if _file is not None:
        _file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
