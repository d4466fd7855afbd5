"""A type checker sees the types of tasks and flows."""

import os
import subprocess
import sys

import pytest

from conftest import SRC

pytest.importorskip("mypy")


def test_types(tmp_path):
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "typed.py")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), file],
                          env=dict(os.environ, MYPYPATH=SRC), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
