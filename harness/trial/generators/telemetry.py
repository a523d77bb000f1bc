"""Whether and where generators export to OpenTelemetry, by the usual environment variables."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from harness import extras
from harness.errors import IsobenchError
from harness.host.surroundings import clean_environment
from harness.trial.generators.generator import import_path
from workloads.load import export_probe

PREFIX: Final = "OTEL_"
USUAL: Final = {
    "OTEL_SERVICE_NAME": "isobench",
    # gRPC's library is written in C, and gevent, which Locust is built on, cannot switch in it:
    # exports by grpc arrive, but hold up whatever else a generator does.
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
_PROBE_S: Final = 20.0
_EXPORTER: Final = "OTEL_METRICS_EXPORTER"
_NAME_IT: Final = "start one, or name it: OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318"


def environment(callers: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables for a generator that exports."""
    given = {name: text for name, text in callers.items() if name.startswith(PREFIX)}
    return {**USUAL, **given}


def must_be_possible() -> None:
    """Raise IsobenchError without Locust's extra, or a collector that takes metrics."""
    extras.load("opentelemetry.sdk", "otel", "locust[otel]")
    found = tuple(int(part) for part in version("locust").split(".")[:2])
    if found < _LEAST_LOCUST:
        raise IsobenchError(
            f"Locust {version('locust')} lacks the export that isobench uses",
            hint="pip install 'locust[otel]>=2.47'",
        )
    variables = environment()
    _must_be_known(variables)
    host, port = _collector(variables)
    try:
        socket.create_connection((host, port), _CONNECT_S).close()
    except OSError as error:
        raise IsobenchError(
            f"no OpenTelemetry collector answers at {host}:{port}: {error.strerror or error}",
            hint=_NAME_IT,
        ) from error
    _must_take_metrics(variables, host, port)


def _must_be_known(variables: Mapping[str, str]) -> None:
    """Raise IsobenchError for an exporter or a protocol by which nothing would arrive."""
    exporter = variables.get(_EXPORTER, "otlp")
    if exporter.strip().lower() != "otlp":
        raise IsobenchError(
            f"{_EXPORTER}={exporter} is not for --otel, which exports by OTLP",
            hint=f"unset {_EXPORTER}, or omit --otel",
        )
    protocol = export_probe.protocol_of(variables)
    if protocol not in export_probe.EXPORTERS:
        raise IsobenchError(
            f"Locust cannot export by the protocol {protocol!r}",
            hint="set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf or grpc",
        )


def _must_take_metrics(variables: Mapping[str, str], host: str, port: int) -> None:
    """Raise IsobenchError where what listens there does not take an export without metrics."""
    path = {"PYTHONPATH": os.pathsep.join(import_path())}
    try:
        probe = subprocess.run(
            [sys.executable, "-P", "-m", "workloads.load.export_probe"],
            env=clean_environment({**path, **variables}),
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_S,
        )
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_PROBE_S:g} s"
    else:
        if probe.returncode == 0:
            return
        reason = next(iter(probe.stderr.strip().splitlines()), "it gives no reason")
    raise IsobenchError(
        f"{host}:{port} takes no metrics by {export_probe.protocol_of(variables)}: {reason}",
        hint="an OpenTelemetry collector takes http/protobuf at port 4318 and grpc at 4317; see "
        "OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_EXPORTER_OTLP_ENDPOINT",
    )


def _collector(variables: Mapping[str, str]) -> tuple[str, int]:
    usual = _PORTS.get(export_probe.protocol_of(variables), _HTTP_PORT)
    for name in ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if url := variables.get(name):
            address = urlsplit(url if "//" in url else f"//{url}")
            try:
                return address.hostname or "localhost", address.port or usual
            except ValueError as error:
                raise IsobenchError(f"{name}={url}: {error}", hint=_NAME_IT) from error
    return "localhost", usual
