"""What users get wrong: each time a reason, a remedy and exit code 2, never a traceback."""

import fcntl
import importlib.metadata
import json
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import cli
from harness.commands import run
from harness.plan.extent import QUICK, USUAL
from harness.plan.interleaving import SHORTEST_S
from harness.plan.plan import Plan
from harness.plan.stopping import MOST_BLOCKS
from harness.results.folder import ResultsFolder
from tests.harness import folders
from tests.harness.live import BLOCKS, MANIFEST, ROOT, RUN, Isobench, needs_root, trials_in, until

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
        ("run --modes dos", "unknown mode 'dos'", "did you mean dso?"),
        ("run --modes cgi:spawn=vfork", "cgi has no factor 'spawn=vfork'", "it has cgi:spawn="),
        ("run --modes ,", "no targets are chosen", "name at least one, or omit the option"),
        ("run --workload hallo", "unknown workload 'hallo'", "known workloads: hello"),
        ("run --workload page:5", "'page:5' does not say how much CPU time", "write it like page:"),
        ("run --client curl", "unknown client 'curl'", "choose one of compiled, lean, fasthttp"),
        ("run --load half", "'half' is not a load", "write closed:N"),
        ("run --load open:5:daily", "unknown schedule 'daily'", "poisson, uniform"),
        ("run --load open:0", "0 requests a second cannot be offered", "from 0.001"),
        ("run --load open:5 --outstanding 0", "must be above zero", "omit --"),
        ("run --load open:5 --client fasthttp", "cannot send at intended times", "--client lean"),
        ("run --load closed:-1", "'closed:-1' is not a load", "write closed:N"),
        ("run --load=", "no loads are chosen", "name at least one, or omit the option"),
        ("run --load closed:9 --workers 8", "9 users starve on 8 workers", "--workers 9"),
        ("run --connection reuse", "unknown connection handling 'reuse'", "close, keep-alive"),
        ("run --popularity zapf", "zapf", "zipf"),
        ("run --blocks -1", "must be above zero", "omit --"),
        ("run --precision 3", "'3' is not a percentage", "--precision 3%"),
        ("run --budget 10", "--budget '10' is not a time", "--budget 20ms, 90s, 10m or 1.5h"),
        ("run --smallest-effect none", "'none' is not a percentage", "--smallest-effect 3%"),
        ("run --load open:5 --precision 3%", "an open load's rate is given", "closed:8"),
        ("run --seconds nan", "must be above zero", "omit --"),
        ("run --tenants 0", "must be above zero", "omit --"),
        ("run --modes cgi:", "ends where a factor should follow", "write cgi"),
        ("run --workers 0 --connection close", "must be above zero", "omit --"),
        ("run --resume /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("report /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("serve dos", "unknown mode 'dos'", "did you mean dso?"),
        ("compare /nowhere /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("compare a b --fail-if p99_ms>10", "'p99_ms>10' cannot be read", "write METRIC"),
        ("compare a b --fail-if p50<1%", "names an unknown metric", "p50_ms"),
        ("compare a b --metric speed", "'speed' is not a metric", "requests_per_second"),
        ("compare a b --metric ,", "no metric is chosen", "requests_per_second"),
        ("compare a b --format html", "unknown format 'html'", "table, markdown, csv, junit"),
        ("compare a b --smallest-effect 3", "'3' is not a percentage", "--smallest-effect 3%"),
        ("export /nowhere", "/nowhere is not a results folder", "name the folder"),
        ("export /nowhere --format csv", "cannot export to the format 'csv'", "choose pyperf"),
        ("doctor --modes dos", "unknown mode 'dos'", "did you mean dso?"),
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


@pytest.mark.parametrize(
    "arguments",
    [
        "run --blokcs 3",
        "run --blocks three",
        "run --seed -4",
        "rum",
        "serve",
        "serve dso --port 70000",
    ],
)
def test_what_is_no_command_at_all(say: Say, arguments: str) -> None:
    code, written = say(*arguments.split())
    assert code == 2
    assert "--help" in written


@pytest.mark.parametrize(
    ("arguments", "seconds", "blocks"),
    [
        ("", USUAL.seconds, MOST_BLOCKS),
        ("--quick", QUICK.seconds, MOST_BLOCKS),
        ("--slices off", USUAL.alone_seconds, USUAL.blocks),
        ("--quick --seconds 0.7 --blocks 4", 0.7, 4),
    ],
)
def test_what_is_said_counts_more_than_quick(
    say: Say, monkeypatch: pytest.MonkeyPatch, arguments: str, seconds: float, blocks: int
) -> None:
    plans: list[Plan] = []
    monkeypatch.setattr(run, "start", lambda plan, *_: plans.append(plan))
    assert say("run", "--modes", "dso", *arguments.split()) == (0, "")
    assert [(plan.seconds, plan.blocks) for plan in plans] == [(seconds, blocks)]


def test_the_documentation_names_the_lengths_of_today() -> None:
    page = " ".join((ROOT / "docs" / "measuring.md").read_text().split())
    assert f"slices of {1000 * SHORTEST_S:g} ms or longer" in page
    assert f"{USUAL.seconds:g} s in all for each target of a block (`--seconds`)" in page
    assert f"within ±{100 * USUAL.precision:g}%" in page
    assert f"budget of {USUAL.budget_s:g} s for each condition" in page
    assert (
        f"`--quick` ({QUICK.seconds:g} s for each target of a block, ±{100 * QUICK.precision:g}%, "
        f"{QUICK.budget_s:g} s for each condition)" in page
    )


@pytest.fixture(name="runs")
def _runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of one machine, the second a fifth slower."""
    slower = {name: 0.8 * rate for name, rate in folders.RATES.items()}
    return (
        folders.write_folder(tmp_path / "base", folders.BASE),
        folders.write_folder(tmp_path / "new", folders.NEW, slower, seed=2),
    )


def test_two_runs_beside_each_other(say: Say, runs: tuple[Path, Path]) -> None:
    assert say("compare", *runs) == (0, "")
    assert say("compare", *runs, "--fail-if", "requests_per_second < -30%") == (0, "")
    code, written = say("compare", *runs, "--fail-if", "cgi: requests_per_second < -5%")
    assert code == 1
    error, hint = written.splitlines()
    assert error.startswith("error: --fail-if holds with confidence: 'cgi: requests_per_second")
    assert "at cgi -" in error
    assert hint.startswith("hint: ")


def test_a_comparison_is_written_before_it_fails(
    say: Say, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    bound = ("--fail-if", "p99_ms > 10%")
    for form in ("table", "markdown", "csv", "junit"):
        out = tmp_path / form
        code, written = say("compare", *runs, *bound, "--format", form, "--out", out)
        assert code == 1
        assert written.startswith(f"written: {out}\nerror: --fail-if holds")
        assert "dso" in out.read_text()
    code, written = say("compare", *runs, "--out", tmp_path)
    assert code == 2
    assert written.startswith(
        f"error: cannot write {tmp_path}: Is a directory\nhint: choose another"
    )


def test_runs_of_two_machines(say: Say, runs: tuple[Path, Path], tmp_path: Path) -> None:
    machine = {**folders.NEW.machine, "cpu": "Another CPU"}
    other = folders.write_folder(tmp_path / "other", replace(folders.NEW, machine=machine))
    code, written = say("compare", runs[0], other)
    assert code == 2
    assert "made on different machines: machine.cpu is Example CPU and Another CPU" in written
    assert "add --force" in written
    assert say("compare", runs[0], other, "--force") == (0, "")


def test_damaged_runs_are_not_compared(say: Say, runs: tuple[Path, Path]) -> None:
    (runs[1] / "trials.parquet").write_bytes(b"nothing")
    code, written = say("compare", *runs)
    assert code == 2
    assert "trials.parquet is damaged" in written
    (runs[0] / "run.json").write_text("{")
    code, written = say("compare", *runs)
    assert code == 2
    assert "run.json is damaged" in written


def test_a_run_for_pyperf(say: Say, runs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    assert say("export", runs[0], "--out", out) == (0, f"written: {out}\n")
    assert len(json.loads(out.read_text())["benchmarks"]) == 2


def test_a_folder_that_another_run_writes_to(say: Say, tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path / "out", MANIFEST):
        code, written = say("run", "--resume", tmp_path / "out")
    assert code == 2
    assert written.startswith(f"error: another isobench is writing to {tmp_path / 'out'}\nhint: ")


def test_a_thread_that_cannot_be_made(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(cli, "app", refuse)
    code, written = say("doctor")
    assert code == 1
    assert written.startswith("error: cannot start a thread: can't start new thread\nhint: raise")


@needs_root
def test_no_room_for_the_results(isobench: Isobench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    isobench.prefix = ("unshare", "--mount", "sh", "-c", SMALL, disk)
    ended = isobench.call(*RUN, "--out", disk / "out")
    assert ended.code == 2
    assert "error: cannot write " in ended.err
    assert "No space left on device\nhint: free space" in ended.err
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
    assert "No space left on device\nhint: free space" in ended.err
    assert "continue with: isobench run --resume" in ended.out
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
    assert result.stderr == "error: unknown mode 'dos'\nhint: did you mean dso?\n"


def test_the_version_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["isobench", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().out == f"isobench {importlib.metadata.version('isobench')}\n"


def test_options_may_repeat_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness.commands import run

    plans = []
    monkeypatch.setattr(run, "start", lambda plan, *_: plans.append(plan))
    words = "run --modes dso,cgi,dso --load closed:2,closed:2 --connection close,close"
    monkeypatch.setattr(sys, "argv", ["isobench", *words.split()])
    assert cli.main() == 0
    (plan,) = plans
    assert json.loads(json.dumps(plan.to_json()))["targets"] == ["dso", "cgi"]
    assert len(list(plan.trials())) == 2 * plan.blocks


@pytest.mark.parametrize(
    ("words", "blocks", "precision", "budget_s"),
    [
        ("", 200, 0.05, 270.0),
        ("--quick", 200, 0.15, 74.0),
        ("--slices off", 5, None, None),
        ("--quick --blocks 9", 9, None, None),
        ("--precision 3%", 200, 0.03, None),
        ("--quick --budget 90s", 200, 0.15, 90.0),
        ("--precision 2.5% --budget 10m --blocks 30", 30, 0.025, 600.0),
    ],
)
def test_how_long_a_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    blocks: int,
    precision: float | None,
    budget_s: float | None,
) -> None:
    from harness.commands import run

    plans = []
    monkeypatch.setattr(run, "start", lambda plan, *_: plans.append(plan))
    monkeypatch.setattr(sys, "argv", ["isobench", "run", "--modes", "dso", *words.split()])
    assert cli.main() == 0
    (plan,) = plans
    assert (plan.blocks, plan.precision, plan.budget_s) == (blocks, precision, budget_s)
    assert plan.open_ended == (blocks in (200, 30))
