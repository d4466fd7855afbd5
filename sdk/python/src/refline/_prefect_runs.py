"""Flow runs and task runs of Prefect as flows and tasks of the job."""

import re
import threading
import time
from datetime import datetime

from . import _events, _run
from ._node import Node

MOST_KEPT = 20_000  # runs that have ended and are remembered
ERROR_WAIT = 1.0  # seconds until the traceback of a failure, which comes as a log, is given up

EARLY_WAIT = 5.0
MOST_EARLY = 1000  # runs with lines before their first state
# Lines that the states say already.
KNOWN = ("Finished in state ", "Beginning flow run ", "Beginning subflow run ", "Created task run ", "Created subflow run ", "Submitted task run ",
         "Executing '", "Encountered exception during execution:")

LEVELS = ((40, "error"), (30, "warning"), (20, "info"), (0, "debug"))


class Seen:
    """A flow run or a task run."""

    __slots__ = ("name", "kind", "parent", "node", "tags", "inputs", "began", "traceback", "ended", "due", "last")

    def __init__(self, name, kind, parent):
        self.name = name
        self.kind = kind
        self.parent = parent  # the run that it is a part of, None for the top
        self.node = None  # with its first state
        self.tags = ()
        self.inputs = ()  # ids of runs whose results it takes
        self.began = 0.0
        self.traceback = ""
        self.ended = False
        self.due = None  # what to report when its traceback is there
        self.last = ""


class Runs:
    def __init__(self):
        self.run = _run.start()
        self.lock = threading.RLock()
        self.seen = {}  # id of Prefect → Seen
        self.waiting = {}  # those with due
        self.early = {}  # id of a run without a state yet → until when, its lines
        self.closed = False

    def add(self, key, name, kind, parent, tags=(), inputs=()):
        """Takes a run; it is shown with its first state."""
        with self.lock:
            seen = self.seen.get(key)
            if seen is None:
                seen = self.seen[key] = Seen(name, kind, self.seen.get(parent))
                self._forget()
            if tags:
                seen.tags = tuple(sorted(str(t) for t in tags))[:50]
            if inputs:
                seen.inputs = tuple(inputs)[:100]
            return seen

    def fold(self, key, placeholder):
        """The flow run key is the one that a task run of the flow around it represents."""
        with self.lock:
            task = self.seen.get(placeholder)
            flow = self.seen[key]
            if task is None or task is flow:
                return
            if task.node is None:
                flow.parent = task.parent
                flow.inputs = flow.inputs or task.inputs
                self.seen[placeholder] = flow

    def folded(self, key):
        """Whether a task run only represents a flow run."""
        seen = self.seen.get(key)
        return seen is not None and seen.kind == "flow"

    def _node(self, seen):
        if seen.node is not None:
            return seen.node
        parent = self._node(seen.parent) if seen.parent is not None else None
        if parent is None:
            seen.node = _run.root(self.run, seen.name)
            seen.node.kind = seen.kind
        else:
            seen.node = Node(parent.child_id(), seen.name, seen.kind, self.run, parent)
        seen.node.tags = seen.tags
        after = []
        for key in seen.inputs:
            other = self.seen.get(key)
            if other is not None and other is not seen and other.node is not None and other.node.id not in after:
                after.append(other.node.id)
        seen.node.after = tuple(after)
        self.run.add(seen.node)
        return seen.node

    def state(self, key, state, count=0):
        """A run is in a state: a dict as Prefect sends it."""
        with self.lock:
            seen = self.seen.get(key)
            if seen is None or self.closed:
                return
            self.flush_due(seen)
            kind, name = state.get("type"), state.get("name") or ""
            message = str(state.get("message") or "")
            when = seconds_of(state.get("timestamp"))
            if seen.ended:
                if kind not in ("RUNNING", "SCHEDULED", "PENDING"):
                    return
                self._again(seen)
            node = self._node(seen)
            if count:
                node.attempt = count
            if kind == "PENDING" or kind == "SCHEDULED" and name != "AwaitingRetry":
                if not seen.last:
                    self._report(seen, "queued")
            elif kind == "SCHEDULED":
                begins = seconds_of((state.get("state_details") or {}).get("scheduled_time"))
                self._stopped(seen, "retrying", when, delay=max(begins - when, 0.0))
            elif kind == "RUNNING":
                if seen.last == "running" and name == "Retrying":  # at once
                    node.attempt -= 1 if count > 1 else 0
                    self._stopped(seen, "retrying", when, delay=0.0)
                if seen.last != "running":
                    self._running(seen, count or node.attempt + (seen.last == "retrying"), when)
            elif kind == "COMPLETED":
                self._completed(seen, name, when)
            elif kind in ("FAILED", "CRASHED"):
                reason = {"TimedOut": "timeout"}.get(name, "crashed" if kind == "CRASHED" else "")
                self._failed(seen, when, message, reason)
            elif kind == "CANCELLED":
                self._stopped(seen, "canceled", when, reason=message)
            if key in self.early:
                self._early_lines(key)

    def _again(self, seen):
        """A run that ended starts once more: a flow that is retried runs its tasks again."""
        seen.node, seen.ended, seen.last, seen.traceback, seen.began = None, False, "", "", 0.0

    def _report(self, seen, state):
        seen.last = state
        self.run.state(seen.node, state)

    def _running(self, seen, attempt, when):
        seen.began = when
        seen.last = "running"
        self.run.running(seen.node, attempt)

    def _seconds(self, seen, when):
        return max(when - seen.began, 0.0) if seen.began else None

    def _completed(self, seen, name, when):
        seen.ended = True
        state = {"Cached": "cached", "Skipped": "skipped"}.get(name)
        if state:
            self._stopped(seen, state, when)
            return
        if not seen.began:
            seen.node.started = time.time()
        seen.last = "success"
        self.run.success(seen.node, self._seconds(seen, when))

    def _stopped(self, seen, state, when, **more):
        seen.ended = state != "retrying"
        seen.last = state
        self.run.stopped(seen.node, state, seconds=self._seconds(seen, when), **more)

    def _failed(self, seen, when, message, reason):
        seen.ended = True
        seen.last = "failed"
        seen.due = (time.monotonic() + ERROR_WAIT, message, reason, self._seconds(seen, when))
        if seen.traceback or reason:
            self.flush_due(seen)
        else:
            self.waiting[id(seen)] = seen
        if reason == "crashed" and seen.kind == "flow":
            # Prefect ends the process by SIGTERM next, and what is on the way is lost.
            for other in list(self.seen.values()):
                if other.node is not None and not other.ended and other.node.id.startswith(seen.node.id + "."):
                    self._stopped(other, "canceled", when, reason="the flow ended")

    def flush_due(self, seen):
        if seen.due is None:
            return
        _, message, reason, seconds = seen.due
        seen.due = None
        self.waiting.pop(id(seen), None)
        if not seen.node.started:
            seen.node.started = 1e-9
        self.run.stopped(seen.node, "failed", reported(message, seen.traceback), reason=reason, seconds=seconds or 0.0)

    def overdue(self, all=False):
        """Reports failures whose traceback did not come, and lines whose run did not."""
        with self.lock:
            now = time.monotonic()
            for key, (until, _) in list(self.early.items()):
                if all or until <= now:
                    self._early_lines(key)
            for seen in list(self.waiting.values()):
                if all or seen.due[0] <= now:
                    self.flush_due(seen)

    def log(self, key, level, text, around=None):
        """A line of a run's log. That of a failure has its traceback. If the run's state
        is still on the way, the line waits for it, and is one of the run around it if it
        does not come."""
        with self.lock:
            if self.closed:
                return
            seen = self.seen.get(key)
            if around is not None and (seen is None or seen.node is None):
                if key in self.early or len(self.early) < MOST_EARLY:
                    _, lines = self.early.setdefault(key, (time.monotonic() + EARLY_WAIT, []))
                    if len(lines) < 1000:
                        lines.append((level, text, around))
                        return
                seen = self.seen.get(around)
            if seen is None:
                return
            at = text.find("Traceback (most recent call last)")
            if at >= 0 and level >= 40:
                seen.traceback = without_prefect(text[at:])
                text = text[:at].rstrip()
                if seen.due is not None:
                    self.flush_due(seen)
            if text and not text.startswith(KNOWN):
                word = next(word for least, word in LEVELS if level >= least)
                self.run.log(self._node(seen), text, "out", word)

    def _early_lines(self, key):
        """Writes the lines that waited for a run."""
        seen = self.seen.get(key)
        for level, text, around in self.early.pop(key)[1]:
            self.log(key if seen is not None and seen.node is not None else around, level, text)

    def report(self, key, kind, fields):
        """Progress, a table, text or a link of a run, or of none that is known."""
        with self.lock:
            seen = self.seen.get(key)
            if seen is not None and not self.closed:
                self.run.report(self._node(seen), kind, fields)

    def _forget(self):
        if len(self.seen) <= MOST_KEPT or len(self.seen) % 1000:
            return
        over = len(self.seen) - MOST_KEPT
        ended = [k for k, s in self.seen.items() if s.ended and s.due is None and s.kind == "task"]
        for key in ended[:over]:
            del self.seen[key]

    def close(self):
        with self.lock:
            self.overdue(all=True)
            self.closed = True
            self.run.cancel_open("the process ended")
            self.run.finish()


