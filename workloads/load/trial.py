"""One trial: verify, put a target under load with Locust, and record the measured window.

Locust drives as a library: an `Environment` and a local runner for each trial, no web page, no
printed statistics.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from gevent.event import Event
from locust.env import Environment
from locust.stats import RequestStats

from workloads.errors import WorkloadError
from workloads.load.clients.compiled import TOO_MANY_ERRORS
from workloads.load.clients.reply import ExchangeFailed
from workloads.load.collector import collector_off
from workloads.load.recorder import Evidence, OpenLoadRecorder, Recorder, WrongReply
from workloads.load.schedule import DRAIN_S, Times
from workloads.load.spec import Load, asks, first_asks, read
from workloads.load.timetable import Timetable
from workloads.load.users import Plan, client_maker, following, user_class

VERIFY_TENANTS = 50
LOOK_S = 0.01
"""How often it is looked whether the last answers have come."""
TASKS = Path("/proc/self/task")

Announce = Callable[[str, float], None]
"""Called with `measuring` and with `measured`, and the time on CLOCK_MONOTONIC in seconds."""


class VerificationFailed(WorkloadError):
    """A target that does not do what it should: there is no point in measuring it."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(
            f"tenant {evidence.tenant}: {evidence.reason}",
            hint="look at the evidence and at the server's log; nothing was measured",
        )
        self.evidence = evidence


@dataclass(frozen=True)
class Trial:
    """A load for `warmup_s` seconds and then `measure_s` seconds; the rows go to `output`.

    An open load goes on until all that was to be sent in the measured window is answered, but no
    longer than `drain_s` seconds. With a `timetable` the load takes turns with others, which says
    how long it is; it is closed, and by a client of ours. Before, every tenant is asked once, as
    far as `wake_s` seconds allow (see `verify`).
    """

    load: Load
    warmup_s: float
    measure_s: float
    output: Path
    drain_s: float = DRAIN_S
    timetable: Timetable | None = None
    wake_s: float = 0.0

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Trial":
        """Make a trial from a JSON object: a load's fields and these. See `load.read`.

        `drain_s` and `wake_s` may be left out, `output` may lack the suffix `.npy`. Raises
        `WorkloadError`.
        """
        try:
            output = str(fields["output"]).removesuffix(".npy")
            warmup_s, measure_s = float(fields["warmup_s"]), float(fields["measure_s"])
            drain_s = float(fields.get("drain_s", DRAIN_S))
            wake_s = float(fields.get("wake_s", 0.0))
        except (KeyError, TypeError, ValueError) as error:
            raise WorkloadError(
                f"the trial is incomplete or malformed: {type(error).__name__}: {error}",
                hint="a trial needs output, warmup_s and measure_s, both in seconds",
            ) from None
        file = Path(f"{output}.npy")
        return cls(read(fields), warmup_s, measure_s, file, drain_s, wake_s=wake_s)

    def in_turns(self, turns: Mapping[str, Any], begin: Mapping[str, Any]) -> "Trial":
        """Return the trial with its timetable: the fields but `epoch`, and what has `epoch`.

        Raises `WorkloadError`.
        """
        if self.load.arrivals is not None or self.load.client == "fasthttp":
            raise WorkloadError(
                "only closed loads of the clients compiled and lean can be interleaved",
                hint="omit the rate, or the timetable",
            )
        try:
            return replace(self, timetable=Timetable.read(turns, float(begin["epoch"])))
        except (KeyError, TypeError, ValueError) as error:
            raise WorkloadError(
                f"the timetable is incomplete or malformed: {type(error).__name__}: {error}",
                hint="it needs begins, lengths, measured_from and measured_to, then an epoch",
            ) from None


@dataclass(frozen=True)
class Outcome:
    """What became of a trial; the fields are those of the `done` event.

    The file has a row a reply: completion (s) and latency (us); of an open load also the intended
    time, and rows of requests without an answer (see `OpenLoadRecorder`).

    `requests_total` counts replies, right and wrong, warm-up included; `requests` those completed
    within `window`. `errors` counts wrong replies and requests left without one (`unanswered`), in
    the whole trial. `sent` counts requests begun: more than were answered, by those dropped when
    the window ended. `retries` and `connections` are None where the client does not tell.
    `verified` counts the replies whose check passed, where it was made and not where replies are
    recorded: both counts must agree. `generator_waited_s` is how long this process could run within
    the window, and had no processor. `rest_s` is the mean time between a reply and its user's next
    request, None where the client does not measure it.
    """

    requests_total: int
    requests: int
    errors: int
    unanswered: int
    sent: int
    verified: int
    retries: int | None
    connections: int | None
    evidence: Evidence | None
    window: tuple[float, float]
    generator_cpu_s: float
    generator_waited_s: float
    rest_s: float | None
    stopped_early: bool
    file: str


