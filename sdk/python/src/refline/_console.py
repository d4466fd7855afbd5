"""What a flow shows outside of Refline, on stderr: on a terminal a tree that is live, in
a pipe a line for each task that ends."""

import os
import sys
import threading
import time

PACE = 0.1  # seconds between repaints
MARKS = {"queued": "·", "running": "…", "retrying": "↻", "success": "✓", "failed": "✗", "canceled": "–",
         "skipped": "–", "cached": "✓", "kept": "✓"}
PLAIN_MARKS = {"queued": ".", "running": ".", "retrying": "~", "success": "ok", "failed": "x", "canceled": "-",
               "skipped": "-", "cached": "ok", "kept": "ok"}
COLORS = {"success": "32", "cached": "32", "kept": "32", "failed": "31", "retrying": "33", "running": "36"}
ORDER = ("success", "cached", "kept", "running", "retrying", "queued", "failed", "skipped", "canceled")


class Group:
    """The tasks with one name under one parent: a line of the tree."""

    def __init__(self, name):
        self.name = name
        self.groups = {}
        self.states = {}
        self.total = 0
        self.first = None
        self.last = None
        self.error = ""
        self.progress = ""

    def active(self):
        return any(self.states.get(s) for s in ("running", "retrying", "queued"))


class Console:
    def __init__(self):
        self.stream = getattr(sys.stderr, "_stream", sys.stderr)
        self.live = bool(self.stream and self.stream.isatty() and os.environ.get("TERM") != "dumb")
        self.color = self.live and not os.environ.get("NO_COLOR")
        self.lock = threading.RLock()  # the handler of SIGTERM may interrupt its holder
        self.root = Group("")
        self.placed = {}  # id → its group
        self.states = {}  # id → state
        self.errors = {}  # id → text
        self.painted = 0  # lines of the tree that are on the terminal
        self.dirty = False
        self.column = 0  # of what the program printed last
        self.closed = False
        self.marks = MARKS
        try:
            "✓".encode(self.stream.encoding or "ascii")
        except (UnicodeError, AttributeError):
            self.marks = PLAIN_MARKS
        if self.live:
            threading.Thread(target=self._paint_often, name="refline-console", daemon=True).start()

    # What happens

    def state(self, node, state):
        self._state(node.id, node.name, node.kind, state, node.index, time.time() - node.started if node.started else None)

    def error(self, node, kind, message):
        self.errors[node.id] = "%s: %s" % (kind, message) if message else kind

    def progress(self, node, value, total):
        group = self.placed.get(node.id)
        if group is not None:
            group.progress = "%.0f %%" % (100 * value / total) if total else "%g" % value
            self.dirty = True

    def replay(self, line):
        """An event of a worker."""
        import json

        event = json.loads(line)
        if event.get("type") == "task":
            if event.get("error"):
                self.errors[event["id"]] = "%s: %s" % (event["error"]["type"], event["error"]["message"])
            self._state(event["id"], event.get("name"), event.get("kind", "task"), event["state"], event.get("index"), event.get("s"))

    def _state(self, id, name, kind, state, index, seconds):
        with self.lock:
            group = self.placed.get(id)
            if group is None:
                above = self.placed.get(id.rpartition(".")[0], self.root)
                group = above.groups.setdefault(name, Group(name))
                self.placed[id] = group
                group.total += 1
            before = self.states.get(id)
            if before is not None:
                group.states[before] -= 1
            self.states[id] = state
            group.states[state] = group.states.get(state, 0) + 1
            now = time.time()
            if state == "running" and group.first is None:
                group.first = now
            group.last = now
            error = self.errors.pop(id, "")
            if state in ("failed", "retrying") and error:
                group.error = error
            if state not in ("queued", "running") and kind is not None:
                group.progress = ""
                if not self.live:
                    self._end_line(id, group, kind, state, index, seconds, error)
            self.dirty = True

    # In a pipe

    def _end_line(self, id, group, kind, state, index, seconds, error):
        if self.stream is None:
            return
        name = group.name if index is None else "%s[%d]" % (group.name, index)
        words = ["  " * id.count(".") + self.marks[state], name]
        if seconds is not None:
            words.append(_seconds(seconds))
        if state not in ("success", "failed"):
            words.append(state)
        if error:
            words.append(_one_line(error))
        self._put(" ".join(words) + "\n")

    def _put(self, text):
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # closed, or nobody reads
            self.stream = None
            self.live = False

    # On a terminal

    def write(self, stream, text):
        """What the program prints: above the tree."""
        if not self.live or not stream.isatty():
            stream.write(text)
            return
        with self.lock:
            self._erase()
            stream.write(text)
            stream.flush()
            end = text.rpartition("\n")
            self.column = len(end[2]) + (0 if end[1] else self.column)
            self.dirty = True

    def _erase(self):
        if self.painted:
            self._put("\x1b[%dA\r\x1b[J" % self.painted)
            self.painted = 0

    def _paint_often(self):
        while not self.closed and self.live:
            time.sleep(PACE)
            with self.lock:
                if not self.closed and self.live and not self.column:
                    self._paint()

    def _paint(self):
        try:
            size = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError):
            size = os.terminal_size((80, 24))
        rows = self._rows()
        room = max(size.lines - 2, 1)
        if len(rows) > room and not self.closed:
            working = [r for r in rows if r[2]]
            rows = (working or rows)[:room]
        lines = [self._line(row, size.columns) for row in rows]
        self._erase()
        self._put("".join(line + "\n" for line in lines))
        self.painted = len(lines)

    def _rows(self):
        rows = []

        def visit(group, depth):
            for g in list(group.groups.values()):
                rows.append((depth, g, g.active()))
                visit(g, depth + 1)

        visit(self.root, 0)
        return rows

    def _line(self, row, width):
        depth, group, _active = row
        words = []
        if group.total == 1:
            state = next((s for s in ORDER if group.states.get(s)), "queued")
            words = [self._mark(state), group.name]
        else:
            worst = next((s for s in ("failed", "running", "retrying", "queued", "canceled", "skipped") if group.states.get(s)), "success")
            words = [self._mark(worst), "%s ×%d " % (group.name, group.total)]
            words += ["%d %s" % (group.states[s], self._mark(s)) for s in ORDER if group.states.get(s)]
        if group.progress:
            words.append(group.progress)
        if group.first is not None:
            words.append(" " + _seconds((time.time() if group.active() else group.last) - group.first))
        if group.error and group.states.get("failed"):
            words.append(" " + _one_line(group.error))
        return _cut("  " * depth + " ".join(words), width - 1)

    def _mark(self, state):
        mark = self.marks[state]
        if self.color and state in COLORS:
            return "\x1b[%sm%s\x1b[0m" % (COLORS[state], mark)
        return mark

    def finish(self):
        with self.lock:
            if self.closed:
                return
            self.closed = True
            if self.live:
                if self.column:
                    self._put("\n")
                self._paint()


def _seconds(s):
    if s >= 3600:
        return "%d h %02d min" % (s // 3600, s % 3600 // 60)
    if s >= 60:
        return "%d min %02d s" % (s // 60, s % 60)
    return "%.1f s" % s if s >= 0.1 else "%.2g s" % max(s, 0.001)


def _one_line(text):
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= 200 else line[:199] + "…"


def _cut(line, width):
    """The line with at most so many visible characters."""
    if "\x1b" not in line:
        return line if len(line) <= width else line[: max(width - 1, 0)] + "…"
    out, seen, i = [], 0, 0
    while i < len(line):
        if line[i] == "\x1b":
            end = line.index("m", i) + 1
            out.append(line[i:end])
            i = end
            continue
        if seen == width - 1 and len(line) > i + 1:
            out.append("…\x1b[0m")
            break
        out.append(line[i])
        seen += 1
        i += 1
    return "".join(out)