def seconds_of(text):
    """Unix time of an ISO time, that of now without one."""
    if not isinstance(text, str):
        return time.time()
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    if text.endswith("Z"):
        text = text[:-1] + "+00:00"
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return time.time()


def reported(message, traceback):
    """The exception that a state's message and a traceback are about."""
    m = re.search(r"encountered an exception[:.]? ([A-Za-z_][\w.]*)(?:: (.*)|$|\(\))", message, re.S)
    kind, text = (m.group(1), m.group(2) or "") if m else ("", message)
    last = traceback.strip().rpartition("\n")[2]
    if re.match(r"[A-Za-z_][\w.]*(:|$)", last):
        kind = last.partition(":")[0]
    return failure(kind, text, traceback)


def failure(kind, message, traceback):
    """An exception as one of another place: what is shown of it is the same."""
    kind = kind or "Failed"
    error = type(kind, (Exception,), {"__module__": "builtins", "__qualname__": kind})(message)
    error.__refline_traceback__ = traceback or "%s: %s\n" % (kind, _events.clip(message, _events.MOST_MESSAGE))
    return error


def without_prefect(text):
    """A traceback without the frames of Prefect's own engine."""
    out, skip = [], False
    for line in text.split("\n"):
        if line.startswith('  File "'):
            skip = bool(re.search(r'[/\\]site-packages[/\\]prefect[/\\]|^  File "<frozen', line))
        elif not line.startswith("    "):
            skip = False
        if not skip:
            out.append(line)
    return "\n".join(out)
