"""Locust users, in a closed loop or behind a schedule.

In a closed loop each user asks again as soon as it was answered, without a pause. Users of an open
load share a schedule: whoever is free takes the next intended time and waits for it.

Importing this module imports Locust, which makes gevent replace parts of the standard library.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any, ClassVar, TypeVar

import gevent
from locust import FastHttpUser, User, constant, task

from workloads.credential import Stamper
from workloads.load.alarm import Alarm
from workloads.load.clients.addressed_client import AddressedClient
from workloads.load.clients.client import PAUSE_AFTER_FAILURE_S, Client
from workloads.load.clients.compiled import ClosedLoop, Made
from workloads.load.clients.reply import ExchangeFailed
from workloads.load.clients.stamped_client import StampedClient
from workloads.load.recorder import WrongReply
from workloads.load.schedule import Schedule
from workloads.load.spec import Ask, Load, asks, endless
from workloads.load.timetable import Timetable

ASKS_PER_TASK = 100
"""Locust chooses a task, and looks whether to stop, only this often: both cost time."""

LONGEST_SLEEP_S = 1.0

LOOK_S = 0.05
"""How often a user of the compiled client looks whether there were too many errors."""

LEAD_S = 0.05
"""From the making of an open load's plan to its beginning: time to start the users."""


@dataclass
class Plan:
    """What all users of one trial share: load, endless requests, make of client, some counts.

    `schedule` is there if the load is open; its first request is a moment after the plan was made.
    `timetable` is there if the load takes turns with others.
    `loop` is there if the load is the compiled client's, which does the counting then.
    `sent` counts requests begun, so a server may have served `sent + retries` at most.
    `verified` counts replies that passed their check. `rest_s` is the mean time (s) between a reply
    and its user's next request, None where the client does not measure it.
    """

    load: Load
    asks: Iterator[Ask]
    new_client: Callable[[], Client]
    schedule: Schedule | None = None
    timetable: Timetable | None = None
    loop: ClosedLoop | None = None
    sent: int = 0
    verified: int = 0
    retries: int = 0
    connections: int = 0
    rest_s: float | None = None

    @classmethod
    def of(cls, load: Load, timetable: Timetable | None = None) -> "Plan":
        """Make the plan of a load."""
        loop = ClosedLoop(load, timetable) if load.client == "compiled" else None
        return cls(load, endless(load), client_maker(load), _schedule(load), timetable, loop)

    def take_over(self, loop: ClosedLoop) -> None:
        """Take over what a loop that has ended has counted."""
        self.sent, self.verified = loop.counts.sent, loop.counts.verified
        self.retries, self.connections = loop.counts.retries, loop.counts.connections
        if loop.counts.rests:
            self.rest_s = loop.counts.rested_ns / loop.counts.rests / 1e9


def _schedule(load: Load) -> Schedule | None:
    if load.arrivals is None:
        return None
    return Schedule(load.arrivals, load.seed, time.monotonic() + LEAD_S)


def client_maker(load: Load) -> Callable[[], Client]:
    """Return what makes the clients of a load."""
    if load.hosts:
        hosts = {ask.request: ask.host for ask in asks(load)}
        return partial(AddressedClient, hosts, load.port, connection=load.connection)
    if load.credential_key is None:
        return partial(Client, load.host, load.port, connection=load.connection)
    return partial(
        StampedClient,
        load.host,
        load.port,
        stamper=Stamper(load.credential_key, load.host, load.port),
        senders={
            ask.request: proof.identity
            for ask, proof in zip(asks(load), cycle(load.tenants), strict=False)
        },
        connection=load.connection,
    )


class LeanUser(User):
    """A user with a lean client of its own, who follows a plan."""

    abstract = True
    wait_time = constant(0)
    plan: ClassVar[Plan]

    def on_start(self) -> None:
        """Make the client; it connects with the first request."""
        self.client = self.plan.new_client()

    def on_stop(self) -> None:
        """Close the connection, wherever in a request the user was stopped."""
        self.plan.retries += self.client.retries
        self.plan.connections += self.client.connections
        self.client.close()

    @task
    def ask(self) -> None:
        """Ask and check, many times over."""
        for _ in range(ASKS_PER_TASK):
            self._ask_once()

    def _ask_once(self) -> None:
        raise NotImplementedError


class ClosedLoopUser(LeanUser):
    """A user who asks again as soon as it has an answer.

    Every request fires Locust's `request` event with the exact response time (ms) and, in its
    `context`, the tenant and the completion time on CLOCK_MONOTONIC (s). A wrong reply or none is
    the event's `exception`.
    """

    abstract = True

    def _ask_once(self) -> None:
        plan = self.plan
        ask = next(plan.asks)
        plan.sent += 1
        exception: Exception | None = None
        reply = None
        length = 0
        start_time = time.time()
        began = time.monotonic()
        try:
            reply = self.client.exchange(ask.request)
            completed = time.monotonic()
            length = len(reply.body)
            if reason := ask.check(reply.status, reply.body):
                exception = WrongReply(reason, reply.status, reply.body)
            else:
                plan.verified += 1
        except ExchangeFailed as failure:
            completed = time.monotonic()
            exception = failure
        self.environment.events.request.fire(
            request_type=plan.load.workload.method,
            name=plan.load.workload.path,
            response_time=(completed - began) * 1e3,
            response_length=length,
            exception=exception,
            context={"tenant": ask.tenant, "completed": completed},
            start_time=start_time,
            response=reply,
        )
        if reply is None:
            gevent.sleep(PAUSE_AFTER_FAILURE_S)


