"""The stand-in for Prefect's API without Prefect: what a client sends and gets."""

import base64
import http.client
import json
import os
import socket
import struct
import time
import urllib.parse

import pytest

from refline import _prefect, _prefect_api, _prefect_http, _prefect_runs, _run

ANY = "00000000-0000-0000-0000-000000000001"


class Client:
    """A client with an API of its own, in this process."""

    def __init__(self, events):
        self.events_file = events
        self.notes = []
        self.api = _prefect_api.API(self.notes.append)
        self.server = _prefect_http.Server(self.api)
        self.url = urllib.parse.urlparse(self.server.url)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.url.port, timeout=60)

    def call(self, method, path, body=None, headers=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, self.url.path + path, data, dict({"User-Agent": "prefect/3.8.8 (API 0.8.4)"}, **(headers or {})))
        response = self.connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def ok(self, method, path, body=None):
        status, value = self.call(method, path, body)
        assert status < 300, (status, value)
        return value

    def flow_run(self, name="etl", **more):
        flow = self.ok("POST", "/flows/", {"name": name})
        return self.ok("POST", "/flow_runs/", dict({"flow_id": flow["id"], "state": {"type": "PENDING"}}, **more))["id"]

    def task_run(self, flow_run, name="load-0", **more):
        return self.ok("POST", "/task_runs/", dict({"name": name, "flow_run_id": flow_run, "task_key": name, "dynamic_key": "0", "state": {"type": "PENDING"}}, **more))["id"]

    def state(self, kind, key, state, **details):
        return self.ok("POST", "/%s/%s/set_state" % (kind, key), {"state": {"type": state, "state_details": details}, "force": False})

    def events(self):
        return [json.loads(line) for line in self.events_file.read_bytes().splitlines()]

    def until(self, condition):
        end = time.monotonic() + 60
        while not condition(self.events()):
            assert time.monotonic() < end, self.events()
            time.sleep(0.02)

    def close(self):
        self.connection.close()
        self.server.close()
        self.api.close()


@pytest.fixture
def client(tmp_path, monkeypatch):
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"")
    monkeypatch.setenv("REFLINE_EVENTS", str(events))
    monkeypatch.setattr(_run, "_numbers", 0)
    client = Client(events)
    yield client
    client.close()


def states(events, name):
    return [e["state"] for e in events if e["type"] == "task" and e["id"] in [x["id"] for x in events if x.get("name") == name]]


def test_only_with_its_random_part(client):
    for path in ("/api/health", "/api/%s/health" % ("x" * 32), "/", "/api/" + client.server.token[:-1]):
        client.connection.request("GET", path)
        response = client.connection.getresponse()
        response.read()
        assert response.status == 403, path
    assert client.call("GET", "/health") == (200, True)
    assert client.server.server_address[0] == "127.0.0.1"


def test_what_is_not_here_says_why_once(client):
    for _ in range(3):
        status, value = client.call("GET", "/deployments/name/etl/nightly")
        assert status == 404 and "needs Prefect's server" in value["detail"]
    assert client.notes == ["GET /deployments/name/etl/nightly needs Prefect's server, which a flow in Refline runs without"]
    assert client.call("POST", "/work_pools/filter", {}) == (200, [])
    assert client.call("POST", "/deployments/count", {}) == (200, 0)
    assert client.call("GET", "/csrf-token?client=x")[0] == 422
    assert client.call("GET", "/admin/version") == (200, "3.8.8")


@pytest.mark.parametrize("body", [[], "x", {"state": 1}, {"state": {}}, {"state": {"type": 5}}, {"flow_id": {}}, None, 3])
def test_requests_with_mistakes(client, body):
    run = client.flow_run()
    for path in ("/flows/", "/flow_runs/", "/flow_runs/%s/set_state" % run, "/task_runs/", "/logs/", "/artifacts/", "/variables/", "/events/", "/block_documents/"):
        status, _ = client.call("POST", path, body)
        assert status in (200, 201, 204, 422), (path, status)
    assert client.call("GET", "/health") == (200, True)


