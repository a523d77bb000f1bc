"""Locust's export to OpenTelemetry, for a generator that Locust's command line does not start.

Locust's own listener makes a histogram of response times, `locust.client.duration`, by the
request's name, from its `request` events (locust/opentelemetry.py); environment variables say where
it goes. Here the events of a trial come to it once the trial is over, so that neither the listener
nor the export takes part in what is measured. The name is that of the trial without its block,
such as `dso/hello/closed:8/close`.

Importing this module imports Locust, which makes gevent replace parts of the standard library.
"""

import os
import socket
from array import array
from typing import Any

import locust
from locust import opentelemetry as locusts
from opentelemetry import metrics

from workloads.errors import WorkloadError

FLUSH_MS = 5_000
ATTRIBUTES, INSTANCE = "OTEL_RESOURCE_ATTRIBUTES", "service.instance.id"
MOST_NAMES = 1_000
"""Locust tells 20 names of requests apart, which is enough for a site and not for a run."""


class Telemetry:
    """What is exported of one trial after the other."""

    def __init__(self) -> None:
        """Set the export up by the environment. Raises `WorkloadError`."""
        locusts.MAX_REQUEST_NAMES = MOST_NAMES
        _name_this_process()
        if not locusts.setup_opentelemetry("isobench", None):
            raise WorkloadError(
                "Locust exports nothing to OpenTelemetry",
                hint="unset OTEL_METRICS_EXPORTER, or omit --otel",
            )
        self._answered = array("d")
        self._failed: list[tuple[float, Exception]] = []

    def on_request(
        self, *, response_time: float, exception: Exception | None, **_rest: object
    ) -> None:
        """Take note of one request; the parameters are those of Locust's event."""
        if exception is None:
            self._answered.append(response_time)
        else:
            self._failed.append((response_time, exception))

    def pass_on(self, trial: str) -> None:
        """Tell what was noted, as requests of this trial, and have it exported."""
        answered, self._answered = self._answered, array("d")
        failed, self._failed = self._failed, []
        fire: Any = locust.events.request.fire
        name = name_of(trial)
        for response_time in answered:
            fire(name=name, response_time=response_time, exception=None)
        for response_time, exception in failed:
            fire(name=name, response_time=response_time, exception=exception)
        flush = getattr(metrics.get_meter_provider(), "force_flush", None)
        if flush is not None:
            flush(FLUSH_MS)


def _name_this_process() -> None:
    """Tell this generator from the others of a run, whose counts add up to all."""
    attributes = os.environ.get(ATTRIBUTES, "")
    if INSTANCE not in attributes:
        own = f"{INSTANCE}={socket.gethostname()}-{os.getpid()}"
        os.environ[ATTRIBUTES] = f"{attributes},{own}" if attributes else own


def name_of(trial: str) -> str:
    """Return the name of a trial's requests: target, workload, load and connection."""
    return "/".join(trial.split("/")[1:5]) or trial
