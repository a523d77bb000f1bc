"""The locustfile under Locust's own command, without its web page."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workloads import credential
from workloads.proof import Identity
from workloads.tenants import Manifest, Tenant

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.json"
    tenants = tuple(Tenant(name, 47001, 47001, tmp_path / name) for name in ("t0001", "t0002"))
    Manifest(tmp_path, Identity(47000, 47000), tenants).write(path)
    return path


def locust(port: int, manifest: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "workloads" / "locustfile.py")]
    command += ["--headless", "--users", "2", "--spawn-rate", "2", "--run-time", "1s"]
    command += ["--host", f"http://127.0.0.1:{port}", "--json", *arguments]
    environment = {**os.environ, "ISOBENCH_TENANTS": str(manifest)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def test_it_asks_and_checks(stub: Callable[[str], int], manifest: Path) -> None:
    done = locust(stub("hello"), manifest, "--connection", "close")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["name"] == "/hello.py"
    assert row["num_requests"] > 0
    assert row["num_failures"] == 0


def test_it_says_as_whom_a_script_ran(stub: Callable[[str], int], manifest: Path) -> None:
    done = locust(stub("hello"), manifest, "--runs-as", "server")
    assert done.returncode == 1
    assert "ran as uid 47001 instead of 47000" in done.stdout + done.stderr


@pytest.mark.skipif(credential.obstacle() is not None, reason="only who has CAP_NET_RAW can stamp")
def test_it_asks_as_the_clients(stub: Callable[[str], int], manifest: Path) -> None:
    key = credential.make_key(manifest.with_name("key"))
    done = locust(stub("hello"), manifest, "--runs-as", "client", "--credential-key", str(key))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["num_requests"] > 0
    assert row["num_failures"] == 0


def test_a_missing_manifest_is_explained(stub: Callable[[str], int], tmp_path: Path) -> None:
    done = locust(stub("hello"), tmp_path / "none.json")
    assert done.returncode == 2
    assert "hint: give the tenants.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_follows_a_shape(
    stub: Callable[[str], int], manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOBENCH_SHAPE", "steps:2,4@1")
    done = locust(stub("hello"), manifest)
    assert done.returncode == 0, done.stderr
    assert "Shape test starting" in done.stderr
    assert "Shape test stopping" in done.stderr
    assert json.loads(done.stdout)[0]["num_failures"] == 0


def test_it_puts_on_an_open_load_whose_rate_changes(
    stub: Callable[[str], int], manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOBENCH_SHAPE", "steps:40,80/s@1")
    done = locust(stub("hello"), manifest, "--run-time", "1h")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    # Users in a closed loop would have asked thousands of times.
    assert 0 < row["num_requests"] < 500
    assert row["num_failures"] == 0


def test_a_shape_that_is_none_is_explained(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOBENCH_SHAPE", "steps:up")
    done = locust(1, manifest)
    assert done.returncode == 2
    assert "hint: write steps:" in done.stderr
    assert "Traceback" not in done.stderr
