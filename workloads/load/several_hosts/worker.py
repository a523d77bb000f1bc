"""A load generator on a host of its own, as a worker of Locust's: `isobench generate` starts it.

    python -m workloads.load.several_hosts.worker HOST PORT KEYFILE

It connects to a master (`master`), makes its part of each trial and sends what it saw. Messages are
sealed (`sealed`); those of a trial are, in their order:

    to the worker       what it is for
    trial               its load; it verifies the tenants, and answers `ready`, or `failed`
    (Locust's spawn)    its users start
    measure             it measures its window by its own clock: `measuring`, `measured`, `outcome`
    (Locust's stop)     its users stop, if they have not stopped already

A worker that is cut off from its master ends its trial by itself. It ends when the master says so,
or was not heard of for a minute; exit status 0 in the first case.
"""

import os
import secrets
import socket
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust import runners
from locust.env import Environment
from locust.runners import WorkerRunner

from workloads.credential import read_key
from workloads.errors import WorkloadError
from workloads.load import trial as trials
from workloads.load.clients import compiled
from workloads.load.clients.compiled import TOO_MANY_ERRORS
from workloads.load.collector import collector_off
from workloads.load.generator import tie_to_parent
from workloads.load.recorder import OpenLoadRecorder, Recorder
from workloads.load.several_hosts import link, part
from workloads.load.several_hosts.sealed import PREFIX, Unsealed, open_sealed, seal
from workloads.load.users import Plan, following, user_class

USERS = "Users"
"""What the class of users is called, by master and workers alike."""
LOOK_S = 0.2
"""How often a round trip to the server is timed while it is loaded."""
SPAWN_S = 30.0
"""How long it waits for the word to measure once it was given a load."""


class Refused(WorkloadError):
    """The master does not want this generator."""


class Worker:
    """The generator's side of the conversation with its master."""

    def __init__(self, environment: Environment, key: bytes, version: str) -> None:
        self._environment = environment
        self._key = key
        self._version = version
        self._challenge = secrets.token_hex(16)
        self._runner: WorkerRunner | None = None
        self._part: _Part | None = None
        self.refusal: WorkloadError | None = None
        events: Any = environment.events  # whose methods are untyped
        events.test_start.add_listener(self._on_start)

    def greet(self, runner: WorkerRunner) -> None:
        """Say who we are; the master answers with `welcome` or `refused`."""
        self._runner = runner
        for kind, listener in (
            ("welcome", lambda _fields: None),
            ("refused", self._on_refused),
            ("trial", self._on_trial),
            ("measure", self._on_measure),
        ):
            self._listen(kind, listener)
        # By the challenge alone, which the master does not know yet, nothing could be sealed.
        hello = {
            "challenge": self._challenge,
            "version": self._version,
            "host": socket.gethostname(),
        }
        runner.send_message(f"{PREFIX}hello", {**hello, **seal(self._key, "hello", "", hello)})

    def _listen(self, kind: str, listener: Any) -> None:
        def on_message(environment: Environment, msg: Any, **_rest: object) -> None:
            try:
                fields = open_sealed(self._key, kind, self._challenge, msg.data)
            except Unsealed as error:
                self.refusal = error
                self._quit()
                return
            listener(fields)

        assert self._runner is not None
        self._runner.register_message(f"{PREFIX}{kind}", on_message, concurrent=True)

    def _quit(self) -> None:
        assert self._runner is not None
        self._runner.greenlet.kill(block=False)

    def _on_refused(self, fields: dict[str, Any]) -> None:
        self.refusal = Refused(fields["reason"], hint=fields["hint"])
        self._quit()

    def _on_trial(self, fields: dict[str, Any]) -> None:
        assert self._runner is not None
        name = fields["trial"]
        try:
            self._part = _Part(fields)
        except WorkloadError as error:
            evidence = getattr(error, "evidence", None)
            self._say(
                "failed", trial=name, reason=str(error), hint=error.hint,
                evidence=asdict(evidence) if evidence else None,
            )  # fmt: skip
            return
        # Of an earlier trial, which was broken off; Locust then takes the next spawn for a start.
        self._runner.stop()
        self._runner.worker_state = runners.STATE_INIT
        self._say("ready", trial=name, asked_first=self._part.asked_first)

    def _on_start(self, **_rest: object) -> None:
        if self._part is not None:
            self._part.begin(self._environment)

    def _on_measure(self, fields: dict[str, Any]) -> None:
        assert self._runner is not None
        part_ = self._part
        if part_ is None or part_.name != fields["trial"]:
            return
        try:
            outcome = part_.measure(self._runner, lambda kind: self._say(kind, trial=part_.name))
        except WorkloadError as error:
            self._say("failed", trial=part_.name, reason=str(error), hint=error.hint, evidence=None)
            return
        self._say("outcome", trial=part_.name, **outcome)

    def _say(self, kind: str, **fields: Any) -> None:
        assert self._runner is not None
        message = seal(self._key, kind, self._challenge, fields)
        self._runner.send_message(f"{PREFIX}{kind}", message)