@dataclass(frozen=True)
class Processor:
    """What this process has had of a processor so far, and how long its threads had to wait.

    The second is 0 where the kernel does not tell (Documentation/scheduler/sched-stats.rst).
    """

    cpu_s: float
    waited_s: float

    @classmethod
    def used(cls) -> "Processor":
        """Look at it, now."""
        waited_ns = sum(map(_waited_ns, TASKS.glob("*/schedstat")))
        return cls(time.process_time(), waited_ns / 1e9)


def _waited_ns(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text().split()[1])
    except (OSError, IndexError):  # the thread is gone, or the kernel does not tell
        return 0


class Uncounted(RequestStats):
    """Locust's statistics without the counting, which takes half the time of a quick request."""

    def log_request(self, *_args: object, **_kwargs: object) -> None:
        """Leave it to the `Recorder`."""

    def log_error(self, *_args: object, **_kwargs: object) -> None:
        """Leave it to the `Recorder`."""


def verify(load: Load, tenants: int = VERIFY_TENANTS, wake_s: float = 0.0) -> int:
    """Ask each tenant once, for each workload; return how often.

    Of more than `tenants` of them the first so many are asked, then the others as far as `wake_s`
    seconds allow: a server that keeps a worker for each tenant starts it at its first request.
    Raises `VerificationFailed` at the first reply that is not right.
    """
    first = first_asks(load, tenants)
    others = asks(replace(load, tenants=load.tenants[tenants:])) if wake_s else []
    deadline = time.monotonic() + wake_s
    with client_maker(load)() as client:
        for asked, ask in enumerate([*first, *others]):
            if asked >= len(first) and time.monotonic() >= deadline:
                return asked
            try:
                reply = client.exchange(ask.request)
            except ExchangeFailed as failure:
                raise VerificationFailed(Evidence.of(failure, ask.tenant)) from None
            if reason := ask.check(reply.status, reply.body):
                wrong = WrongReply(reason, reply.status, reply.body)
                raise VerificationFailed(Evidence.of(wrong, ask.tenant))
    return len(first) + len(others)


def measure(
    trial: Trial, announce: Announce, heard: Callable[..., object] | None = None
) -> Outcome:
    """Put the load on for one trial, save its rows and return what became of it.

    Users connect during warm-up. A trial ends early after more than 1000 errors. When the window of
    a closed load ends, users are stopped where they are: requests on their way are not counted.
    Those of an open load are waited for, see `drain`. `heard` gets each of Locust's `request`
    events as well.
    """
    stop = Event()
    recording = Recorder if trial.load.arrivals is None else OpenLoadRecorder
    recorder = recording(on_error=lambda errors: stop.set() if errors > TOO_MANY_ERRORS else None)
    turns = trial.timetable
    plan = Plan.of(trial.load, turns)
    environment = Environment(user_classes=[following(user_class(plan), plan)])
    environment.stats = Uncounted()
    events: Any = environment.events  # whose methods are untyped
    events.request.add_listener(recorder.on_request)
    if heard is not None:
        events.request.add_listener(heard)
    runner = environment.create_local_runner()
    with collector_off():
        runner.start(trial.load.users, spawn_rate=trial.load.users)
        try:
            stop.wait(trial.warmup_s if turns is None else left_until(turns.window[0]))
            start, before = time.monotonic(), Processor.used()
            announce("measuring", start)
            stop.wait(trial.measure_s if turns is None else left_until(turns.window[1]))
            end, after = time.monotonic(), Processor.used()
            announce("measured", end)
            if plan.schedule is not None and isinstance(recorder, OpenLoadRecorder):
                drain(recorder, plan.schedule.within(start, end), trial.drain_s, stop)
        finally:
            runner.quit()
    if plan.loop is not None:
        plan.loop.must_have_worked()
    recorder.save(trial.output)
    tells = trial.load.client != "fasthttp"
    return Outcome(
        requests_total=len(recorder),
        requests=recorder.completed_within(start, end),
        errors=recorder.errors,
        unanswered=recorder.unanswered,
        sent=plan.sent,
        verified=plan.verified,
        retries=plan.retries if tells else None,
        connections=plan.connections if tells else None,
        evidence=recorder.evidence,
        window=(start, end),
        generator_cpu_s=after.cpu_s - before.cpu_s,
        generator_waited_s=after.waited_s - before.waited_s,
        rest_s=plan.rest_s,
        stopped_early=stop.is_set(),
        file=str(trial.output),
    )


def left_until(moment: float) -> float:
    """Return the seconds until a moment on CLOCK_MONOTONIC, 0 if it is over."""
    return max(0.0, moment - time.monotonic())


def drain(recorder: OpenLoadRecorder, intended: Times, patience_s: float, stop: Event) -> None:
    """Wait for the answers to all requests of these intended times, then give up the rest.

    The load goes on meanwhile, so that what is waited for has it no easier than the rest.
    """
    if len(intended) == 0:
        return
    deadline = time.monotonic() + patience_s
    first, after_last = float(intended[0]), float(np.nextafter(intended[-1], np.inf))
    while recorder.settled_within(first, after_last) < len(intended):
        if stop.is_set() or time.monotonic() >= deadline:
            break
        stop.wait(LOOK_S)
    recorder.give_up(intended, time.monotonic())
