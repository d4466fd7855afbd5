"""Writes event lines to $REFLINE_EVENTS: one os.write a line, opened to append, so that
lines of several processes do not mix. docs/events.md describes the lines."""

import os
import time

try:
    from _json import encode_basestring_ascii as quote
except ImportError:  # other interpreters
    from json import dumps as quote

MOST_MESSAGE = 2 << 10  # characters
MOST_TEXT = 16 << 10  # of a traceback and of a printed line
MOST_LOGS = 48 << 20  # bytes of the file, after which printed lines are only counted
MOST_EVENT = 900 << 10  # bytes of any other line; Refline drops lines over 1 MiB
CHECK_SIZE = 64 << 10


def clip(text, limit):
    if len(text) <= limit:
        return text
    head = limit // 4
    return "%s … %d characters left out … %s" % (text[:head], len(text) - limit, text[head - limit :])


def number(x):
    """A JSON number, or null for what JSON has no number for."""
    if x is None or x != x or x in (float("inf"), float("-inf")):
        return "null"
    return repr(x)


def boot_id():
    """What tells this computer, since it was started, from others."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as f:
            return f.read().strip()
    except OSError:
        return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


class EventFile:
    """The events file of a job."""

    def __init__(self, path):
        self.path = path
        self.fd = -1
        self.broken = False
        self.unchecked = 0  # bytes since the file's size was looked at
        self.full = False  # no more printed lines
        self.dropped = 0  # printed lines
        self.worker = ""

    def write(self, line):
        if self.broken:
            return
        data = line.encode("ascii", "backslashreplace") + b"\n"
        try:
            if self.fd < 0:
                self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
            done = os.write(self.fd, data)
            while done < len(data):  # the disk is nearly full
                done += os.write(self.fd, data[done:])
        except OSError as e:
            self.broken = True
            os.write(2, ("refline: %s: %s; the tasks of this run are not shown\n" % (self.path, e.strerror)).encode())
        self.unchecked += len(data)

    def log(self, line):
        if self.full or self._over():
            self.dropped += 1
            return
        self.write(line)

    def _over(self):
        if self.fd >= 0 and self.unchecked >= CHECK_SIZE:
            self.unchecked = 0
            self.full = os.fstat(self.fd).st_size > MOST_LOGS
        return self.full

    def after_fork(self):
        """The child opens the file itself."""
        self.fd, self.worker, self.dropped = -1, "", 0

    def home(self):
        """Names the file for processes that may be on other computers."""
        try:
            info = os.stat(self.path)
        except OSError:
            return None
        return (self.path, boot_id(), info.st_dev, info.st_ino)

    def close(self):
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


def open_home(home):
    """The file that home names if it is the same one here, else None."""
    if home is None:
        return None
    path, boot, dev, ino = home
    try:
        info = os.stat(path)
    except OSError:
        return None
    if (boot_id(), info.st_dev, info.st_ino) != (boot, dev, ino):
        return None
    return EventFile(path)


class Lines:
    """Keeps lines in memory: those of a worker that cannot reach the file."""

    dropped = 0
    worker = ""

    def __init__(self):
        self.lines = []
        self.size = 0

    def write(self, line):
        self.size += len(line)
        self.lines.append(line)

    def log(self, line):
        if self.size > 1 << 20:
            self.dropped += 1
        else:
            self.write(line)

    def take(self):
        lines, self.lines, self.size = self.lines, [], 0
        return lines

    def after_fork(self):
        self.lines = []

    def close(self):
        pass


def state_line(node, state, extra=""):
    """The line of a task's state; its first one also describes the task."""
    head = '{"type":"task","id":"%s","state":"%s","t":%.3f' % (node.id, state, time.time())
    if not node.opened:
        node.opened = True
        head += ',"name":%s,"kind":"%s"' % (quote(node.name), node.kind)
        if node.of is not None:
            head += ',"index":%d,"of":%d' % (node.index, node.of)
        if node.after:
            head += ',"after":[%s]' % ",".join(['"%s"' % i for i in node.after])
        if node.tags:
            head += ',"tags":[%s]' % ",".join([quote(str(t)) for t in node.tags])
    return head + extra + "}"


def worker_name():
    """host/pid"""
    host = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "?")
    return "%s/%d" % (host, os.getpid())
