"""The part of Prefect's HTTP API that a running flow uses. Runs, results and variables
live as long as the job. What is not here answers 404 with the reason."""

import json
import os
import re
import threading
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote

from . import _events
from ._prefect_runs import Runs

MOST_DOCUMENTS = 2000  # of each kind: flows, blocks, artifacts
MOST_RUNS = 50_000  # flow and task runs of Prefect 2 and nested flows
SERVER_ONLY = "%s %s needs Prefect's server, which a flow in Refline runs without"

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Reply(Exception):
    def __init__(self, status, value=None):
        self.status = status
        self.value = value


def now():
    return datetime.now(timezone.utc).isoformat()


def document(**fields):
    at = now()
    return dict({"id": str(uuid.uuid4()), "created": at, "updated": at}, **fields)


class Table(dict):
    """Documents by id, the oldest of which are forgotten."""

    def __init__(self, most):
        self.most = most

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        if len(self) > self.most:
            del self[next(iter(self))]


class API:
    def __init__(self, note):
        self.note = note
        self.noted = set()
        self.lock = threading.RLock()
        self.runs = Runs()
        self.tables = {kind: Table(MOST_DOCUMENTS) for kind in ("flows", "artifacts", "variables", "block_types", "block_schemas", "block_documents", "inputs")}
        self.flow_runs = Table(MOST_RUNS)
        self.task_runs = Table(MOST_RUNS)
        self.keys = Table(MOST_RUNS)  # what names a task of a flow run → its run
        self.ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="refline-prefect-errors").start()

    def _watch(self):
        while not self.ended.wait(0.25):
            self.runs.overdue()

    def close(self):
        self.ended.set()
        self.runs.close()

    # HTTP

    def answer(self, method, path, body, query, agent):
        """The status and the value for a request."""
        try:
            with self.lock:
                value = self._route(method, path.rstrip("/"), body, parse_qs(query), agent)
            return (204, None) if value is None else (200, value)
        except Reply as r:
            return r.status, r.value
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            self._note_once("cannot read a request of Prefect: %s %s: %s: %s" % (method, shape(path), type(e).__name__, e))
            return 422, {"detail": "%s: %s" % (type(e).__name__, e)}

    def _route(self, method, path, body, query, agent):
        words = [unquote(w) for w in path.split("/")[1:]]
        for verb, pattern, handler in ROUTES:
            if verb == method and len(pattern) == len(words):
                if all(p == "*" or p == w for p, w in zip(pattern, words)):
                    given = [w for p, w in zip(pattern, words) if p == "*"]
                    return handler(self, body if body is not None else {}, *given, **({"query": query, "agent": agent} if handler in WITH_QUERY else {}))
        if method == "POST" and words[-1:] == ["filter"]:
            return []
        if method == "POST" and words[-1:] == ["count"]:
            return 0
        reason = SERVER_ONLY % (method, shape(path))
        self._note_once(reason)
        raise Reply(404, {"detail": reason})

    def _note_once(self, text):
        if text not in self.noted and len(self.noted) < 100:
            self.noted.add(text)
            self.note(text)

    def version(self, _body, query, agent):
        m = re.search(r"prefect/([0-9][\w.+-]*)", agent)
        if m:
            return m.group(1)
        from ._prefect import version

        return ".".join(str(n) for n in version())

    # Flows and their runs

    def create_flow(self, body):
        for flow in self.tables["flows"].values():
            if flow["name"] == body["name"]:
                return flow
        flow = document(name=str(body["name"]), tags=body.get("tags") or [], labels={})
        self.tables["flows"][flow["id"]] = flow
        raise Reply(201, flow)

    def read_flow(self, _body, key):
        return self._found(self.tables["flows"], key)

    def _found(self, table, key):
        value = table.get(key)
        if value is None:
            raise Reply(404, {"detail": "there is no %s here" % key})
        return value

    def create_flow_run(self, body):
        state = body.get("state") or {"type": "PENDING"}
        run = document(
            name=body.get("name") or "run-%s" % uuid.uuid4().hex[:6], flow_id=body["flow_id"], flow_version=body.get("flow_version"),
            parameters=body.get("parameters") or {}, context=body.get("context") or {}, tags=body.get("tags") or [], labels={},
            parent_task_run_id=body.get("parent_task_run_id"), empirical_policy=body.get("empirical_policy") or {}, run_count=0,
            deployment_id=None, auto_scheduled=False, total_run_time=0.0, estimated_run_time=0.0, estimated_start_time_delta=0.0,
            idempotency_key=body.get("idempotency_key"), infrastructure_pid=None, job_variables={}, start_time=None, end_time=None)
        set_state(run, state)
        self.flow_runs[run["id"]] = run
        flow = self.tables["flows"].get(run["flow_id"]) or {}
        parent = run["parent_task_run_id"]
        self.runs.add(run["id"], str(flow.get("name") or run["name"]), "flow", None, run["tags"])
        if parent:
            self.runs.fold(run["id"], parent)
        raise Reply(201, run)

    def read_flow_run(self, _body, key):
        return self._found(self.flow_runs, key)

    def update_flow_run(self, body, key):
        run = self._found(self.flow_runs, key)
        for name in ("name", "tags", "parameters", "flow_version", "infrastructure_pid", "job_variables", "empirical_policy"):
            if body.get(name) is not None:
                run[name] = body[name]

    def label_flow_run(self, body, key):
        self._found(self.flow_runs, key)["labels"].update(body)

    def filter_flow_runs(self, body):
        wanted = ((body.get("flow_runs") or {}).get("id") or {}).get("any_")
        parents = ((body.get("flow_runs") or {}).get("parent_task_run_id") or {}).get("any_")
        if wanted:
            return [self.flow_runs[k] for k in wanted if k in self.flow_runs]
        if parents:
            found = [r for r in self.flow_runs.values() if r["parent_task_run_id"] in parents]
            return found[::-1][: int(body.get("limit") or 200)]
        return []

    def set_flow_run_state(self, body, key):
        run = self._found(self.flow_runs, key)
        state = dict(body["state"])
        if state.get("type") == "PAUSED":
            return abort("a flow in Refline cannot be paused; use a manual job")
        policy = run["empirical_policy"]
        if state.get("type") == "FAILED" and not body.get("force") and 0 < run["run_count"] <= (policy.get("retries") or 0):
            again = retry_state(policy.get("retry_delay") or 0)
            set_state(run, again)
            self.runs.state(key, run["state"], run["run_count"])
            return reject(run["state"], "the run is retried")
        set_state(run, state)
        self.runs.state(key, run["state"], run["run_count"])
        return accept(run["state"])

    # Task runs: Prefect 2 reports them here, Prefect 3 by events

    def create_task_run(self, body):
        state = body.get("state") or {"type": "PENDING"}
        if (state.get("state_details") or {}).get("deferred"):
            reason = "task.delay() needs a server and a task worker of Prefect; use submit() or map() in a flow"
            self._note_once(reason)
            raise Reply(501, {"detail": reason})
        name = (body.get("flow_run_id"), body.get("task_key"), body.get("dynamic_key"))
        known = self.task_runs.get(self.keys.get(name))
        if known is not None and name[0]:
            return known
        run = document(
            name=body.get("name") or "task", flow_run_id=body.get("flow_run_id"), task_key=body["task_key"], dynamic_key=body["dynamic_key"],
            cache_key=body.get("cache_key"), cache_expiration=body.get("cache_expiration"), task_version=body.get("task_version"),
            empirical_policy=body.get("empirical_policy") or {}, tags=body.get("tags") or [], labels=body.get("labels") or {}, task_inputs=body.get("task_inputs") or {},
            run_count=0, flow_run_run_count=0, total_run_time=0.0, estimated_run_time=0.0, estimated_start_time_delta=0.0,
            start_time=None, end_time=None, expected_start_time=None)
        if body.get("id"):
            run["id"] = body["id"]
        set_state(run, state)
        self.task_runs[run["id"]] = run
        self.keys[name] = run["id"]
        self._see_task(run["id"], run)
        raise Reply(201, run)

    def _see_task(self, key, run, flow_run=None):
        inputs, parent = inputs_of(run)
        return self.runs.add(key, task_name(run), "task", parent or flow_run or run.get("flow_run_id"), run.get("tags") or (), inputs)

    def read_task_run(self, _body, key):
        return self._found(self.task_runs, key)

    def update_task_run(self, body, key):
        run = self._found(self.task_runs, key)
        if body.get("name"):
            run["name"] = body["name"]

    def filter_task_runs(self, body):
        wanted = ((body.get("task_runs") or {}).get("id") or {}).get("any_")
        return [self.task_runs[k] for k in wanted or () if k in self.task_runs]

    def set_task_run_state(self, body, key):
        run = self._found(self.task_runs, key)
        state = dict(body["state"])
        kind = state.get("type")
        if kind == "PAUSED":
            return abort("a task in Refline cannot be paused; use a manual job")
        details = state.get("state_details") or {}
        if not body.get("force"):
            before = run["state"]
            if before["type"] == "COMPLETED" and kind in ("PENDING", "RUNNING") and before.get("data") is not None:
                return reject(before, "the task has run")
            cached = self._cached(details) if kind == "RUNNING" else None
            if cached is not None:
                set_state(run, dict(cached, name="Cached", id=None, timestamp=None))
                self._show_task(key, run)
                return reject(run["state"], "the result is that of an earlier run")
            policy = run["empirical_policy"]
            if kind == "FAILED" and details.get("retriable") is not False and 0 < run["run_count"] <= (policy.get("retries") or 0):
                set_state(run, retry_state(delay_of(policy, run["run_count"])))
                self._show_task(key, run)
                return reject(run["state"], "the run is retried")
        set_state(run, state)
        if kind == "COMPLETED" and details.get("cache_key") and state.get("data") is not None:
            self.keys["cache", details["cache_key"]] = dict(run["state"])
        self._show_task(key, run)
        return accept(run["state"])

    def _show_task(self, key, run):
        if not self.runs.folded(key):
            self.runs.state(key, run["state"], run["run_count"])

    def _cached(self, details):
        key = details.get("cache_key")
        state = self.keys.get(("cache", key)) if key and not details.get("refresh_cache") else None
        expires = ((state or {}).get("state_details") or {}).get("cache_expiration")
        if expires and expires < now():
            return None
        return state

    def states_of_flow_run(self, _body, query, agent):
        return [self._found(self.flow_runs, query.get("flow_run_id", [""])[0])["state"]]

    def states_of_task_run(self, _body, query, agent):
        return [self._found(self.task_runs, query.get("task_run_id", [""])[0])["state"]]

    # Events

    def message(self, event):
        """An event of a WebSocket: the states of Prefect 3's task runs."""
        try:
            with self.lock:
                self._event(event)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            self._note_once("cannot read an event of Prefect: %s: %s" % (type(e).__name__, e))

    def create_events(self, body):
        for event in body if isinstance(body, list) else [body]:
            self._event(event)

    def _event(self, event):
        if not str(event.get("event", "")).startswith("prefect.task-run."):
            return
        key = event["resource"]["prefect.resource.id"].rpartition(".")[2]
        payload = event["payload"]
        flow_run, parent = None, None
        for related in event.get("related") or ():
            name, _, other = str(related.get("prefect.resource.id", "")).rpartition(".")
            if related.get("prefect.resource.role") == "flow-run" and name == "prefect.flow-run":
                flow_run = other
            elif related.get("prefect.resource.role") == "task-run" and name == "prefect.task-run" and other != key:
                parent = other
        run = dict(payload.get("task_run") or {})
        if self.runs.folded(key):
            return
        inputs, of_parameters = inputs_of(run)
        parent = parent or of_parameters
        self.runs.add(key, task_name(run), "task", parent if parent in self.runs.seen else flow_run, run.get("tags") or (), inputs)
        state = dict(payload["validated_state"], timestamp=event.get("occurred"))
        self.runs.state(key, state, int(run.get("run_count") or 0))

    def create_logs(self, body):
        for line in body:
            task, flow = line.get("task_run_id"), line.get("flow_run_id")
            self.runs.log(task or flow, int(line.get("level") or 20), str(line.get("message", "")), flow if task else None)

    # Artifacts

    def create_artifact(self, body):
        kept = document(key=body.get("key"), type=body.get("type"), description=body.get("description"), data=None,
                        metadata_=body.get("metadata_"), flow_run_id=body.get("flow_run_id"), task_run_id=body.get("task_run_id"))
        self.tables["artifacts"][kept["id"]] = kept
        self._show_artifact(kept, body.get("data"))
        raise Reply(201, kept)

    def update_artifact(self, body, key):
        self._show_artifact(self._found(self.tables["artifacts"], key), body.get("data"))

    def _show_artifact(self, kept, data):
        run = kept["task_run_id"] or kept["flow_run_id"]
        kind, title = kept["type"], str(kept["description"] or kept["key"] or "")
        if kind == "progress":
            current = float(data or 0)
            self.runs.report(run, "progress", ',"step":%s,"current":%s,"total":100' % (_events.quote(title), _events.number(current)))
        elif kind == "table":
            from ._report import _cell, _table

            rows = json.loads(data) if isinstance(data, str) else data
            columns, rows = _table(rows, None)
            body = ",".join(["[%s]" % ",".join([_cell(c) for c in row]) for row in rows])
            self.runs.report(run, "table", ',"title":%s,"columns":[%s],"rows":[%s]' % (_events.quote(title), ",".join([_events.quote(str(c)) for c in columns]), body))
        elif kind == "image":
            self.runs.report(run, "link", ',"url":%s,"title":%s' % (_events.quote(str(data)), _events.quote(title)))
        elif kind == "markdown":
            link = re.fullmatch(r"\[(.*)\]\((https?://\S+)\)", str(data).strip())
            if link:
                self.runs.report(run, "link", ',"url":%s,"title":%s' % (_events.quote(link.group(2)), _events.quote(link.group(1) or link.group(2))))
            else:
                self.runs.report(run, "markdown", ',"text":%s' % _events.quote(str(data)))

    # Variables and blocks: of the job's variables

    def read_variable(self, _body, name):
        value = self.tables["variables"].get(name)
        if value is None:
            text = of_job(name)
            if text is None:
                raise Reply(404, {"detail": "the job has no variable %s" % name})
            value = document(name=name, value=plain_value(text), tags=[])
        return value

    def create_variable(self, body):
        value = document(name=body["name"], value=body.get("value"), tags=body.get("tags") or [])
        self.tables["variables"][value["name"]] = value
        raise Reply(201, value)

    def update_variable(self, body, name):
        value = dict(self.read_variable({}, name))
        value.update({k: body[k] for k in ("value", "tags") if k in body})
        self.tables["variables"][name] = value

    def delete_variable(self, _body, name):
        self.tables["variables"].pop(name, None)

    def create_in(self, body, kind, *names):
        """A block's type, schema or document, which is kept for the job."""
        table = self.tables[kind]
        for known in table.values():
            if names and all(known.get(n) == body.get(n) for n in names):
                return known
        value = document(**{k: v for k, v in body.items() if k != "id"})
        table[value["id"]] = value
        raise Reply(201, value)

    def create_block_type(self, body):
        return self.create_in(dict({"is_protected": False}, **body), "block_types", "slug")

    def create_block_schema(self, body):
        body = dict({"capabilities": [], "version": "", "fields": {}}, **body)
        body["checksum"] = body.get("checksum") or checksum(body["fields"])
        body["block_type"] = self.tables["block_types"].get(body.get("block_type_id"))
        return self.create_in(body, "block_schemas", "checksum", "block_type_id")

    def create_block_document(self, body):
        body = dict({"is_anonymous": False, "block_document_references": {}, "name": None}, **body)
        body["block_type"] = self.tables["block_types"].get(body.get("block_type_id"))
        body["block_type_name"] = (body["block_type"] or {}).get("name")
        body["block_schema"] = self.tables["block_schemas"].get(body.get("block_schema_id"))
        return self.create_in(body, "block_documents")

    def update_block_document(self, body, key):
        known = self._found(self.tables["block_documents"], key)
        known["data"] = dict(known.get("data") or {}, **(body.get("data") or {})) if body.get("merge_existing_data", True) else body.get("data")

    def read_block_type(self, _body, slug):
        for known in self.tables["block_types"].values():
            if known.get("slug") == slug:
                return known
        raise Reply(404, {"detail": "there is no block type %s here" % slug})

    def read_block_schema(self, _body, sum):
        for known in self.tables["block_schemas"].values():
            if known.get("checksum") == sum:
                return known
        raise Reply(404, {"detail": "there is no such block schema here"})

    def read_block_document(self, _body, key):
        return self._found(self.tables["block_documents"], key)

    def read_named_block(self, _body, slug, name):
        for known in self.tables["block_documents"].values():
            if known.get("name") == name and (known.get("block_type") or {}).get("slug") == slug:
                return known
        if slug != "secret":
            self._note_once("the block %s/%s is not here: a flow in Refline takes Secret blocks and variables from the job's variables, other blocks are made in the code" % (slug, name))
            raise Reply(404, {"detail": "there is no block %s/%s here" % (slug, name)})
        text = of_job(name)
        if text is None:
            self._note_once("the Secret block %s is the variable %s of the job, which is not set" % (name, variable_name(name)))
            raise Reply(404, {"detail": "the job has no variable %s" % variable_name(name)})
        return secret_block(name, text)

    # Concurrency: the limits of Refline's flows and slots count, not these

    def nothing(self, _body, *_names, **_more):
        return []

    def done(self, _body, *_names, **_more):
        return None

    def lease(self, _body):
        return {"lease_id": str(uuid.uuid4()), "limits": []}


