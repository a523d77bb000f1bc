"""A target served in the foreground: with what it is asked, how it is stopped, what it leaves."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import urllib.request
from pathlib import Path

import pytest

from tests.harness.live import ROOT, Isobench, needs_root, until


@needs_root
def test_a_target_is_served_until_it_is_stopped(isobench: Isobench, tmp_path: Path) -> None:
    def url() -> str:
        words = (tmp_path / "out").read_text().split()
        return next((word for word in words if word.endswith("/hello.py")), "")

    with isobench.started("serve", "ruid2", "--port", "0", "--tenants", "1") as process:
        request = urllib.request.Request(until(url), headers={"Host": "t0001.localhost"})
        with urllib.request.urlopen(request) as reply:
            assert reply.read().startswith(b"isobench tenant=t0001 uid=")
        process.terminate()
        ended = isobench.end_of(process)
    assert (ended.code, ended.err) == (0, "")
    assert isobench.lasting_traces() == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(request)


@needs_root
def test_a_target_is_served_in_a_terminal_that_no_script_gets_at(
    isobench: Isobench, tmp_path: Path
) -> None:
    """Ctrl-C ends it; what a script says is shown, without control characters."""
    operators, programs = pty.openpty()

    def take() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    command = [
        sys.executable,
        *(["-m", "harness", "serve", "dso", "--port", "0", "--tenants", "1"]),
    ]
    environment = {**os.environ, "TMPDIR": str(isobench.temporary), "COLUMNS": "160"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        preexec_fn=take,
        stdin=programs,
        stdout=programs,
        stderr=programs,
    )
    shown = b""

    def read_until(word: bytes) -> bytes:
        nonlocal shown
        while word not in shown:
            assert select.select([operators], [], [], 60)[0], shown
            shown += os.read(operators, 4096)
        return shown

    try:
        read_until(b"stop it:")
        (url,) = re.findall(r"http://127.0.0.1:\d+/hello.py", shown.decode())
        (script,) = isobench.temporary.glob("*/sites/t0001/hello.py")
        script.write_text(
            "import os\nos.write(2, b'said \\x1b[2J\\n')\nprint('Content-Type: text/plain\\n')\n"
            "print(os.isatty(2), os.path.exists('/proc/self/fd/2'))\n"
            "try:\n    os.read(2, 1)\nexcept OSError as e:\n    print(e.strerror)\n"
        )
        os.write(operators, b"what the operator types\n")
        request = urllib.request.Request(url, headers={"Host": "t0001.localhost"})
        with urllib.request.urlopen(request) as reply:
            assert reply.read() == b"False True\nBad file descriptor\n"
        assert b"\x1b[2J" not in read_until(b"said \\x1b[2J")
        os.write(operators, b"\x03")
        assert process.wait(60) == 128 + signal.SIGINT or process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(operators)
        os.close(programs)
    assert isobench.lasting_traces() == []


@needs_root
def test_a_target_that_goes_by_its_clients_says_how_to_be_one(
    isobench: Isobench, tmp_path: Path
) -> None:
    def attempt() -> list[str]:
        lines = (tmp_path / "out").read_text().splitlines()
        return next((line.split()[2:] for line in lines if line.startswith("try it:")), [])

    with isobench.started("serve", "suzuki", "--port", "0", "--tenants", "1") as process:
        asked = subprocess.run(until(attempt), cwd=ROOT, capture_output=True, check=True)
        assert asked.stdout.endswith(b"Hello from t0001\n")
        process.terminate()
        ended = isobench.end_of(process)
    assert (ended.code, ended.err) == (0, "")
    assert "ISOBENCH_RUNS_AS=client ISOBENCH_CREDENTIAL_KEY=/" in ended.out
    assert isobench.lasting_traces() == []


@needs_root
def test_what_is_told_to_try_reaches_tenants_who_have_addresses_of_their_own(
    isobench: Isobench, tmp_path: Path
) -> None:
    def told(word: str) -> str:
        lines = (tmp_path / "out").read_text().splitlines()
        return next((line.partition(":")[2] for line in lines if line.startswith(word)), "")

    with isobench.started("serve", "address", "--port", "0", "--tenants", "2") as process:
        until(lambda: told("stop it"))
        (url,) = re.findall(r"http://\S+", told("try it"))
        request = urllib.request.Request(url, headers={"Host": "t0001.localhost"})
        with urllib.request.urlopen(request) as reply:
            assert reply.read().endswith(b"Hello from t0001\n")
        *settings, _locust, _f, file, _host, server = told("load it").split()
        command = [*("-m", "locust", "-f", file), *("--host", server, "--headless", "--json")]
        loaded = subprocess.run(
            [sys.executable, *command, "--users", "2", "--run-time", "1s"],
            env={**os.environ, **dict(one.split("=", 1) for one in settings)},
            capture_output=True,
            check=False,
        )
        assert loaded.returncode == 0, loaded.stderr.decode()
        process.terminate()
        isobench.end_of(process)
    assert isobench.lasting_traces() == []


@needs_root
def test_a_port_in_use(isobench: Isobench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = isobench.call("serve", "dso", "--port", str(port))
    assert ended.code == 2
    assert f"error: cannot listen on 127.0.0.1:{port}: Address already in use" in ended.err
    assert "hint: choose another --port" in ended.err
    assert "Traceback" not in ended.err
    assert "try it" not in ended.out
    assert isobench.lasting_traces() == []
