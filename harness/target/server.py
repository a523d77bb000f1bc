"""A target as a running process: started, asked what it has used, stopped."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from harness.errors import IsobenchError, way_out_of_limit
from harness.host.cgroup import ProcessGroup
from harness.host.polling import wait_until
from harness.target import randomization
from harness.target.aborts import Aborts
from harness.target.line_process import Gone, Message, Process, Speaking
from harness.target.targets import Refusal, Target, server_command
from workloads import credential

_STOP_S = 10.0
_LOOPBACK = "127.0.0.1"
_COUNTED_S = 5.0
_STARTED_S = 120.0
_GOING_S = 0.5
_ANSWERED_S = 20.0

_giving = threading.Lock()
_given: dict[int, float] = {}
"""When each port was given to a server, on the monotonic clock; under `_giving`."""


class ServerFailed(IsobenchError):
    """A server did not start, or died; the message ends with the last line that it wrote.

    `evidence` is the message with what it wrote before, such as the rest of a traceback.
    """

    def __init__(self, message: str, hint: str, evidence: str = "") -> None:
        super().__init__(message, hint)
        self.evidence = evidence or message


@dataclass(frozen=True)
class Site:
    """Where servers find their tenants, and who they are themselves; the same for all targets.

    In `programs` they keep what they compile, for those that come after them.
    """

    sites: Path
    private: Path
    www_uid: int
    www_gid: int
    privileged: bool
    log: Path
    cpus: tuple[int, ...] = ()
    programs: Path | None = None

    @property
    def credential_key(self) -> Path:
        """Where the key is that a server shares with its clients, if it goes by their identity."""
        return self.private.with_name("credential.key")

    def arguments(self, target: Target) -> list[str]:
        """Return the arguments of a server of this target; its key, if it needs one, is new."""
        arguments = [target.mode, "--sites", str(self.sites), "--private", str(self.private)]
        if self.programs is not None and not target.is_peer:
            arguments += ["--programs", str(self.programs)]
        if self.privileged:
            arguments += ["--www", f"{self.www_uid}:{self.www_gid}"]
        if self.cpus:
            arguments += ["--cpus", ",".join(map(str, self.cpus))]
        if target.by_client:
            arguments += ["--credential-key", str(credential.make_key(self.credential_key))]
        for option, value in target.options.items():
            arguments += ["--option", f"{option}={value}"]
        for module in target.modules:
            arguments += ["--module", str(module)]
        if target.slowdown_us is not None:
            arguments += ["--slowdown-us", f"{target.slowdown_us:.3f}"]
        if target.mechanism is not None:
            arguments += ["--mechanism", target.mechanism]
        if target.stamps is not None:
            arguments += ["--phases", str(target.stamps)]
        return arguments


@dataclass(frozen=True)
class ServerUsage:
    """What a server says of itself since its start; see `servers.front.master.pool`.

    `processes_made` is None where the server has no pid namespace of its own. A real product does
    not tell how many requests it has `served` (None), nor its context switches (NaN).
    `worker_starts` and `evictions` come from modes that start and end tenants' workers and tell.
    `compiled` is the number of scripts that the pool's workers did not find in their code caches;
    None where none of them compiles any.
    """

    served: int | None
    cpu_s: float
    page_faults: float
    context_switches: float
    processes_made: int | None
    worker_starts: int | None = None
    evictions: int | None = None
    compiled: int | None = None


class Server:
    """A context: on entering the server is ready, on leaving it and all its processes are gone."""

    host: str
    port: int
    startup_s: float
    env_bytes: int
    layout: Mapping[str, Any]
    """What a server says of the journal into which it stamps; empty if it does not."""
    tally_layout: Mapping[str, Any]
    """What it says of the file in which it counts requests; empty if it does not."""

    def __init__(
        self,
        target: Target,
        site: Site,
        processes: ProcessGroup,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        start: Callable[..., Process] = subprocess.Popen,
    ) -> None:
        """`launcher` is the start of a command that starts what follows; `start` starts it."""
        self._target = target
        self._site = site
        self._processes = processes
        self._arguments = arguments
        self._environment = environment or {}
        self._launcher = launcher
        self._start = start

    def __enter__(self) -> Self:
        started = time.monotonic()
        self._aborts = Aborts(self._site.log)
        command, environment = self.command()
        if self._processes.path is not None:
            command += ["--cgroup", str(self._processes.path)]
        self._process = Speaking(
            [*self._launcher, *command],
            self._site.log,
            environment=environment,
            cwd="/",
            own_session=True,
            start=self._start,
        )
        try:
            ready = self._answer(_STARTED_S)
        except BaseException:
            self._stop()
            raise
        self.host, self.port = ready["host"], ready["port"]
        self.layout = ready.get("phases", {})
        self.tally_layout = ready.get("metrics", {})
        self.env_bytes = randomization.size(environment)
        self.startup_s = time.monotonic() - started
        return self

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts the server, and its whole environment."""
        command, environment = server_command(self._target)
        command += [*self._site.arguments(self._target), "--control"]
        command += [] if self._target.is_peer else ["--log-mib", "64"]
        command += self._arguments
        return command, {**environment, **self._environment}

    @property
    def pid(self) -> int:
        """The process that the harness started: the parent of the server, which does no work."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Return whether it has ended, whatever ended it."""
        return self._process.has_ended()

    def last_words(self) -> str:
        """Return the last line that the server, or a script, wrote to its log; "" for none."""
        return self._process.last_line()

    def watchers(self) -> set[int]:
        """Return its processes that do no work: the parent, and what watches a real product."""
        try:
            children = psutil.Process(self.pid).children() if self._target.is_peer else []
        except psutil.NoSuchProcess:
            children = []  # it has just ended, as whoever asks it next will notice
        return {self.pid, *(child.pid for child in children)}

    def served(self, least: int = 0) -> int | None:
        """Return how many requests it has served, once that is `least` or 5 s have passed.

        None where it does not tell. A server counts a request when it has tidied up after the
        answer, so a client who has the answer may be ahead of it. Raises ServerFailed when it is
        gone.
        """
        return wait_until(
            lambda: self.usage().served,
            _COUNTED_S,
            enough=lambda served: served is None or served >= least,
        )

    def aborted(self) -> int | None:
        """Return how many of its processes a signal has ended; None where it does not tell."""
        return self._aborts.count() if self._target.is_peer else None

    def must_be_there(self) -> None:
        """Raise ServerFailed where it is gone, or goes at this moment."""
        if wait_until(self._process.has_ended, _GOING_S):
            raise self._failure("died under load")

    def usage(self) -> ServerUsage:
        """Ask the server what it has used. Raises ServerFailed when it is gone."""
        try:
            self._process.tell("usage")
        except Gone:
            raise self._failure("died under load") from None
        return ServerUsage(**self._answer(_ANSWERED_S))

    def _answer(self, within_s: float) -> Message:
        try:
            answer = self._process.hear(within_s)
        except Gone:
            raise self._failure("ended before it was ready") from None
        if answer.get("ready") is False:
            raise ServerFailed(f"{self._target.name}: {answer['reason']}", hint=answer["hint"])
        return answer

    def _failure(self, what: str) -> ServerFailed:
        what = f"{what} ({self._process.fate()})"
        line, tail = self._process.last_line(), self._process.last_words()
        message = f"the server {self._target.name} {what}{f': {line}' if line else ''}"
        return ServerFailed(
            message,
            evidence=f"{message}\n{tail}",
            hint=_remedy(line, self._target),
        )

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """End the server: politely by closing its control stream, then by its cgroup."""
        try:
            self._process.stop(_STOP_S)
        finally:
            self._processes.kill()


