"""Whether and where generators export to OpenTelemetry, by the usual environment variables."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from harness import extras
from harness.errors import IsobenchError

PREFIX: Final = "OTEL_"
USUAL: Final = {
    "OTEL_SERVICE_NAME": "isobench",
    # gRPC's library is written in C, and gevent, which Locust is built on, cannot switch in it.
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
    # After each trial, and not in the middle of one.
    "OTEL_METRIC_EXPORT_INTERVAL": "inf",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
"""What holds unless the caller's environment says otherwise."""

_LEAST_LOCUST: Final = (2, 47)
_PORTS: Final = {"grpc": 4317}
_HTTP_PORT: Final = 4318
_CONNECT_S: Final = 2.0


def environment(callers: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables for a generator that exports."""
    given = {name: text for name, text in callers.items() if name.startswith(PREFIX)}
    return {**USUAL, **given}


def must_be_possible() -> None:
    """Raise IsobenchError without Locust's extra, or where no collector listens."""
    extras.load("opentelemetry.sdk", "otel", "locust[otel]")
    found = tuple(int(part) for part in version("locust").split(".")[:2])
    if found < _LEAST_LOCUST:
        raise IsobenchError(
            f"Locust {version('locust')} lacks the export that isobench uses",
            hint="pip install 'locust[otel]>=2.47'",
        )
    variables = environment()
    if "otlp" not in variables.get("OTEL_METRICS_EXPORTER", "otlp"):
        return
    host, port = _collector(variables)
    try:
        socket.create_connection((host, port), _CONNECT_S).close()
    except OSError as error:
        raise IsobenchError(
            f"no OpenTelemetry collector answers at {host}:{port}: {error.strerror or error}",
            hint="start one, or name it: OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318",
        ) from error


def _collector(variables: Mapping[str, str]) -> tuple[str, int]:
    protocol = variables["OTEL_EXPORTER_OTLP_PROTOCOL"].strip().lower()
    usual = _PORTS.get(protocol, _HTTP_PORT)
    for name in ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if url := variables.get(name):
            address = urlsplit(url if "//" in url else f"//{url}")
            return address.hostname or "localhost", address.port or usual
    return "localhost", usual
