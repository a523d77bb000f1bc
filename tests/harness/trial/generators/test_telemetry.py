"""Where generators export to, and what is refused before a run begins."""

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec

import pytest

from harness import extras
from harness.errors import IsobenchError
from harness.trial.generators import telemetry
from tests.harness.live import Say

needs_extra = pytest.mark.skipif(
    find_spec("opentelemetry") is None, reason="the extra otel is not installed"
)


def test_the_callers_variables_come_before_ours() -> None:
    callers = {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "a=b", "HOME": "/root"}
    found = telemetry.environment(callers)
    assert found["OTEL_SERVICE_NAME"] == "mine"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == "a=b"
    assert found["OTEL_METRIC_EXPORT_INTERVAL"] == "inf"
    assert "HOME" not in found


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, ("localhost", 4318)),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ("localhost", 4317)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.0.0.1:9999/x"}, ("10.0.0.1", 9999)),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.0.0.1:9999",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://10.0.0.2",
            },
            ("10.0.0.2", 4318),
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "10.0.0.3:7",
            },
            ("10.0.0.3", 7),
        ),
    ],
)
def test_the_collector_is_where_the_variables_say(
    given: dict[str, str], address: tuple[str, int]
) -> None:
    assert telemetry._collector(telemetry.environment(given)) == address


@needs_extra
def test_a_run_without_a_collector_is_refused(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    code, written = say("run", "--modes", "dso", "--quick", "--otel")
    assert code == 2
    assert f"no OpenTelemetry collector answers at 127.0.0.1:{port}" in written
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318" in written


@needs_extra
@pytest.mark.parametrize("exporter", ["none", "console", "prometheus", "otlp,console"])
def test_metrics_that_would_go_elsewhere_are_refused(
    exporter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", exporter)
    with pytest.raises(IsobenchError, match=f"OTEL_METRICS_EXPORTER={exporter}") as caught:
        telemetry.must_be_possible()
    assert "omit --otel" in caught.value.hint


@needs_extra
def test_a_protocol_that_locust_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json")
    with pytest.raises(IsobenchError, match="cannot export by the protocol 'http/json'"):
        telemetry.must_be_possible()


@needs_extra
def test_a_port_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:99999")
    with pytest.raises(
        IsobenchError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT=http.*99999: Port out of"
    ):
        telemetry.must_be_possible()


class _Deaf(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(404, "Nothing here")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@needs_extra
def test_what_listens_and_takes_no_metrics_is_refused_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HTTPServer(("127.0.0.1", 0), _Deaf) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        try:
            with pytest.raises(IsobenchError, match="takes no metrics by http/protobuf") as caught:
                telemetry.must_be_possible()
        finally:
            server.shutdown()
            thread.join()
    assert "Nothing here" in str(caught.value)


@needs_extra
def test_a_collector_that_never_answers_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        with pytest.raises(IsobenchError, match=f"127.0.0.1:{port} takes no metrics"):
            telemetry.must_be_possible()


def test_without_the_extra_the_command_that_installs_it_is_told(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "opentelemetry.sdk", raising=False)
    code, written = say("run", "--modes", "dso", "--quick", "--otel")
    assert code == 2
    assert written.splitlines()[0] == "error: locust[otel] is not installed"
    assert "pip install '.[otel]'" in written


def test_an_old_locust_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "load", lambda *_: None)
    monkeypatch.setattr(telemetry, "version", lambda _: "2.40.5")
    with pytest.raises(IsobenchError, match=r"Locust 2\.40\.5 lacks the export"):
        telemetry.must_be_possible()


def test_generators_on_other_hosts_are_not_asked_to_export(say: Say) -> None:
    code, written = say("run", "--target", "http://127.0.0.1:1", "--otel")
    assert code == 2
    assert "--otel is not for --target" in written
    assert "hint: omit --otel" in written
