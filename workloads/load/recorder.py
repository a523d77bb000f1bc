"""Keeps what Locust's own statistics round away: every completion and latency, in microseconds.

Locust rounds response times below 100 ms to whole milliseconds before it counts them
(`locust.stats.bucket_response_time`), so that 0.3 ms becomes 0. But the `request` event carries
the number as it was measured; this listener takes it from there.
"""

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

EVIDENCE_BYTES = 2048


class WrongReply(Exception):
    """A complete reply that is not the right one; Locust lists it under its reason."""

    def __init__(self, reason: str, status: int, body: bytes) -> None:
        super().__init__(reason)
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Evidence:
    """The first offence of a trial: why, whose request, and what came back, if anything did."""

    reason: str
    tenant: str
    status: int | None = None
    body: str | None = None

    @classmethod
    def of(cls, offence: Exception, tenant: str) -> "Evidence":
        """Make evidence of what went wrong with a request to a tenant."""
        if not isinstance(offence, WrongReply):
            return cls(str(offence) or type(offence).__name__, tenant)
        body = offence.body[:EVIDENCE_BYTES].decode("utf-8", "backslashreplace")
        return cls(str(offence), tenant, offence.status, body)


class Recorder:
    """A listener for Locust's `request` event.

    A reply, right or wrong, becomes a row: the time it was complete (CLOCK_MONOTONIC, s) and the
    latency (us), from before the request was sent, and before the connection was made if it was
    made for it, until the reply was parsed. A request without a complete reply has neither and is
    only counted. The exact completion time travels in the event's `context` as `completed`;
    where a user does not know it, it is the time of the event.

    `on_error` is called with the number of errors after each one.
    """

    def __init__(self, on_error: Callable[[int], None] = lambda errors: None) -> None:
        self._completed = array("d")
        self._latency_us = array("d")
        self._on_error = on_error
        self.errors = 0
        self.unanswered = 0
        self.evidence: Evidence | None = None

    def __len__(self) -> int:
        return len(self._completed)

    def on_request(
        self,
        *,
        response_time: float,
        exception: Exception | None,
        context: dict[str, Any],
        **_rest: object,
    ) -> None:
        """Take note of one request; the parameters are those of Locust's event."""
        if exception is not None:
            self._note_error(exception, context.get("tenant", "?"))
            if not isinstance(exception, WrongReply):
                self.unanswered += 1
                return
        self._completed.append(context.get("completed") or monotonic())
        self._latency_us.append(response_time * 1e3)

    def _note_error(self, exception: Exception, tenant: str) -> None:
        self.errors += 1
        if self.evidence is None:
            self.evidence = Evidence.of(exception, tenant)
        self._on_error(self.errors)

    def rows(self) -> NDArray[np.float64]:
        """Return an (n, 2) array of completion times (s) and latencies (us)."""
        return np.column_stack([np.array(self._completed), np.array(self._latency_us)])

    def completed_within(self, start: float, end: float) -> int:
        """Count the replies that were complete from `start` to before `end`."""
        completed = np.array(self._completed)
        return int(np.count_nonzero((completed >= start) & (completed < end)))

    def save(self, path: Path) -> None:
        """Write `rows()` as a NumPy file, which is either there and whole or not there."""
        unfinished = path.with_name(f".{path.name}.unfinished")
        with open(unfinished, "wb") as file:
            np.save(file, self.rows())
        unfinished.replace(path)


class OpenLoadRecorder(Recorder):
    """As `Recorder`, of requests that had an intended time.

    A row has it as a third number, and the latency is the service time, from the actual sending.
    A request without a complete reply is a row too; its latency is NaN, its completion the time
    when it failed, or when the wait for it was over.
    """

    def __init__(self, on_error: Callable[[int], None] = lambda errors: None) -> None:
        super().__init__(on_error)
        self._intended = array("d")

    def on_request(
        self,
        *,
        response_time: float,
        exception: Exception | None,
        context: dict[str, Any],
        **_rest: object,
    ) -> None:
        """Take note of one request; the parameters are those of Locust's event.

        Its `response_time` counts from the intended time, which is for Locust's own tables.
        """
        service_us = (context["completed"] - context["began"]) * 1e6
        if exception is not None:
            self._note_error(exception, context.get("tenant", "?"))
            if not isinstance(exception, WrongReply):
                self.unanswered += 1
                service_us = math.nan
        self._completed.append(context["completed"])
        self._latency_us.append(service_us)
        self._intended.append(context["intended"])

    def __len__(self) -> int:
        return int(np.count_nonzero(~np.isnan(np.array(self._latency_us))))

    def rows(self) -> NDArray[np.float64]:
        """Return an (n, 3) array: completion (s), service time (us) and intended time (s)."""
        return np.column_stack([super().rows(), np.array(self._intended)])

    def completed_within(self, start: float, end: float) -> int:
        """Count the replies that were complete from `start` to before `end`."""
        answered = ~np.isnan(np.array(self._latency_us))
        completed = np.array(self._completed)[answered]
        return int(np.count_nonzero((completed >= start) & (completed < end)))

    def settled_within(self, start: float, end: float) -> int:
        """Count the requests intended from `start` to before `end` that were answered or failed."""
        intended = np.array(self._intended)
        return int(np.count_nonzero((intended >= start) & (intended < end)))

    def give_up(self, intended: NDArray[np.float64], at: float) -> None:
        """Add a row for each of these intended times that has none: nobody waits any longer."""
        for time in np.setdiff1d(intended, np.array(self._intended)).tolist():
            self._completed.append(at)
            self._latency_us.append(math.nan)
            self._intended.append(time)
