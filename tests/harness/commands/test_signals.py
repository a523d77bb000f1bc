"""Whatever ends a run: nothing of it stays, finished trials are kept, and it can go on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.commands.signals import Interrupted, interruptible
from tests.harness.live import (
    ROOT,
    RUN,
    TRIALS,
    Isobench,
    Process,
    children,
    first_attempts,
    needs_root,
    trials_in,
    until,
)

Send = Callable[[Process], None]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_becomes_an_exception_and_the_next_are_ignored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible():
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        for another in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(another)
    assert caught.value.number == number
    assert signal.getsignal(number) == before


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def once(number: signal.Signals) -> Send:
    return lambda process: process.send_signal(number)


def ctrl_c(process: Process) -> None:
    """As a terminal does it, to the whole group, and by somebody impatient."""
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)


@needs_root
@pytest.mark.parametrize(
    ("send", "code"),
    [
        pytest.param(ctrl_c, 130, id="Ctrl-C"),
        pytest.param(once(signal.SIGTERM), 143, id="SIGTERM"),
        pytest.param(once(signal.SIGHUP), 129, id="SIGHUP"),
        pytest.param(once(signal.SIGKILL), -signal.SIGKILL, id="SIGKILL"),
    ],
)
def test_an_interrupted_run_leaves_nothing_and_can_go_on(
    isobench: Isobench, tmp_path: Path, send: Send, code: int
) -> None:
    out = tmp_path / "results"
    with isobench.started(*RUN, "--out", out) as process:
        until(lambda: trials_in(out))
        send(process)
        ended = isobench.end_of(process)
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert isobench.lasting_traces() == []
    made = trials_in(out)
    assert 1 <= len(made) < TRIALS
    if code > 0:
        assert f"stopped: {len(made)} of " in ended.out
        assert f"isobench run --resume {out}" in ended.out

    resumed = isobench.call("run", "--resume", out, "--no-report")
    assert resumed.code == 0, resumed.err
    trials = trials_in(out)
    assert trials[: len(made)] == made
    names = [name for name, _ in trials]
    assert len(set(names)) == len(names)
    assert len(first_attempts(names)) == TRIALS
    assert isobench.lasting_traces() == []


@needs_root
def test_a_killed_generator_ends_the_run_with_a_reason(isobench: Isobench, tmp_path: Path) -> None:
    out = tmp_path / "results"
    with isobench.started(*RUN, "--out", out) as process:
        until(lambda: trials_in(out))
        (server,) = children(process.pid, "workloads.load.forkserver")
        generator, *_ = children(server, "workloads.load.forkserver")
        os.kill(generator, signal.SIGKILL)
        ended = isobench.end_of(process)
    assert ended.code == 2
    assert ended.err.startswith("error: the load generator ended unexpectedly")
    assert "\nhint: " in ended.err
    assert "Traceback" not in ended.err
    assert 1 <= len(trials_in(out)) < TRIALS
    assert isobench.lasting_traces() == []


class Finalized:
    """An object whose end is the moment at which a signal arrives."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_an_exception_that_nothing_let_out_is_raised_again() -> None:
    with interruptible():
        Finalized()
        with pytest.raises(Interrupted) as caught:
            until(lambda: False)
    assert caught.value.number == signal.SIGTERM


STARTING = f"""
import sys, os
class Interrupting:
    def find_spec(self, name, *_):
        if name == "harness.cli":
            os.kill(os.getpid(), {signal.SIGINT:d})
sys.meta_path.insert(0, Interrupting())
from harness.__main__ import main
sys.exit(main())
"""


def test_a_command_that_is_interrupted_while_it_is_loaded_says_nothing_of_where() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STARTING, "list"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr, ended.stdout) == (130, "ended by SIGINT\n", "")