class _Part:
    """A trial as one generator makes it. Raises WorkloadError where it cannot be made."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.name: str = fields["trial"]
        output = {"output": tempfile.gettempdir()}  # nothing is written there
        wanted = trials.Trial.read({**fields, **output})
        self.asked_first = trials.verify(wanted.load)
        self._load = part.share_of(wanted.load, fields["index"], fields["parts"])
        if self._load.client == "compiled":
            compiled.functions(self._load.library)
        self._wanted = wanted
        self._address = (str(fields["link"][0]), int(fields["link"][1]))
        self._stop = Event()
        is_open = self._load.arrivals is not None
        recording = OpenLoadRecorder if is_open else Recorder
        self._recorder = recording(on_error=self._on_error)
        self._plan: Plan | None = None
        self._segments = link.segments()
        self._before_us = _elsewhere(link.shortest_us, *self._address)

    def _on_error(self, errors: int) -> None:
        if errors > TOO_MANY_ERRORS:
            self._stop.set()

    def begin(self, environment: Environment) -> None:
        """Make the plan, just before the users start who follow it."""
        self._plan = Plan.of(self._load)
        users = following(user_class(self._plan), self._plan)
        users.__name__ = USERS
        environment.user_classes = [users]
        events: Any = environment.events
        events.request.add_listener(self._recorder.on_request)
        self._events = events

    def measure(self, runner: WorkerRunner, announce: Any) -> dict[str, Any]:
        """Measure the window and return what was seen. The users have stopped then."""
        plan, wanted = self._plan, self._wanted
        if plan is None:
            raise WorkloadError("no users were started", hint="look at the master's log")
        with collector_off():
            self._stop.wait(wanted.warmup_s)
            announce("measuring")
            looking = gevent.spawn(self._look)
            start, before = time.monotonic(), trials.Processor.used()
            self._stop.wait(wanted.measure_s)
            end, after = time.monotonic(), trials.Processor.used()
            looking.kill()
            announce("measured")
            if plan.schedule is not None and isinstance(self._recorder, OpenLoadRecorder):
                due = plan.schedule.within(start, end)
                trials.drain(self._recorder, due, wanted.drain_s, self._stop)
            runner.stop()
        self._events.request.remove_listener(self._recorder.on_request)
        if plan.loop is not None:
            plan.loop.must_have_worked()
        recorder = self._recorder
        tells = self._load.client != "fasthttp"
        return {
            "asked_first": self.asked_first,
            "requests_total": len(recorder),
            "errors": recorder.errors,
            "unanswered": recorder.unanswered,
            "sent": plan.sent,
            "verified": plan.verified,
            "retries": plan.retries if tells else None,
            "connections": plan.connections if tells else None,
            "evidence": asdict(recorder.evidence) if recorder.evidence else None,
            "window_s": end - start,
            "generator_cpu_s": after.cpu_s - before.cpu_s,
            "generator_waited_s": after.waited_s - before.waited_s,
            "stopped_early": self._stop.is_set(),
            **part.seen(recorder, (start, end), plan.schedule is not None),
            "link": asdict(self._link()),
        }

    def _look(self) -> None:
        self._round_trips: list[float] = []
        while True:
            self._round_trips.append(_elsewhere(link.round_trip_us, *self._address))
            gevent.sleep(LOOK_S)

    def _link(self) -> part.Link:
        now = link.segments()
        return part.Link(
            before_us=self._before_us,
            during_us=part.median_us(self._round_trips),
            after_us=_elsewhere(link.shortest_us, *self._address),
            segments=now.sent - self._segments.sent,
            again=now.again - self._segments.again,
        )


def _elsewhere(function: Any, *arguments: Any) -> float:
    """Return what a function returns that blocks, while other greenlets go on."""
    result: float = gevent.get_hub().threadpool.apply(function, arguments)
    return result


def main() -> int:
    """Generate load for a master until that ends; return the exit status."""
    tie_to_parent()
    host, port, key, version = sys.argv[1:]
    runners.CONNECT_RETRY_COUNT = 2
    environment = Environment(user_classes=[])
    environment.stats = trials.Uncounted()
    try:
        worker = Worker(environment, read_key(Path(key)), version)
        runner = environment.create_worker_runner(host, int(port))
        worker.greet(runner)
        runner.greenlet.join()
        if worker.refusal is not None:
            raise worker.refusal
        last = runner.last_heartbeat_timestamp or 0.0
        if time.time() - last > runners.MASTER_HEARTBEAT_TIMEOUT:
            raise WorkloadError(
                f"the master at {host}:{port} sent nothing for a minute",
                hint="check the network and the master, then start the generator again",
            )
    except ConnectionError:
        print(f"error: no master answers at {host}:{port}", file=sys.stderr)
        print("hint: start isobench run --target there first", file=sys.stderr)
        return 2
    except WorkloadError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # Locust's greenlets have nothing left to do
