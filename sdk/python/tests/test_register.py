"""Registering with the parameters of Prefect 1.4, at a server that only writes down."""

import json
import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from refline import flow
from refline import run_configs, schedules, storage


@flow
def hello():
    pass


@flow
def second():
    pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    calls = []

    class Handler(BaseHTTPRequestHandler):
        def do(self):
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(text) if text else None
            calls.append((self.command, self.path, body, self.headers["Authorization"]))
            answer, code = {}, 200
            if (self.command, self.path) == ("GET", "/api/v1/projects"):
                answer = []
            elif self.path == "/api/v1/projects":
                answer = {"name": body.get("name") or "data/flows"}
            elif self.path == "/api/v1/flows":
                made = {"project": "data/flows", "ref": "", "ref_kind": ""}
                answer = {"commit": "0123456789", "flow": dict(made, **body)}
                if body["path"].startswith("missing.py"):
                    answer, code = {"detail": "no file missing.py"}, 404
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PUT = do_PATCH = do

        def log_message(self, *_args):
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    for name in ("BUILD_TAG", "GIT_BRANCH", "CI_JOB_ID", "REFLINE_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REFLINE_URL", "http://127.0.0.1:%d" % http.server_port)
    monkeypatch.setenv("REFLINE_TOKEN", "secret")
    monkeypatch.setenv("REFLINE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    yield calls
    http.shutdown()
    http.server_close()
    thread.join()


def made(git=None, run_config=None, schedule=None, **options):
    f = hello.with_options()
    f.storage = git or storage.Git("my_flows/hello.py", repo="data/flows", repo_host="git.example.com", **options)
    f.storage.add_flow(f)
    f.run_config, f.schedule = run_config, schedule
    return f


def registered(calls):
    return [body for method, path, body, _ in calls if path == "/api/v1/flows"][-1]


def test_sends_the_flow_and_the_token(server):
    assert made(branch_name="main", tag="", git_token_secret_name="TOKEN").register(build=False) == "hello"
    assert ("POST", "/api/v1/projects", {"url": "https://git.example.com/data/flows.git", "token_variable": "TOKEN"}, "Bearer secret") in server
    assert registered(server) == {"name": "hello", "path": "my_flows/hello.py:hello", "project": "data/flows", "ref_kind": "branch", "ref": "main"}


def test_ref_of_the_build(server, monkeypatch, tmp_path, capsys):
    with pytest.raises(ValueError, match="no branch is checked out"):
        made().register()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/work"], check=True)
    made().register()
    assert registered(server)["ref"] == "work"
    monkeypatch.setenv("GIT_BRANCH", "origin/main")
    monkeypatch.setenv("BUILD_TAG", "jenkins-job-7")
    made().register()
    assert registered(server)["ref"] == "main" and registered(server)["prefer_tag"] == "jenkins-job-7"
    assert "jenkins-job-7 is not a tag" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["CI_JOB_ID", "REFLINE_RUN_ID"])
def test_does_nothing_in_a_run(server, monkeypatch, name):
    monkeypatch.setenv(name, "7")
    assert made(branch_name="main").register() is None
    assert server == []


def test_names_the_flow_of_a_file_with_several(server):
    second.storage = made(branch_name="main").storage
    second.register()
    assert registered(server)["path"] == "my_flows/hello.py:second"


def test_runtime_and_schedule(server):
    config = run_configs.KubernetesRun(image="python:3.12", env={"A": 1}, cpu_request=1, labels=["big"], image_pull_policy="Never")
    when = schedules.Schedule([schedules.CronClock("0 6 * * *", parameter_defaults={"n": 1}), schedules.IntervalClock(timedelta(hours=1))])
    made(run_config=config, schedule=when, branch_name="main").register(labels=["late"])
    runtime = [c[2] for c in server if c[1] == "/api/v1/runtimes/hello"]
    assert runtime == [{"name": "hello", "executor": "kubernetes", "image": "python:3.12", "env": {"A": "1"}, "pull": "never",
                        "tags": ["big", "late"], "kubernetes": {"requests": {"cpu": "1"}}}]
    assert registered(server)["runtime"] == "hello"
    assert registered(server)["schedules"] == [{"cron": "0 6 * * *", "inputs": {"n": 1}}, {"every_seconds": 3600}]


