"""Flows of Prefect 1 (`with Flow(...)`), run by the installed package: tasks are seen
through state handlers, which Prefect offers for this, in worker processes too."""

import json
import logging
import os
import re
import sys
import time

from . import _run
from ._error import message_of, traceback_of, type_name
from ._node import Node
from ._prefect_runs import failure, without_prefect

# Names of secrets in the source: they are taken from the job's variables.
SECRET = re.compile(rb"""(?:PrefectSecret|EnvVarSecret|Secret)\(\s*["']([A-Za-z_][A-Za-z0-9_-]*)["']""")


def wanted(path):
    """Whether a file defines a flow of Prefect 1, which is installed."""
    with open(path, "rb") as f:
        source = f.read(1 << 20)
    if b"prefect" not in source or b"Flow(" not in source:
        return False
    from ._prefect import version

    if version()[:1] != (1,):
        return False
    for name in SECRET.findall(source)[:1000]:
        name = name.decode()
        if name in os.environ:
            os.environ.setdefault("PREFECT__CONTEXT__SECRETS__" + name, os.environ[name])
    return True


def run(path, name, inputs, load, error):
    """Runs the flow name of a file, its first one without a name; True if it succeeds."""
    import prefect

    # As Prefect's own agents load files: register() and run() in them do nothing.
    with prefect.context(loading_flow=True):
        module = load(path)
    flows = {k: v for k, v in vars(module).items() if isinstance(v, prefect.Flow)}
    flow = next((v for k, v in flows.items() if name in ("", k, v.name)), None)
    if flow is None:
        raise error("%s has no flow %r; it has: %s" % (path, name, ", ".join(sorted(flows)) or "none"))
    known = {p.name: p for p in flow.parameters()}
    for key in inputs:
        if key not in known:
            raise error("%s has no parameter %r; it has: %s" % (flow.name, key, ", ".join(sorted(known)) or "none"))
    parameters = {k: value(text, known[k].default) for k, text in inputs.items()}
    if not os.environ.get("REFLINE_EVENTS"):
        return flow.run(parameters=parameters, run_on_schedule=False).is_successful()
    watch(flow)
    state = None
    try:
        state = flow.run(parameters=parameters, run_on_schedule=False)
    finally:
        ended(state)
    return state.is_successful()


def value(text, default):
    """Text if the default is one, else JSON, else text."""
    if isinstance(default, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


MOST_AFTER = 100
QUIET = ("Pending", "Scheduled", "Queued", "Submitted", "Mapped", "Looped", "Paused", "Resume")
OTHER = {"Skipped": "skipped", "TriggerFailed": "skipped", "Cached": "cached", "Cancelled": "canceled"}

_local = None  # what this process reports with
_root = None


class Local:
    """What one process knows: the main one, or a worker."""

    def __init__(self):
        self.run = _run.start()
        self.nodes = {}
        self.tasks = {}  # slug and index → node
        self.mapped = {}  # id of a task → ids of its first runs
        logger = logging.getLogger("prefect")
        if not any(isinstance(h, Lines) for h in logger.handlers):  # of the process that forked
            logger.addHandler(Lines())

    def node(self, handler, task, index, slug):
        id = handler.id
        if index is not None and index >= 0:
            id = "%sm%d" % (handler.id, index + 1)
        node = self.nodes.get(id)
        if node is None:
            node = self.nodes[id] = self.tasks[slug, index] = Node(id, task.name, "task", self.run, None)
            after = []
            for other in handler.after:
                after += self.mapped.get(other, [other])
            node.after, node.tags = tuple(after[:MOST_AFTER]), tuple(sorted(task.tags))
            ids = self.mapped.setdefault(handler.id, [])
            if len(ids) < MOST_AFTER:
                ids.append(id)
            self.run.add(node)
        return node


def local():
    global _local
    if _local is None or _local.run.pid != os.getpid():
        _local = Local()
    return _local


def watch(flow):
    """Adds a handler to the flow and to its tasks."""
    global _root
    here = local()
    _root = _run.root(here.run, flow.name)
    here.run.add(_root)
    ids = {}
    for number, task in enumerate(flow.sorted_tasks(), 1):
        ids[flow.slugs[task]] = "%s.%d" % (_root.id, number)
    for task in flow.sorted_tasks():
        if type(task).__name__ == "Parameter":
            continue
        after = sorted({ids[flow.slugs[t]] for t in flow.upstream_tasks(task) if type(t).__name__ != "Parameter"})
        task.state_handlers = list(task.state_handlers) + [Handler(ids[flow.slugs[task]], tuple(after))]
    here.run.running(_root, 1)


def ended(state):
    here = local()
    if state is None:
        here.run.stopped(_root, "failed", sys.exc_info()[1])
    elif state.is_successful():
        here.run.success(_root)
    else:
        here.run.stopped(_root, "failed", reason=str(state.message or ""))
    here.run.cancel_open("the flow ended")
    here.run.finish()


class Handler:
    """Reports the states of one task. It is pickled with the task for workers."""

    def __init__(self, id, after):
        self.id = id
        self.after = after

    def __call__(self, task, old, new):
        try:
            self.report(task, new)
        except Exception as e:  # must not change the run
            print("refline: the state of %s is not shown: %s: %s" % (task.name, type(e).__name__, e), file=sys.stderr)

    def report(self, task, state):
        import prefect

        if not os.path.exists(os.environ.get("REFLINE_EVENTS", "")):
            return  # a worker on another computer
        count = prefect.context.get("task_run_count", 1)
        kind = type(state).__name__
        if kind in QUIET or state.is_failed() and retried(task, state, count):
            return
        here = local()
        node = here.node(self, task, prefect.context.get("map_index"), prefect.context.get("task_slug"))
        run, message = here.run, str(state.message or "")
        if kind == "Running":
            run.open.setdefault(node.id, node)
            run.running(node, count)
        elif kind == "Retrying":
            run.stopped(node, "retrying", delay=max(state.start_time.timestamp() - time.time(), 0.0))
        elif kind in OTHER:
            run.stopped(node, OTHER[kind], reason="" if kind == "Cached" else message)
        elif state.is_failed():
            error = state.result if isinstance(state.result, Exception) else None
            if error is not None:
                error = failure(type_name(error), message_of(error), without_prefect(traceback_of(error)))
            run.stopped(node, "failed", error, reason="timeout" if kind == "TimedOut" else "" if error is not None else message)
        elif state.is_successful():
            node.started = node.started or time.time()
            run.success(node)


def retried(task, state, count):
    """Whether a failed attempt is followed by another, as Prefect decides it."""
    if type(state).__name__ == "TriggerFailed" or count > task.max_retries:
        return False
    kinds = getattr(task, "retry_on", None)
    return not (kinds and state.result is not None and not isinstance(state.result, tuple(kinds)))


class Lines(logging.Handler):
    """Lines of Prefect's loggers, which belong to the task that runs."""

    def emit(self, record):
        import prefect

        node = local().tasks.get((prefect.context.get("task_slug"), prefect.context.get("map_index")))
        text = record.getMessage()
        if node is not None and not text.startswith("Task '"):
            local().run.log(node, text, "out", record.levelname.lower())