def set_state(run, state):
    """Puts a run into a state, with the times and counts that follow from it."""
    state["id"] = state.get("id") or str(uuid.uuid4())
    state["timestamp"] = state.get("timestamp") or now()
    state["name"] = state.get("name") or state["type"].capitalize()
    state["state_details"] = dict(state.get("state_details") or {})
    state["state_details"]["task_run_id" if "task_key" in run else "flow_run_id"] = run["id"]
    state.setdefault("message", None)
    state.setdefault("data", None)
    kind = state["type"]
    if kind == "RUNNING":
        run["run_count"] += 1
        run["start_time"] = run["start_time"] or state["timestamp"]
    if kind in FINAL:
        run["end_time"] = state["timestamp"]
    run.update(state=state, state_id=state["id"], state_type=kind, state_name=state["name"], updated=now())


def retry_state(seconds):
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": {"scheduled_time": at.isoformat()}}


def delay_of(policy, attempt):
    delay = policy.get("retry_delay") or 0
    if isinstance(delay, list):
        delay = delay[min(attempt, len(delay)) - 1] if delay else 0
    return min(max(float(delay), 0.0), 365 * 86400.0)


def accept(state):
    return {"state": state, "status": "ACCEPT", "details": {"type": "accept_details"}}


def reject(state, reason):
    return {"state": state, "status": "REJECT", "details": {"type": "reject_details", "reason": reason}}


