"""A stub server that plays tenants' scripts, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).with_name("stub_server.py")

PlayServer = Callable[[str], int]
"""Starts a stub server with this play, unless there is one; returns its port."""

InLocust = Callable[..., Any]
"""Runs code where Locust is imported, given arguments; returns the JSON that it prints."""


@contextmanager
def _stub(play: str) -> Iterator[int]:
    command = [sys.executable, str(STUB), "--play", play]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stub:
        assert stub.stdin is not None
        assert stub.stdout is not None
        yield json.loads(stub.stdout.readline())["port"]
        stub.stdin.close()
        stub.wait(60)


@pytest.fixture(scope="session")
def stub() -> Iterator[PlayServer]:
    with ExitStack() as stack:
        yield cache(lambda play: stack.enter_context(_stub(play)))


@pytest.fixture(scope="session")
def in_locust() -> Iterator[InLocust]:
    """Locust makes gevent replace parts of the standard library: never in pytest's own process."""
    command = [sys.executable, "-m", "tests.workloads.locust_process"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def run(code: str, *arguments: object) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([code, *map(str, arguments)]) + "\n")
            process.stdin.flush()
            status, out, err = json.loads(process.stdout.readline())
            assert status == 0, err
            return json.loads(out)

        yield run


@pytest.fixture
def tenants() -> list[dict[str, Any]]:
    """The tenants that the stub plays, as a load has them."""
    return [{"name": name, "uid": 47001, "gid": 47001, "groups": []} for name in ("t0001", "t0002")]
