"""Printed lines belong to the task that prints them. sys.stdout and sys.stderr are
replaced while a flow runs; print(file=…) and everything outside of tasks are untouched."""

import sys
import threading

from ._node import current

_lock = threading.Lock()
_depth = 0
_handlers = []  # (handler of logging, its stream)


class Stream:
    """Passes text on, and reports each whole line of it as one of the task's."""

    def __init__(self, stream, name):
        self._stream = stream
        self._name = name

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        node = current.get()
        if node is None or not isinstance(text, str):
            return self._stream.write(text)
        run = node.run
        if run.console is not None:
            run.console.write(self._stream, text)
            return len(text)
        self._stream.write(text)
        if run.out is None:
            return len(text)
        rest = ""
        if node.text is not None:
            rest = node.text.get(self._name, "")
        if "\n" not in text and len(rest) < 65536:
            if node.text is None:
                node.text = {}
            node.text[self._name] = rest + text
            return len(text)
        lines = (rest + text).split("\n")
        if node.text is not None or lines[-1]:
            if node.text is None:
                node.text = {}
            node.text[self._name] = lines[-1]
        for line in lines[:-1]:
            run.log(node, line.rstrip("\r"), self._name)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)


def install():
    global _depth
    with _lock:
        _depth += 1
        if _depth > 1:
            return
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, Stream):
                setattr(sys, name, Stream(stream, "out" if name == "stdout" else "err"))
        _redirect_logging()


def remove():
    global _depth
    with _lock:
        _depth -= 1
        if _depth:
            return
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, Stream):
                setattr(sys, name, stream._stream)
        while _handlers:
            handler, stream = _handlers.pop()
            handler.stream = stream


def _redirect_logging():
    """Handlers that were set up before the flow hold the streams themselves."""
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "root"):
        return
    for handler in logging.root.handlers:
        for proxy in (sys.stdout, sys.stderr):
            if isinstance(proxy, Stream) and getattr(handler, "stream", None) is proxy._stream:
                _handlers.append((handler, handler.stream))
                handler.stream = proxy