def test_bounds(client):
    assert client.call("POST", "/logs/", None, {"Content-Length": str(1 << 40)})[0] == 413
    assert client.call("POST", "/logs/", None, {"Content-Length": "-1"})[0] == 400
    assert client.call("POST", "/logs/", None, {"Transfer-Encoding": "chunked"})[0] == 411
    client.connection.request("POST", client.url.path + "/logs/", b"[" * 100000)
    response = client.connection.getresponse()
    assert response.status == 422
    response.read()
    assert client.call("GET", "/health") == (200, True)


def test_a_failed_task_of_prefect_2_is_retried_by_the_api(client):
    run = client.flow_run()
    client.state("flow_runs", run, "RUNNING")
    task = client.task_run(run, empirical_policy={"retries": 1, "retry_delay": [5, 6]})
    assert client.state("task_runs", task, "RUNNING")["status"] == "ACCEPT"
    again = client.state("task_runs", task, "FAILED")
    assert (again["status"], again["state"]["name"]) == ("REJECT", "AwaitingRetry")
    assert again["state"]["state_details"]["scheduled_time"] > again["state"]["timestamp"]
    client.state("task_runs", task, "RUNNING")
    assert client.state("task_runs", task, "FAILED")["status"] == "ACCEPT"
    client.until(lambda events: states(events, "load") == ["running", "retrying", "running", "failed"])
    lines = [e for e in client.events() if e.get("id") == "1.1"]
    assert [e["attempt"] for e in lines] == [1, 1, 2, 2]
    assert 4 < lines[1]["delay"] <= 5


def test_a_flow_is_retried(client):
    run = client.flow_run(empirical_policy={"retries": 1, "retry_delay": 0})
    client.state("flow_runs", run, "RUNNING")
    assert client.state("flow_runs", run, "FAILED")["status"] == "REJECT"
    client.state("flow_runs", run, "RUNNING")
    assert client.state("flow_runs", run, "COMPLETED")["status"] == "ACCEPT"
    assert states(client.events(), "etl") == ["running", "retrying", "running", "success"]


def test_a_pause_is_refused_with_the_way_out(client):
    run = client.flow_run()
    answer = client.state("flow_runs", run, "PAUSED")
    assert answer["status"] == "ABORT" and "manual job" in answer["details"]["reason"]


def test_background_tasks_are_refused(client):
    status, value = client.call("POST", "/task_runs/", {"task_key": "x", "dynamic_key": "1", "state": {"type": "SCHEDULED", "state_details": {"deferred": True}}})
    assert status == 501 and "task.delay()" in value["detail"]


def test_a_cached_result_of_prefect_2(client):
    run = client.flow_run()
    for number, want in ((0, "ACCEPT"), (1, "REJECT")):
        task = client.task_run(run, "costly-%d" % number)
        got = client.state("task_runs", task, "RUNNING", cache_key="k")
        assert got["status"] == want
        if want == "ACCEPT":
            client.ok("POST", "/task_runs/%s/set_state" % task, {"state": {"type": "COMPLETED", "data": {"x": 1}, "state_details": {"cache_key": "k"}}})
        else:
            assert got["state"]["name"] == "Cached" and got["state"]["data"] == {"x": 1}
    assert states(client.events(), "costly") == ["running", "success", "cached"]


def test_a_sub_flow_takes_the_place_of_its_task(client):
    run = client.flow_run()
    client.state("flow_runs", run, "RUNNING")
    task = client.task_run(run, "inner-0")
    inner = client.flow_run("inner", parent_task_run_id=task)
    client.state("flow_runs", inner, "RUNNING")
    client.state("task_runs", task, "RUNNING")
    client.state("flow_runs", inner, "COMPLETED")
    lines = [e for e in client.events() if e["type"] == "task"]
    assert [(e["id"], e["state"]) for e in lines] == [("1", "running"), ("1.1", "running"), ("1.1", "success")]
    assert lines[1]["kind"] == "flow"


