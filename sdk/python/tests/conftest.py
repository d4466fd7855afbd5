"""Helpers: a script runs in a process of its own, as a job of Refline or without one."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

SRC = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")


class Job:
    """The surroundings of a job: an events file, a folder of results, a folder of code."""

    def __init__(self, folder):
        self.folder = folder
        self.events_file = folder / "events.jsonl"
        self.results = folder / "results"
        self.results.mkdir()
        self.env = dict(os.environ, PYTHONPATH=SRC, XDG_CACHE_HOME=str(folder / "cache"))
        for name in ("REFLINE_EVENTS", "REFLINE_RESULTS", "REFLINE_TASK_CACHE"):
            self.env.pop(name, None)

    def write(self, text, name="script.py"):
        path = self.folder / name
        path.write_text("from refline import *\n" + textwrap.dedent(text))
        return path

    def start(self, text, *args, events=True, name="script.py", **env):
        path = self.write(text, name)
        all_env = dict(self.env, **env)
        if events:
            self.events_file.write_bytes(b"")
            for old in self.folder.glob("events.jsonl.*"):
                old.unlink()
            all_env["REFLINE_EVENTS"] = str(self.events_file)
        return subprocess.Popen([sys.executable, str(path), *args], env=all_env, cwd=str(self.folder),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, text, *args, code=0, **kwargs):
        process = self.start(text, *args, **kwargs)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, "exit %s\n%s\n%s" % (process.returncode, out, err)
        self.stderr = err
        return out

    def events(self):
        return [json.loads(line) for line in self.events_file.read_bytes().split(b"\n") if line]

    def states(self):
        """id → its last state."""
        return {e["id"]: e["state"] for e in self.events() if e["type"] == "task"}

    def named(self, name):
        """The ids of tasks with a name."""
        return [e["id"] for e in self.events() if e["type"] == "task" and e.get("name") == name]

    def last(self, name):
        ids = self.named(name)
        return [e for e in self.events() if e["type"] == "task" and e["id"] == ids[0]][-1]


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)
