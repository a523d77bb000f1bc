"""Locust users in a closed loop: each asks again as soon as it was answered, without a pause.

Importing this module imports Locust, which makes gevent replace parts of the standard library.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import gevent
from locust import FastHttpUser, User, constant, task

from workloads.client import Client
from workloads.load import Ask, Load, endless
from workloads.recorder import WrongReply
from workloads.reply import ExchangeFailed

ASKS_PER_TASK = 100
"""Locust chooses a task, and looks whether to stop, only this often: both cost time."""

PAUSE_AFTER_FAILURE_S = 0.01
"""A refused connection fails without ever waiting; the other users must get their turn."""


@dataclass
class Plan:
    """What all users of one trial share: the load, its endless requests, and some counts.

    `sent` counts requests begun, so a server may have served `sent + retries` at most.
    """

    load: Load
    asks: Iterator[Ask]
    sent: int = 0
    retries: int = 0
    connections: int = 0

    @classmethod
    def of(cls, load: Load) -> "Plan":
        """Make the plan of a load."""
        return cls(load, endless(load))


class ClosedLoopUser(User):
    """A user on the lean client.

    Every request fires Locust's `request` event with the exact response time (ms) and, in its
    `context`, the tenant and the completion time on CLOCK_MONOTONIC (s). A wrong reply or none is
    the event's `exception`.
    """

    abstract = True
    wait_time = constant(0)
    plan: ClassVar[Plan]

    def on_start(self) -> None:
        """Make the client; it connects with the first request."""
        load = self.plan.load
        self.client = Client(load.host, load.port, connection=load.connection)

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
            if status and (reason := ask.check(status, response.content or b"")):
                response.failure(WrongReply(reason, status, response.content or b""))
        if not status:
            gevent.sleep(PAUSE_AFTER_FAILURE_S)


USERS: dict[str, type[Any]] = {"lean": ClosedLoopUser, "fasthttp": FastHttpReferenceUser}

AnyUser = TypeVar("AnyUser", bound=User)


def following(user_class: type[AnyUser], plan: Plan) -> type[AnyUser]:
    """Return a class of users, of this kind, that Locust can start and that follow the plan."""
    url = f"http://{plan.load.host}:{plan.load.port}"
    fields = {"abstract": False, "plan": plan, "host": url}
    metaclass: Any = type(user_class)  # Locust's own, which looks for the tasks
    made: type[AnyUser] = metaclass(user_class.__name__, (user_class,), fields)
    return made
