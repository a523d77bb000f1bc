"""A stub server that plays tenants' scripts, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).with_name("stub_server.py")

PlayServer = Callable[[str], int]
"""Starts a stub server with this play; returns its port."""

InLocust = Callable[..., Any]
"""Runs code in a fresh interpreter, given arguments; returns the JSON that it prints."""


@contextmanager
def _stub(play: str) -> Iterator[int]:
    command = [sys.executable, str(STUB), "--play", play]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stub:
        assert stub.stdin is not None
        assert stub.stdout is not None
        yield json.loads(stub.stdout.readline())["port"]
        stub.stdin.close()
        stub.wait(10)


@pytest.fixture
def stub() -> Iterator[PlayServer]:
    with ExitStack() as stack:
        yield lambda play: stack.enter_context(_stub(play))


@pytest.fixture
def in_locust() -> InLocust:
    """Locust makes gevent replace parts of the standard library: never in pytest's own process."""

    def run(code: str, *arguments: object) -> Any:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def tenants() -> list[dict[str, Any]]:
    """The tenants that the stub plays, as a load has them."""
    return [{"name": name, "uid": 47001, "gid": 47001, "groups": []} for name in ("t0001", "t0002")]
