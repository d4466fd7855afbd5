"""Flows and tasks in plain Python.

`@task` makes a function a task, `@flow` one that calls tasks. Inside a job of Refline
each task is reported to the file $REFLINE_EVENTS; outside, a flow prints a tree of its
tasks. A task that is called outside of a flow is a plain function call.

The package imports little at import time: what a flow does not use, it does not pay for.
"""

from ._flow import Flow, flow
from ._future import DependencyFailed, Future, Futures, TaskFailed, unmapped
from ._report import artifact, link, log, markdown, progress, table
from ._task import Task, task
from ._version import __version__

__all__ = [
    "DependencyFailed",
    "Flow",
    "Future",
    "Futures",
    "Task",
    "TaskFailed",
    "artifact",
    "flow",
    "link",
    "log",
    "markdown",
    "progress",
    "table",
    "task",
    "unmapped",
    "__version__",
]
