"""What a task says about itself. Outside of a flow only log() shows anything."""

import os
import sys

from ._events import number, quote
from ._node import current


def log(text, level="info"):
    """A line of the task's log; level is debug, info, warning or error."""
    node = current.get()
    text = str(text)
    if node is not None and node.run.out is not None:
        node.run.log(node, text, "out", str(level))
        stream = getattr(sys.stdout, "_stream", sys.stdout)
        stream.write(text + "\n")
        return
    print(text)


def progress(value, total=None):
    """How far the task is: progress(30, 120)."""
    node = current.get()
    if node is None:
        return
    fields = ',"step":%s,"current":%s' % (quote(node.name), number(value))
    if total is not None:
        fields += ',"total":%s' % number(total)
    node.run.progress(node, value, total, fields)


def table(rows, columns=None, title=""):
    """A table: a list of lists, a list of dicts, a dict of columns, or a data frame."""
    node = current.get()
    if node is None:
        return
    columns, rows = _table(rows, columns)
    body = ",".join(["[%s]" % ",".join([_cell(c) for c in row]) for row in rows])
    node.run.report(node, "table", ',"title":%s,"columns":[%s],"rows":[%s]' % (
        quote(str(title)), ",".join([quote(str(c)) for c in columns]), body))


def markdown(text):
    """Text in Markdown, shown with the task."""
    node = current.get()
    if node is not None:
        node.run.report(node, "markdown", ',"text":%s' % quote(str(text)))


def link(url, title=""):
    """A link, shown with the task."""
    node = current.get()
    if node is not None:
        node.run.report(node, "link", ',"url":%s,"title":%s' % (quote(str(url)), quote(str(title or url))))


def artifact(path):
    """A file or folder to keep with the run. It must be inside the project, where the job
    of Refline runs."""
    path = os.path.abspath(os.fspath(path))
    if not os.path.exists(path):
        raise FileNotFoundError("artifact(%r): there is no such file or folder" % path)
    node = current.get()
    if node is not None:
        node.run.report(node, "artifact", ',"path":%s' % quote(path))


def _table(rows, columns):
    if hasattr(rows, "columns") and hasattr(rows, "values"):  # a data frame
        names = [str(c) for c in rows.columns]
        values = rows.values
        rows = values.tolist() if hasattr(values, "tolist") else list(values)
        return columns or names, rows
    if isinstance(rows, dict):
        return columns or list(rows), list(zip(*rows.values()))
    rows = list(rows)
    if rows and isinstance(rows[0], dict):
        columns = columns or list(dict.fromkeys(k for row in rows for k in row))
        return columns, [[row.get(c) for c in columns] for row in rows]
    return columns or [], rows


def _cell(value):
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) in (int, float):
        text = number(value)
        if text != "null":
            return text
    return quote(str(value))
