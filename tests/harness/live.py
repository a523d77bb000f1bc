"""isobench as a command of its own, and what a test wants to see of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, TypeVar

import pytest

from harness.host import cgroup
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from tests.harness.forked_commands import Commands

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds after which something that does not happen fails the test."""
BLOCKS = 3
RUN = (
    "run", "--modes", "dso", "--connection", "close", "--tenants", "2", "--seed", "5",
    "--blocks", str(BLOCKS), "--seconds", "0.2",
)  # fmt: skip
"""A run of three short trials, and as many of what the generator itself can do."""
TRIALS = 2 * BLOCKS
COMMANDS = Commands()
"""Forks the commands of this process's tests, which end it when they are over."""

Seen = TypeVar("Seen")

Say = Callable[..., tuple[int, str]]
"""Calls the command in this process; returns its exit code and what it wrote to stderr."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other identities")

MANIFEST = Manifest(
    run_id="20260301T120000Z-07",
    isobench="0.1.0",
    commit=None,
    started_at="2026-03-01T12:00:00+00:00",
    argv=("isobench", "run"),
    arguments={},
    seed=7,
    plan={},
    machine={},
    versions={},
    targets=(),
    interpreter={},
    cores={},
)


class Process(Protocol):
    """A command that goes on, or has ended."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit status, None where it has not ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status, once it has ended."""

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass
class Isobench:
    """The command with a directory of its own for temporary things, to see what it leaves there.

    Its reports have figures where they are `drawn`. Its process is forked from one that has
    imported it already, unless the test is about a `fresh` one or has a `prefix` start it.
    """

    directory: Path
    prefix: Sequence[str | Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    drawn: bool = False
    fresh: bool = False

    def __post_init__(self) -> None:
        self.temporary = self.directory / "temporary"
        self.temporary.mkdir()
        self._pids: list[int] = []

    @contextmanager
    def started(self, *arguments: str | Path) -> Iterator[Process]:
        """Start the command, leader of a process group; what it writes goes to `out` and `err`."""
        own = {"TMPDIR": str(self.temporary), "COLUMNS": "160"}
        environment = {**os.environ, **own, **self.environment}
        with open(self.directory / "out", "w") as out, open(self.directory / "err", "w") as err:
            if self.fresh or self.prefix:
                process = self._fresh(arguments, environment, (out, err))
            else:
                words = [str(word) for word in arguments]
                process = COMMANDS.start(words, environment, (out, err), drawn=self.drawn)
            self._pids.append(process.pid)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def _fresh(
        self,
        arguments: Sequence[str | Path],
        environment: Mapping[str, str],
        streams: Sequence[IO[str]],
    ) -> Process:
        program = "harness" if self.drawn else "tests.harness.undrawn"
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", program, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=streams[0],
            stderr=streams[1],
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: str | Path) -> Ended:
        """Carry the command out to its end."""
        with self.started(*arguments) as process:
            return self.end_of(process)

    def end_of(self, process: Process) -> Ended:
        """Wait for the end of a command that was started."""
        code = process.wait(PATIENCE)
        texts = ((self.directory / name).read_text() for name in ("out", "err"))
        return Ended(code, *texts)

    def lasting_traces(self) -> list[str]:
        """Return what is left of all commands so far, once that does not change to nothing."""
        deadline = time.monotonic() + PATIENCE
        while (left := list(self.traces())) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def traces(self) -> Iterator[str]:
        """Yield every process, file, mount and cgroup of the commands so far that is there now."""
        word = os.fsencode(self.temporary)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if any(word in (process / name).read_bytes() for name in ("cmdline", "environ")):
                    yield f"{process}: {(process / 'cmdline').read_bytes()!r}"
            except OSError:
                continue  # it ended meanwhile
        yield from map(str, self.temporary.iterdir())
        if word in Path("/proc/self/mountinfo").read_bytes():
            yield f"a mount below {self.temporary}"
        if parent := cgroup.own_directory():
            for pid in self._pids:
                yield from map(str, parent.glob(f"{cgroup.PREFIX}{pid}-*"))


def until(look: Callable[[], Seen]) -> Seen:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return seen


def trials_in(path: Path) -> list[tuple[str, str]]:
    """Return the name and the start of each trial in a results folder; none before there is one."""
    if not (path / "run.json").exists():
        return []
    trials = ResultsFolder.open(path).trials()
    return list(zip(trials["trial"], trials["started_at"], strict=True))


def first_attempts(names: Iterable[str]) -> list[str]:
    """Return these names of trials without those of disturbed trials that were made again."""
    return [name for name in names if not name.endswith("/2")]


def children(pid: int, word: str) -> list[int]:
    """Return the processes below `pid` whose command line has this word."""
    result = subprocess.run(
        ["ps", "--no-headers", "-o", "pid:1,args", "--ppid", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.partition(" ") for line in result.stdout.splitlines()]
    return [int(child) for child, _, command in lines if word in command]