def event(flow_run, task, state, count=1, name="load-abc", **more):
    return {"event": "prefect.task-run.x", "occurred": "2026-01-01T00:00:00.1234567Z",
            "resource": {"prefect.resource.id": "prefect.task-run." + task},
            "related": [{"prefect.resource.id": "prefect.flow-run." + flow_run, "prefect.resource.role": "flow-run"}],
            "payload": {"validated_state": dict({"type": state}, **more), "task_run": {"name": name, "run_count": count, "task_key": "load", "dynamic_key": "d"}}}


class Socket:
    """A WebSocket of a client, frame by frame."""

    def __init__(self, client, path="/events/in"):
        self.socket = socket.create_connection(("127.0.0.1", client.url.port), timeout=60)
        self.file = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(("GET %s%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: prefect\r\n\r\n" % (client.url.path, path, key)).encode())
        self.status = self.file.readline().split()[1]
        while self.file.readline().strip():
            pass

    def send(self, kind, data, last=True):
        mask = b"abcd"
        head = bytes([(128 if last else 0) | kind])
        if len(data) < 126:
            head += bytes([128 | len(data)])
        elif len(data) < 1 << 16:
            head += bytes([128 | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([128 | 127]) + struct.pack(">Q", len(data))
        self.socket.sendall(head + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))

    def receive(self):
        head = self.file.read(2)
        if len(head) < 2:
            return None
        return head[0] & 15, self.file.read(head[1] & 127)

    def close(self):
        self.file.close()
        self.socket.close()


def test_events_of_a_web_socket(client):
    run = client.flow_run()
    ws = Socket(client)
    assert ws.status == b"101"
    ws.send(1, b'{"type":"auth","token":null}')
    assert ws.receive() == (1, b'{"type":"auth_success"}')
    running = json.dumps(event(run, ANY, "RUNNING", padding="x" * 70000)).encode()
    ws.send(1, running[:300], last=False)
    ws.send(9, b"in between")
    assert ws.receive() == (10, b"in between")
    ws.send(0, running[300:])
    for bad in (b"{", b"[]", b"5", b'{"event":"prefect.task-run.x"}', b'{"event":"other"}'):
        ws.send(1, bad)
    client.ok("POST", "/logs/", [
        {"level": 40, "message": "it failed\nTraceback (most recent call last):\n  File \"/x/site-packages/prefect/task_engine.py\", line 1, in run\n    engine()\n  File \"/flows/etl.py\", line 2, in load\n    raise ValueError()\nValueError: no\n", "task_run_id": ANY, "flow_run_id": run},
        {"level": 20, "message": "Finished in state Failed()", "task_run_id": ANY, "flow_run_id": run},
    ])
    ws.send(1, json.dumps(event(run, ANY, "FAILED", message="Task run encountered an exception ValueError: no")).encode())
    client.until(lambda events: states(events, "load") == ["running", "failed"])
    error = [e for e in client.events() if e.get("state") == "failed"][0]["error"]
    assert (error["type"], error["message"]) == ("ValueError", "no")
    assert error["traceback"] == 'Traceback (most recent call last):\n  File "/flows/etl.py", line 2, in load\n    raise ValueError()\nValueError: no\n'
    assert [e["text"] for e in client.events() if e["type"] == "log"] == ["it failed"]
    ws.send(8, b"\x03\xe8")
    assert ws.receive() == (8, b"\x03\xe8")
    assert ws.receive() is None
    ws.close()
    assert len(client.notes) == 3, client.notes  # each mistake once


def test_frames_that_are_too_large_end_the_connection(client):
    ws = Socket(client)
    ws.socket.sendall(bytes([129, 255]) + struct.pack(">Q", 1 << 60))
    assert ws.receive() is None
    ws.close()
    other = Socket(client, "/logs/out")
    assert other.status == b"404"
    other.close()
    assert client.call("GET", "/health") == (200, True)


def test_lines_wait_for_their_task(client):
    run = client.flow_run()
    client.state("flow_runs", run, "RUNNING")
    client.ok("POST", "/logs/", [{"level": 30, "message": "early", "task_run_id": ANY, "flow_run_id": run}])
    client.ok("POST", "/events/", [event(run, ANY, "RUNNING")])
    lines = [e for e in client.events() if e["type"] == "log"]
    assert [(e["id"], e["text"], e["level"]) for e in lines] == [("1.1", "early", "warning")]


def test_lines_of_a_task_that_is_never_seen_are_the_flows(client):
    run = client.flow_run()
    client.state("flow_runs", run, "RUNNING")
    client.ok("POST", "/logs/", [{"level": 20, "message": "lost", "task_run_id": ANY, "flow_run_id": run}])
    client.api.close()
    assert [(e["id"], e["text"]) for e in client.events() if e["type"] == "log"] == [("1", "lost")]


def test_what_is_open_is_closed_at_the_end(client):
    run = client.flow_run()
    client.state("flow_runs", run, "RUNNING")
    client.ok("POST", "/events/", [event(run, ANY, "RUNNING")])
    client.api.close()
    assert states(client.events(), "load") == ["running", "canceled"]
    assert states(client.events(), "etl") == ["running", "canceled"]


def test_artifacts(client):
    run = client.flow_run()
    client.state("flow_runs", run, "RUNNING")
    kept = client.ok("POST", "/artifacts/", {"type": "progress", "key": "p", "data": 10, "flow_run_id": run})
    client.ok("PATCH", "/artifacts/" + kept["id"], {"data": 60.5})
    client.ok("POST", "/artifacts/", {"type": "table", "key": "t", "data": '[{"a":1},{"a":null}]', "flow_run_id": run})
    client.ok("POST", "/artifacts/", {"type": "markdown", "key": "l", "data": "[here](https://example.com/x)", "flow_run_id": run})
    client.ok("POST", "/artifacts/", {"type": "markdown", "key": "m", "data": "# hi", "flow_run_id": run})
    shown = [{k: v for k, v in e.items() if k not in ("id", "t")} for e in client.events() if e["type"] != "task"]
    assert shown == [
        {"type": "progress", "step": "p", "current": 10.0, "total": 100},
        {"type": "progress", "step": "p", "current": 60.5, "total": 100},
        {"type": "table", "title": "t", "columns": ["a"], "rows": [[1], [None]]},
        {"type": "link", "url": "https://example.com/x", "title": "here"},
        {"type": "markdown", "text": "# hi"},
    ]


def test_variables_and_secrets_are_the_jobs(client, monkeypatch):
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("DB_LIST", '["a","b"]')
    monkeypatch.setenv("API_TOKEN", "glpat-1")
    assert client.ok("GET", "/variables/name/region")["value"] == "eu"
    assert client.ok("GET", "/variables/name/db-list")["value"] == ["a", "b"]
    assert client.call("GET", "/variables/name/none")[0] == 404
    assert client.call("GET", "/variables/name/PREFECT_HOME")[0] == 404
    client.ok("POST", "/variables/", {"name": "region", "value": "us"})
    assert client.ok("GET", "/variables/name/region")["value"] == "us"
    path = "/block_types/slug/%s/block_documents/name/%s"
    assert client.ok("GET", path % ("secret", "api-token"))["data"] == {"value": "glpat-1"}
    assert client.call("GET", path % ("secret", "other"))[0] == 404
    assert client.call("GET", path % ("slack-webhook", "x"))[0] == 404
    assert [n.split(" ")[1] for n in client.notes] == ["Secret", "block"]
    assert not any("glpat" in n for n in client.notes)


def test_memory_is_bounded(client, monkeypatch):
    monkeypatch.setattr(_prefect_runs, "MOST_KEPT", 1000)
    client.api.task_runs.most = 100
    run = client.flow_run()
    for i in range(2500):
        key = "00000000-0000-0000-0000-%012d" % i
        client.api.message(event(run, key, "RUNNING"))
        client.api.message(event(run, key, "COMPLETED"))
        client.api._see_task(key, {"name": "x", "flow_run_id": run})
    assert len(client.api.runs.seen) <= 2001
    for i in range(150):
        client.task_run(run, "t-%d" % i)
    assert len(client.api.task_runs) == 100


def test_only_in_a_job(monkeypatch):
    import sys

    monkeypatch.delenv("REFLINE_EVENTS", raising=False)
    before = list(sys.meta_path)
    _prefect.install()
    assert sys.meta_path == before
