"""The load generator as a running process: one for a whole run, fed with one trial at a time."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import Caution, IsobenchError, way_out_of_limit
from harness.host.surroundings import clean_environment
from harness.target.line_process import Gone, Message, Speaking
from harness.target.run_resources import RunResources
from harness.target.targets import folder_of
from harness.trial.generators.forked_generators import ForkServer
from workloads.load.clients import library

_STOP_S = 5.0
# Beyond the time of its trial: it asks every tenant once before, and waits for answers after.
_PATIENCE_S = 300.0

Event = Message

_BUILDING = threading.Lock()


_NEEDED = ("locust", "gevent", "numpy", "httptools")


@cache
def compiled_client_obstacle() -> str | None:
    """Return why this host has no compiled client, None if it has one: it builds and loads it.

    What is built is removed whatever ends this process in the middle of it.
    """
    with RunResources() as resources:
        return library.obstacle(resources.scratch)


def usual_client() -> tuple[str, tuple[Caution, ...]]:
    """Return the client that generates the load unless told otherwise, and what is to be said."""
    reason = compiled_client_obstacle()
    if reason is None:
        return "compiled", ()
    about = f"the load comes from the client in Python, which is slower: {reason}"
    return "lean", (Caution(about, library.REMEDY),)


class GeneratorFailed(IsobenchError):
    """The generator itself is gone, and with it the means to go on."""


class LoadFailed(IsobenchError):
    """A load could not be put on, or verification failed; `evidence` is the offending response."""

    def __init__(self, message: str, hint: str, evidence: Event | None) -> None:
        super().__init__(message, hint)
        self.evidence = evidence


def import_path() -> list[str]:
    """Return where a generator finds itself, and what it needs beyond the environment's own."""
    usual = site.getsitepackages()
    others = (str(folder_of(name)) for name in _NEEDED)
    mine = str(folder_of("workloads"))
    return list(dict.fromkeys([mine, *(folder for folder in others if folder not in usual)]))


class Generator:
    """A context around `python -m workloads.load.generator`, whose docstring has the protocol.

    It takes a second to start. Whoever starts many enters them all, then calls `wait` of each.
    """

    def __init__(
        self,
        cpus: Sequence[int],
        log: Path,
        start_on: Sequence[int] = (),
        program: Sequence[str] = ("workloads.load.generator",),
        telemetry: Mapping[str, str] | None = None,
        forks: ForkServer | None = None,
    ) -> None:
        """It runs on the processors `cpus`; until it is ready on `start_on`, unless that is ().

        `program` is the module with its arguments: `several_hosts.master` speaks as it does.
        With `telemetry`, a few variables, it exports to OpenTelemetry. With `forks` it is forked,
        whatever its program, and ready at once.
        """
        self._program = program if telemetry is None else (*program, "--otel")
        self._telemetry = telemetry or {}
        self._start = forks.fork if forks else subprocess.Popen
        self._cpus = cpus
        self._start_on = start_on or cpus
        self._log = log
        self._greeting: Event | None = None

    def __enter__(self) -> Self:
        try:
            self._process = Speaking(
                [sys.executable, "-P", "-m", *self._program],
                self._log,
                environment=clean_environment(
                    {"PYTHONPATH": os.pathsep.join(import_path()), **self._telemetry}
                ),
                start=self._start,
            )
        except OSError as error:
            raise GeneratorFailed(
                f"the load generator did not start: {error}",
                hint="check whether memory ran out (dmesg), then continue with --resume",
            ) from error
        if self._start_on:
            os.sched_setaffinity(self._process.pid, self._start_on)
        return self

    def wait(self) -> Event:
        """Wait until it is ready, and return what it says of itself. Raises GeneratorFailed."""
        if self._greeting is None:
            self._greeting = self._next()
            if self._cpus:
                for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), self._cpus)
        return self._greeting

    @property
    def versions(self) -> dict[str, str]:
        """The versions of what generates the load. Raises GeneratorFailed."""
        return {
            name: version for name, version in self.wait().items() if name in ("locust", "gevent")
        }

    def trial(self, command: Event, on_event: Callable[[str, float], None]) -> Event:
        """Put one trial's load on and return its `done` event.

        `on_event` is called with `measuring` and `measured`, as they happen, and their time on
        CLOCK_MONOTONIC; before these, where the command has `turns`, with `standing by`, and then
        has to call `begin`. Whatever it raises ends the trial here, while the generator goes on
        with it until its window ends. Raises LoadFailed, and GeneratorFailed when there is no
        generator to go on with.
        """
        self.wait()
        if command.get("client") == "compiled" and not command.get("elsewhere"):
            command = {**command, "library": str(self._library())}
        self._send(command)
        while True:
            event = self._next(_length_of(command))
            if event.get("trial", command["trial"]) != command["trial"]:
                continue  # of the trial before, which `on_event` broke off
            if event["event"] == "done":
                return event
            if event["event"] == "failed":
                raise LoadFailed(event["reason"], event["hint"], event.get("evidence"))
            on_event(event["event"], event["at"])

    def gather(self, count: int, within_s: float) -> list[Event]:
        """Have a master wait for so many generators; return who they are. Raises LoadFailed."""
        self._send({"gather": count, "within_s": within_s})
        event = self._next(within_s)
        if event["event"] == "failed":
            raise LoadFailed(event["reason"], event["hint"], None)
        found: list[Event] = event["generators"]
        return found

    def begin(self, epoch: float) -> None:
        """Give the trial that is standing by the moment at which its turns begin.

        To be called from `on_event`. `epoch` is on CLOCK_MONOTONIC, in seconds.
        """
        self._send({"epoch": epoch})

    def _library(self) -> Path:
        """Return the compiled client's library, built for the whole run by whoever is first."""
        path = self._log.with_name("closed_loop.so")
        with _BUILDING:
            if not path.exists():
                try:
                    library.build(path)
                except library.NotBuilt as error:
                    raise IsobenchError(str(error), hint=error.hint) from None
        return path

    def _send(self, message: Event) -> None:
        try:
            self._process.tell(json.dumps(message))
        except Gone:
            raise self._failure() from None

    def _next(self, trial_s: float = 0.0) -> Event:
        try:
            return self._process.hear(trial_s + _PATIENCE_S)
        except Gone:
            raise self._failure() from None

    def _failure(self) -> GeneratorFailed:
        fate = self._process.fate()
        line = self._process.last_line()
        return GeneratorFailed(
            f"the load generator ended unexpectedly ({fate})" + (f": {line}" if line else ""),
            hint=_remedy(line),
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()  # in the middle of a trial it does not look at its stdin
        self._process.stop(_STOP_S)


def _length_of(command: Event) -> float:
    """Return the seconds that a trial lasts at most, with the turns of others."""
    seconds: float = command.get("warmup_s", 0.0) + command.get("measure_s", 0.0)
    turns = command.get("turns") or {}
    loads: int = turns.get("loads", 1)
    wake_s: float = command.get("wake_s", 0.0)
    return wake_s + seconds * loads


def _remedy(line: str) -> str:
    """Return what helps a generator that has ended with this line."""
    way_out = way_out_of_limit(line) or "check whether memory ran out (dmesg)"
    return f"{way_out}, then continue with --resume"