def free_port(candidates: Iterable[int]) -> int:
    """Return the first of these ports at which nobody listens; 0, any free one, if there is none.

    One that was given to a server lately counts as taken: that may not listen yet, as many start
    together. Another program may take a port before the server does; the trial is then
    void, and says so. May be called from several threads.
    """
    with _giving:
        now = time.monotonic()
        for port in candidates:
            if now - _given.get(port, -math.inf) >= _STARTED_S and _nobody_listens(port):
                _given[port] = now
                return port
    return 0


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does it: what lingers of an earlier connection is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Runnable:
    """That this host can run a target; `interpreter` is what a real product's scripts run on."""

    interpreter: str | None = None


def examine(target: Target, site: Site) -> Refusal | Runnable:
    """Ask a server whether this host can run it, and on what its scripts run."""
    command, environment = server_command(target)
    result = subprocess.run(
        [*command, *site.arguments(target), "--control", "--check"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if result.returncode == 0:
        return Runnable(json.loads(result.stdout)["interpreter"] if result.stdout else None)
    try:
        answer = json.loads(result.stdout)
        return Refusal(target, answer["reason"], answer["hint"])
    except (ValueError, KeyError):
        words = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
        return Refusal(target, words[-1], _remedy(words[-1], target))


def _remedy(line: str, target: Target) -> str:
    """Return what helps a server that has ended with this line."""
    return way_out_of_limit(line) or f"try it by hand: isobench serve {target.name}"


def check(target: Target, site: Site) -> Refusal | None:
    """Ask a server whether this host can run it; None if it can."""
    found = examine(target, site)
    return found if isinstance(found, Refusal) else None