class TurnTakingUser(ClosedLoopUser):
    """A user of a closed loop that sends within the slices of its timetable only."""

    abstract = True

    def _ask_once(self) -> None:
        timetable = self.plan.timetable
        assert timetable is not None
        while wait_s := timetable.wait_s(time.monotonic()):
            gevent.sleep(min(wait_s, LONGEST_SLEEP_S))
        super()._ask_once()


class CompiledUser(User):
    """A user of a closed loop whose requests the compiled client makes, see `compiled`.

    Locust starts and stops it; its `request` events, one a request as those of `ClosedLoopUser`,
    are fired when the last of these users has stopped, or when there were too many errors. Bodies
    of right replies are not kept, so the `response` of an event is None.
    """

    abstract = True
    wait_time = constant(0)
    plan: ClassVar[Plan]

    def on_start(self) -> None:
        """Let the loop make requests for one more user."""
        assert self.plan.loop is not None
        self.plan.loop.come()

    def on_stop(self) -> None:
        """Take the user out of the loop, wherever in a request it is."""
        assert self.plan.loop is not None
        self._tell(self.plan.loop.go())

    @task
    def ask(self) -> None:
        """Leave it to the loop."""
        assert self.plan.loop is not None
        gevent.sleep(LOOK_S)
        if self.plan.loop.halted:
            self._tell(self.plan.loop.end())

    def _tell(self, made: Iterator[Made]) -> None:
        plan = self.plan
        assert plan.loop is not None
        plan.take_over(plan.loop)
        method, path = plan.load.workload.method, plan.load.workload.path
        fire = self.environment.events.request.fire
        since_boot = time.time() - time.monotonic()
        for tenant, began, completed, length, exception in made:
            fire(
                request_type=method,
                name=path,
                response_time=(completed - began) * 1e3,
                response_length=length,
                exception=exception,
                context={"tenant": tenant, "completed": completed},
                start_time=since_boot + began,
                response=None,
            )


class FastHttpReferenceUser(FastHttpUser):
    """The same requests and checks on Locust's own quick client, for comparison."""

    abstract = True
    wait_time = constant(0)
    plan: ClassVar[Plan]

    @task
    def ask(self) -> None:
        """Ask and check, many times over."""
        for _ in range(ASKS_PER_TASK):
            self._ask_once()

    def _ask_once(self) -> None:
        plan = self.plan
        workload = plan.load.workload
        ask = next(plan.asks)
        upload: Any = workload.body or None  # bytes will do, whatever Locust's annotation says
        plan.sent += 1
        with self.client.request(
            workload.method,
            workload.path,
            data=upload,
            headers=workload.headers(ask.tenant, plan.load.connection),
            context={"tenant": ask.tenant},
            allow_redirects=False,
            catch_response=True,
        ) as response:
            status = response.status_code
            # No status means no reply; Locust's client then reports the failure itself.
            if status:
                body = response.content or b""
                if reason := ask.check(status, body):
                    response.failure(WrongReply(reason, status, body))
                else:
                    plan.verified += 1
        if not status:
            gevent.sleep(PAUSE_AFTER_FAILURE_S)


class OpenLoopUser(LeanUser):
    """A user who sends at intended times, which it shares with the others.

    As long as any user is free, each request is sent at its time; once all wait for answers, it is
    sent late, by whoever is free first. The response time that its events carry (ms) counts from
    the intended time, which is in the `context` with the times of `began` and `completed`, all on
    CLOCK_MONOTONIC (s).
    """

    abstract = True

    def on_start(self) -> None:
        """Make the client, and the alarm."""
        super().on_start()
        self.alarm = Alarm()

    def on_stop(self) -> None:
        """Close the connection, and the alarm."""
        super().on_stop()
        self.alarm.close()

    def _ask_once(self) -> None:
        plan = self.plan
        assert plan.schedule is not None
        # Both before anybody else's, so that a log's time stays with its request.
        intended = plan.schedule.take()
        ask = next(plan.asks)
        self.alarm.wait_until(intended)
        plan.sent += 1
        exception: Exception | None = None
        reply = None
        start_time = time.time()
        began = time.monotonic()
        try:
            reply = self.client.exchange(ask.request)
            completed = time.monotonic()
            if reason := ask.check(reply.status, reply.body):
                exception = WrongReply(reason, reply.status, reply.body)
            else:
                plan.verified += 1
        except ExchangeFailed as failure:
            completed = time.monotonic()
            exception = failure
        times = {"intended": intended, "began": began, "completed": completed}
        self.environment.events.request.fire(
            request_type=ask.workload.method,
            name=ask.workload.path,
            response_time=(completed - intended) * 1e3,
            response_length=0 if reply is None else len(reply.body),
            exception=exception,
            context={"tenant": ask.tenant, **times},
            start_time=start_time,
            response=reply,
        )
        if reply is None:
            gevent.sleep(PAUSE_AFTER_FAILURE_S)


USERS: dict[str, type[Any]] = {
    "compiled": CompiledUser,
    "lean": ClosedLoopUser,
    "fasthttp": FastHttpReferenceUser,
}


def user_class(plan: Plan) -> type[Any]:
    """Return the class of the users that follow a plan."""
    if plan.timetable is not None and plan.loop is None:
        return TurnTakingUser
    return USERS[plan.load.client] if plan.load.arrivals is None else OpenLoopUser


AnyUser = TypeVar("AnyUser", bound=User)


def following(kind: type[AnyUser], plan: Plan) -> type[AnyUser]:
    """Return a class of users, of this kind, that Locust can start and that follow the plan."""
    url = f"http://{plan.load.host}:{plan.load.port}"
    fields = {"abstract": False, "plan": plan, "host": url}
    metaclass: Any = type(kind)  # Locust's own, which looks for the tasks
    made: type[AnyUser] = metaclass(kind.__name__, (kind,), fields)
    return made
