"""A generator that exports to OpenTelemetry: what a collector gets, and when."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.trial.generators import telemetry
from harness.trial.generators.generator import Generator

extra = pytest.mark.skipif(
    find_spec("opentelemetry") is None, reason="the extra otel is not installed"
)


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Run a double of a collector; provide its URL, and the paths and bodies of what it gets."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


@extra
def test_a_trial_is_exported_when_it_is_over(
    stub: Callable[[str], int], tenants: list[dict[str, Any]], tmp_path: Path
) -> None:
    command = {
        "trial": "001/dso/hello/closed:2/close",
        "host": "127.0.0.1",
        "port": stub("hello"),
        "workload": "hello",
        "tenants": tenants,
        "users": 2,
        "client": "compiled",
        "connection": "close",
        "warmup_s": 0.1,
        "measure_s": 0.3,
        "output": str(tmp_path / "rows"),
    }
    before: list[int] = []
    with collector() as (url, got):
        variables = telemetry.environment({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        with Generator((), tmp_path / "log", telemetry=variables) as generator:
            done = generator.trial(command, lambda event, at: before.append(len(got)))
            paths = [path for path, _ in got]
        said = (tmp_path / "log").read_text()
    assert done["errors"] == 0
    assert before == [0, 0]  # at the beginning and at the end of the window
    assert paths == ["/v1/metrics"], said
    for word in (
        b"locust.client.duration",
        b"dso/hello/closed:2/close",
        b"isobench",
        b"service.instance.id",
    ):
        assert word in got[0][1]
