"""What users get wrong: each time a reason, a remedy and exit code 2, never a traceback."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.results import ResultsFolder
from tests.harness.live import BLOCKS, MANIFEST, RUN, Isobench, needs_root, trials_in, until

# In a mount namespace of its own, so that the host does not see the small disk; `$0` is where.
SMALL = 'mount -t tmpfs -o size=4k none "$0" && "$@"; code=$?; ls -A "$0/out"; exit $code'
FILLS_UP = """
mount -t tmpfs -o size=128k none "$0" || exit
(until [ -e "$0/results/trials.parquet" ]; do sleep 0.02; done; cat /dev/zero >"$0/filler") &
"$@"
code=$?
kill $! || true
cp -r "$0/results" "$0/.."
exit $code
"""

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Calls the command in this process; returns its exit code and what it wrote to stderr."""

    def words(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["isobench", *map(str, arguments)])
        return cli.main(), capsys.readouterr().err

    return words


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ("run --modes dos", "there is no mode 'dos'", "did you mean dso?"),
        ("run --modes cgi:spawn=vfork", "cgi has no factor 'spawn=vfork'", "it has cgi:spawn="),
        ("run --modes ,", "no targets are chosen", "name one, or leave the option out"),
        ("run --workload hallo", "there is no workload 'hallo'", "known workloads: hello"),
        ("run --client curl", "there is no client 'curl'", "choose of lean, fasthttp"),
        ("run --load open:5", "'open:5' is not a load", "write closed:N"),
        ("run --load closed:-1", "'closed:-1' is not a load", "write closed:N"),
        ("run --load=", "no loads are chosen", "name one, or leave the option out"),
        ("run --load closed:9 --workers 8", "9 users starve on 8 workers", "--workers 9"),
        ("run --connection reuse", "'reuse' says nothing of connections", "close, keep-alive"),
        ("run --popularity zapf", "zapf", "zipf"),
        ("run --blocks -1", "must be more than nothing", "leave them out"),
        ("run --seconds nan", "must be more than nothing", "leave them out"),
        ("run --tenants 0", "must be more than nothing", "leave them out"),
        ("run --workers 0 --connection close", "must be more than nothing", "leave them out"),
        ("run --resume /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("report /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("serve dos", "there is no mode 'dos'", "did you mean dso?"),
        ("doctor --modes dos", "there is no mode 'dos'", "did you mean dso?"),
    ],
)
def test_wrong_words(say: Say, arguments: str, error: str, hint: str) -> None:
    code, written = say(*arguments.split())
    first, second = written.splitlines()
    assert code == 2
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second


@pytest.mark.parametrize("arguments", ["run --blokcs 3", "run --blocks three", "rum", "serve"])
def test_what_is_no_command_at_all(say: Say, arguments: str) -> None:
    code, written = say(*arguments.split())
    assert code == 2
    assert "--help" in written


def test_a_folder_that_another_run_writes_to(say: Say, tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path / "out", MANIFEST):
        code, written = say("run", "--resume", tmp_path / "out")
    assert code == 2
    assert written.startswith(f"error: another isobench writes to {tmp_path / 'out'}\nhint: ")


@needs_root
def test_no_room_for_the_results(isobench: Isobench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    isobench.prefix = ("unshare", "--mount", "sh", "-c", SMALL, disk)
    ended = isobench.call(*RUN, "--out", disk / "out")
    assert ended.code == 2
    assert "error: cannot write " in ended.err
    assert "No space left on device\nhint: make room" in ended.err
    assert "Traceback" not in ended.err
    assert ".partial" not in ended.out
    assert isobench.lasting_traces() == []


@needs_root
def test_a_disk_that_fills_up_keeps_what_was_measured(isobench: Isobench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    isobench.prefix = ("unshare", "--mount", "sh", "-c", FILLS_UP, disk)
    ended = isobench.call(*RUN, "--out", disk / "results")
    assert ended.code == 2
    assert "No space left on device\nhint: make room" in ended.err
    assert "go on with: isobench run --resume" in ended.out
    assert 1 <= len(trials_in(tmp_path / "results")) < BLOCKS
    assert isobench.lasting_traces() == []


@needs_root
def test_a_folder_that_may_not_be_written_to(isobench: Isobench) -> None:
    ended = isobench.call(*RUN, "--out", "/proc/results")
    assert ended.code == 2
    assert ended.err.startswith("error: cannot write /proc/results")
    assert "\nhint: " in ended.err
    assert isobench.lasting_traces() == []


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


def test_the_command_as_a_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--modes", "dos"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == "error: there is no mode 'dos'\nhint: did you mean dso?\n"


def test_options_may_repeat_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness import session

    plans = []
    monkeypatch.setattr(session, "start", lambda plan, *_: plans.append(plan))
    words = "run --modes dso,cgi,dso --load closed:2,closed:2 --connection close,close"
    monkeypatch.setattr(sys, "argv", ["isobench", *words.split()])
    assert cli.main() == 0
    (plan,) = plans
    assert json.loads(json.dumps(plan.to_json()))["targets"] == ["dso", "cgi"]
    assert len(list(plan.trials())) == 2 * plan.blocks
