"""One trial: verify, put a target under load with Locust, and record the measured window.

Locust drives as a library: an `Environment` and a local runner for each trial, no web page, no
printed statistics.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gevent.event import Event
from locust.env import Environment
from locust.stats import RequestStats

from workloads.client import Client
from workloads.errors import WorkloadError
from workloads.load import Load, asks, read
from workloads.recorder import Evidence, Recorder, WrongReply
from workloads.reply import ExchangeFailed
from workloads.users import USERS, Plan, following

VERIFY_TENANTS = 50
TOO_MANY_ERRORS = 1000

Announce = Callable[[str, float], None]
"""Called with `measuring` and with `measured`, and the time on CLOCK_MONOTONIC in seconds."""


class VerificationFailed(WorkloadError):
    """A target that does not do what it should: there is no point in measuring it."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(
            f"tenant {evidence.tenant}: {evidence.reason}",
            hint="Look at the evidence and at the server's log; nothing was measured.",
        )
        self.evidence = evidence


@dataclass(frozen=True)
class Trial:
    """A load for `warmup_s` seconds and then `measure_s` seconds; the rows go to `output`."""

    load: Load
    warmup_s: float
    measure_s: float
    output: Path

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Trial":
        """Make a trial from a JSON object: a load's fields and these three. See `load.read`.

        `output` may lack the suffix `.npy`. Raises `WorkloadError`.
        """
        try:
            output = str(fields["output"]).removesuffix(".npy")
            warmup_s, measure_s = float(fields["warmup_s"]), float(fields["measure_s"])
        except (KeyError, TypeError, ValueError) as error:
            raise WorkloadError(
                f"the trial is incomplete or malformed: {type(error).__name__}: {error}",
                hint="A trial needs output, warmup_s and measure_s, both in seconds.",
            ) from None
        return cls(read(fields), warmup_s, measure_s, Path(f"{output}.npy"))


@dataclass(frozen=True)
class Outcome:
    """What became of a trial; the fields are those of the `done` event.

    `requests_total` counts replies, right and wrong, warm-up included; `requests` those completed
    within `window`. `errors` counts wrong replies and requests left without one (`unanswered`), in
    the whole trial. `sent` counts requests begun: more than were answered, by those dropped when
    the window ended. `retries` and `connections` are None where the client does not tell.
    """

    requests_total: int
    requests: int
    errors: int
    unanswered: int
    sent: int
    retries: int | None
    connections: int | None
    evidence: Evidence | None
    window: tuple[float, float]
    generator_cpu_s: float
    stopped_early: bool
    file: str


class Uncounted(RequestStats):
    """Locust's statistics without the counting, which takes half the time of a quick request."""

    def log_request(self, *_args: object, **_kwargs: object) -> None:
        """Leave it to the `Recorder`."""

    def log_error(self, *_args: object, **_kwargs: object) -> None:
        """Leave it to the `Recorder`."""


def verify(load: Load, tenants: int = VERIFY_TENANTS) -> int:
    """Ask each tenant once, up to `tenants` of them; return how many were asked.

    Raises `VerificationFailed` at the first reply that is not right.
    """
    chosen = asks(load)[:tenants]
    with Client(load.host, load.port, connection=load.connection) as client:
        for ask in chosen:
            try:
                reply = client.exchange(ask.request)
            except ExchangeFailed as failure:
                raise VerificationFailed(Evidence.of(failure, ask.tenant)) from None
            if reason := ask.check(reply.status, reply.body):
                wrong = WrongReply(reason, reply.status, reply.body)
                raise VerificationFailed(Evidence.of(wrong, ask.tenant))
    return len(chosen)


def measure(trial: Trial, announce: Announce) -> Outcome:
    """Put the load on for one trial, save its rows and return what became of it.

    Users connect during warm-up. A trial ends early after more than 1000 errors. When the window
    ends, users are stopped where they are: outstanding requests are dropped and not counted.
    """
    stop = Event()
    recorder = Recorder(on_error=lambda errors: stop.set() if errors > TOO_MANY_ERRORS else None)
    plan = Plan.of(trial.load)
    environment = Environment(user_classes=[following(USERS[trial.load.client], plan)])
    environment.stats = Uncounted()
    events: Any = environment.events  # whose methods are untyped
    events.request.add_listener(recorder.on_request)
    runner = environment.create_local_runner()
    with collector_off():
        runner.start(trial.load.users, spawn_rate=trial.load.users)
        try:
            stop.wait(trial.warmup_s)
            start, cpu_before = time.monotonic(), time.process_time()
            announce("measuring", start)
            stop.wait(trial.measure_s)
            end, cpu_after = time.monotonic(), time.process_time()
            announce("measured", end)
        finally:
            runner.quit()
    recorder.save(trial.output)
    lean = trial.load.client == "lean"
    return Outcome(
        requests_total=len(recorder),
        requests=recorder.completed_within(start, end),
        errors=recorder.errors,
        unanswered=recorder.unanswered,
        sent=plan.sent,
        retries=plan.retries if lean else None,
        connections=plan.connections if lean else None,
        evidence=recorder.evidence,
        window=(start, end),
        generator_cpu_s=cpu_after - cpu_before,
        stopped_early=stop.is_set(),
        file=str(trial.output),
    )


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python's garbage collector quiet.

    A full collection goes through everything that Locust has loaded, tens of milliseconds in which
    no user can send: it would look like a stall of the server. The lean client's requests leave no
    circular garbage (see `ReplyParser`), so that memory does not grow meanwhile.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