def abort(reason):
    return {"state": None, "status": "ABORT", "details": {"type": "abort_details", "reason": reason}}


def shape(path):
    """A path without ids."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", path)[:200]


def task_name(run):
    """The name of a task without what Prefect adds to tell its runs apart."""
    name, key = str(run.get("name") or "task"), str(run.get("dynamic_key") or "")
    if key and name.endswith("-" + key):
        return name[: -len(key) - 1] or name
    return re.sub(r"-([0-9a-f]{3}|\d+)$", "", name) or name


def inputs_of(run):
    """The runs whose results a task run takes, and the one that it is a part of."""
    found, parent = [], None
    for name, values in (run.get("task_inputs") or {}).items():
        for value in values or ():
            if value.get("input_type") in ("task_run", "flow_run") and value.get("id"):
                if name == "__parents__":
                    parent = value["id"]
                else:
                    found.append(value["id"])
    return found, parent


def variable_name(name):
    return re.sub(r"[^A-Za-z0-9_]", "_", name).upper()


def of_job(name):
    """A variable of the job by its name, or by that in upper case with underscores."""
    for key in (name, variable_name(name)):
        if not key.startswith("PREFECT_") and key in os.environ:
            return os.environ[key]
    return None


def plain_value(text):
    """Lists and objects in JSON are such; the rest is text."""
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return text


def checksum(fields):
    import hashlib

    return "sha256:" + hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def secret_block(name, text):
    kind = document(name="Secret", slug="secret", logo_url=None, documentation_url=None, description=None, code_example=None, is_protected=False)
    fields = {"title": "Secret", "type": "object", "properties": {"value": {"title": "Value"}}, "required": ["value"], "block_type_slug": "secret", "secret_fields": ["value"], "block_schema_references": {}}
    schema = document(checksum=checksum(fields), fields=fields, block_type_id=kind["id"], block_type=kind, capabilities=[], version="")
    return document(name=name, data={"value": text}, block_schema_id=schema["id"], block_schema=schema, block_type_id=kind["id"], block_type=kind,
                    block_type_name="Secret", block_document_references={}, is_anonymous=False)


WITH_QUERY = (API.version, API.states_of_flow_run, API.states_of_task_run)


def not_enabled(self, _body):
    raise Reply(422, {"detail": "CSRF protection is disabled."})


ROUTES = [(verb, pattern.split("/"), handler) for verb, pattern, handler in (
    ("GET", "health", lambda self, _body: True),
    ("GET", "hello", lambda self, _body: "hello"),
    ("GET", "ready", lambda self, _body: True),
    ("GET", "admin/version", API.version),
    ("GET", "admin/storage", lambda self, _body: {"default_result_storage_block_id": None}),
    ("GET", "csrf-token", not_enabled),
    ("POST", "flows", API.create_flow),
    ("GET", "flows/*", API.read_flow),
    ("POST", "flow_runs", API.create_flow_run),
    ("POST", "flow_runs/filter", API.filter_flow_runs),
    ("GET", "flow_runs/*", API.read_flow_run),
    ("PATCH", "flow_runs/*", API.update_flow_run),
    ("PATCH", "flow_runs/*/labels", API.label_flow_run),
    ("POST", "flow_runs/*/set_state", API.set_flow_run_state),
    ("GET", "flow_run_states", API.states_of_flow_run),
    ("POST", "task_runs", API.create_task_run),
    ("POST", "task_runs/filter", API.filter_task_runs),
    ("GET", "task_runs/*", API.read_task_run),
    ("PATCH", "task_runs/*", API.update_task_run),
    ("POST", "task_runs/*/set_state", API.set_task_run_state),
    ("GET", "task_run_states", API.states_of_task_run),
    ("POST", "logs", API.create_logs),
    ("POST", "events", API.create_events),
    ("POST", "artifacts", API.create_artifact),
    ("PATCH", "artifacts/*", API.update_artifact),
    ("POST", "variables", API.create_variable),
    ("GET", "variables/name/*", API.read_variable),
    ("PATCH", "variables/name/*", API.update_variable),
    ("DELETE", "variables/name/*", API.delete_variable),
    ("POST", "block_types", API.create_block_type),
    ("PATCH", "block_types/*", API.done),
    ("GET", "block_types/slug/*", API.read_block_type),
    ("GET", "block_types/slug/*/block_documents/name/*", API.read_named_block),
    ("POST", "block_schemas", API.create_block_schema),
    ("GET", "block_schemas/checksum/*", API.read_block_schema),
    ("POST", "block_documents", API.create_block_document),
    ("GET", "block_documents/*", API.read_block_document),
    ("PATCH", "block_documents/*", API.update_block_document),
    ("POST", "concurrency_limits/increment", API.nothing),
    ("POST", "concurrency_limits/decrement", API.nothing),
    ("POST", "v2/concurrency_limits/increment", API.nothing),
    ("POST", "v2/concurrency_limits/decrement", API.nothing),
    ("POST", "v2/concurrency_limits/increment-with-lease", API.lease),
    ("POST", "v2/concurrency_limits/decrement-with-lease", API.done),
    ("POST", "v2/concurrency_limits/leases/*/renew", API.done),
)]
