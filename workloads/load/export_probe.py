"""`python -m workloads.load.export_probe`: ask whether a collector takes what will be exported.

The exporter that Locust would choose sends an export without any metric, to where the environment
variables say. Exit status 0: the collector took it; 1: it did not, and the first line of standard
error says why.
"""

import logging
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Final

EXPORTERS: Final = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.metric_exporter",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "http": "opentelemetry.exporter.otlp.proto.http.metric_exporter",
}
"""The module of each protocol's exporter, as in locust/opentelemetry.py."""


def protocol_of(variables: Mapping[str, str]) -> str:
    """Return the protocol that metrics are exported by."""
    names = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return next((variables[name] for name in names if name in variables), "grpc").strip().lower()


def main() -> int:
    """Export nothing, and return the exit status."""
    from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

    # The first message has the reason: the last one may only say that no time is left.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    exporter = import_module(EXPORTERS[protocol_of(os.environ)]).OTLPMetricExporter()
    return 0 if exporter.export(MetricsData([])) is MetricExportResult.SUCCESS else 1


if __name__ == "__main__":
    sys.exit(main())