def test_image(server):
    f = made(storage.Docker(registry_url="registry.example.com/data/", image_name="flows", image_tag="1.4",
                            path="my_flows/hello_flow.py"))
    with pytest.raises(ValueError, match="refline image build my_flows/hello_flow.py --base python:3.12 --to registry.example.com/data/flows:1.4"):
        f.register()
    assert server == []
    f.register(build=False)
    body = registered(server)
    assert body["image"] == "registry.example.com/data/flows:1.4" and "ref" not in body and "project" not in body
    assert not any(c[1] == "/api/v1/projects" for c in server)


def test_job_template_of_a_file(tmp_path):
    file = tmp_path / "job.json"
    file.write_text('{"kind": "Job"}')
    for path in (file, "file://%s" % file):
        config = run_configs.KubernetesRun(job_template_path=str(path))
        assert config.runtime()["kubernetes"]["template"] == {"kind": "Job"}
    text = "kind: Job\nspec:\n  backoffLimit: 0\n"
    try:
        import yaml  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="PyYAML"):
            run_configs.KubernetesRun(job_template=text)
    else:
        template = run_configs.KubernetesRun(job_template=text).runtime()["kubernetes"]["template"]
        assert template == {"kind": "Job", "spec": {"backoffLimit": 0}}


def test_clocks_have_a_module():
    from refline.schedules.clocks import CronClock

    assert CronClock is schedules.CronClock


def test_errors_say_what_to_do(server, monkeypatch):
    with pytest.raises(RuntimeError, match="no file missing.py"):
        made(storage.GitHub("data/flows", "missing.py", ref="main")).register()
    monkeypatch.delenv("REFLINE_TOKEN")
    with pytest.raises(RuntimeError, match="set REFLINE_TOKEN"):
        made(branch_name="main").register()
    monkeypatch.delenv("REFLINE_URL")
    with pytest.raises(RuntimeError, match="refline server"):
        made(branch_name="main").register()


def test_local_server(server, monkeypatch, tmp_path):
    import os

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "server.json").write_text(json.dumps({"url": os.environ["REFLINE_URL"]}))
    (tmp_path / "data" / "owner-token").write_text("owner\n")
    monkeypatch.delenv("REFLINE_URL")
    monkeypatch.delenv("REFLINE_TOKEN")
    made(branch_name="main").register()
    assert server[-1][3] == "Bearer owner"


@pytest.mark.parametrize("make, url", [
    (lambda: storage.Git("a.py", repo="g/p", use_ssh=True), "ssh://git@github.com/g/p.git"),
    (lambda: storage.GitLab("g/p", "a.py", host="https://gl.example.com"), "https://gl.example.com/g/p.git"),
    (lambda: storage.Bitbucket("P", "r", "a.py", workspace="w"), "https://bitbucket.org/w/r.git"),
    (lambda: storage.CodeCommit("r", "a.py", client_options={"region_name": "eu-west-1"}), "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/r"),
])
def test_urls(make, url):
    assert make().url == url


@pytest.mark.parametrize("make, why", [
    (lambda: storage.Docker(registry_url="r"), "image_name"),
    (lambda: storage.Docker(image_name="r", python_dependencies=["six"]), "python_dependencies.* refline image build --base"),
    (lambda: storage.Docker(image_name="r", env_vars={"A": "1"}), "DockerRun"),
    (lambda: schedules.DatesClock([]), "CronClock"),
    (lambda: storage.S3("bucket"), "use Git"),
    (lambda: storage.Git("a.py", repo="g/p", tag="v1", branch_name="main"), "one of"),
    (lambda: storage.Bitbucket("P", "r", "a.py"), "give workspace"),
    (lambda: run_configs.DockerRun(host_config={"privileged": True}), "host_config"),
    (lambda: run_configs.KubernetesRun(image_pull_policy="x"), "is not Always"),
    (lambda: run_configs.KubernetesRun(job_template_path="s3://b/x"), "job_template_path"),
    (lambda: run_configs.KubernetesRun(job_template_path="no-such-file.yaml"), "no-such-file.yaml"),
    (lambda: run_configs.KubernetesRun(job_template="[1, 2]"), "is not one job"),
    (lambda: run_configs.KubernetesRun(job_template={}, job_template_path="x"), "not both"),
    (lambda: schedules.Schedule([], filters=[1]), "filters"),
])
def test_refusals(make, why):
    with pytest.raises(ValueError, match=why):
        make()
