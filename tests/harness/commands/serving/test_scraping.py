"""`isobench serve --metrics`: what is scraped, by a real Prometheus too; who answers; refusals."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness.live import Isobench, Say, needs_root, until

DASHBOARD = Path(__file__).parents[4] / "docs" / "grafana-dashboard.json"

extra = pytest.mark.skipif(
    not any(Path(entry, "prometheus_client").is_dir() for entry in sys.path if entry),
    reason="the extra metrics is not installed",
)


@contextmanager
def served(
    isobench: Isobench, tmp_path: Path, *options: str, mode: str = "dso"
) -> Iterator[tuple[str, str]]:
    """Serve; provide the URL of a script, and that of the metrics."""

    def urls() -> list[str]:
        assert process.poll() is None, (tmp_path / "err").read_text()
        words = (tmp_path / "out").read_text().split()
        return [word for word in words if word.endswith(("/hello.py", "/metrics"))]

    arguments = ("serve", mode, "--port", "0", "--metrics", "0", *options)
    with isobench.started(*arguments) as process:
        script, metrics = until(lambda: found if len(found := urls()) == 2 else [])
        yield script, metrics
        process.terminate()
        ended = isobench.end_of(process)
    assert (ended.code, ended.err) == (0, "")
    assert isobench.lasting_traces() == []


def ask(url: str, tenant: str = "t0001") -> None:
    request = urllib.request.Request(url, headers={"Host": f"{tenant}.localhost"})
    with urllib.request.urlopen(request) as reply:
        reply.read()


def told_once(metrics: str, line: str) -> str:
    """Return the first scrape that has this line."""
    return until(lambda: text if line in (text := text_at(metrics)).splitlines() else "")


def text_at(url: str) -> str:
    with urllib.request.urlopen(url) as reply:
        content: bytes = reply.read()
    return content.decode()


@extra
@needs_root
def test_metrics_are_told_by_a_process_without_power_on_the_loopback_address(
    isobench: Isobench, tmp_path: Path
) -> None:
    with served(isobench, tmp_path, "--tenants", "3", "--metrics-tenants", "1") as (
        script,
        metrics,
    ):
        for _ in range(3):
            ask(script)
        told_once(metrics, 'isobench_requests_total{code="2xx",mode="dso",tenant="t0001"} 3.0')
        ask(script, "t0002")
        others = 'isobench_requests_total{code="2xx",mode="dso",tenant="(other)"} 1.0'
        told = told_once(metrics, others)
        port = int(metrics.rpartition(":")[2].partition("/")[0])
        (listener,) = (
            one
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,)
        )
        exporter = psutil.Process(listener.pid)
        assert "harness.metrics.exporter" in exporter.cmdline()
        assert listener.laddr[:1] == ("127.0.0.1",)
        assert set(exporter.uids()) & {0} == set()
    assert 'tenant="t0002"' not in told
    assert "isobench_queue_connections" in told


@extra
@needs_root
def test_the_dashboard_asks_for_metrics_and_labels_that_exist(
    isobench: Isobench, tmp_path: Path
) -> None:
    """Of `router`, which has workers of tenants, and so has them all."""
    with served(isobench, tmp_path, "--tenants", "1", mode="router") as (script, metrics):
        ask(script)
        line = 'isobench_requests_total{code="2xx",mode="router",tenant="t0001"} 1.0'
        told = told_once(metrics, line)
        until(lambda: "isobench_tenant_worker_starts_total" in text_at(metrics))
        told = text_at(metrics)
    labels: dict[str, set[str]] = {}
    for name, inside in re.findall(r"^(isobench_\w+)\{(.*)\} ", told, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r"(\w+)=\"", inside))
    text = DASHBOARD.read_text().replace('\\"', '"')
    asked = re.findall(r"(isobench_\w+)(?:\{([^}]*)\})?", text)
    assert len(asked) > 15
    for name, inside in asked:
        assert set(re.findall(r"(\w+)=", inside)) <= labels[name], name
    for grouped in re.findall(r"sum by \(([^)]*)\) \((?:rate|increase)\((isobench_\w+)", text):
        assert set(grouped[0].split(", ")) <= labels[grouped[1]], grouped


@extra
@needs_root
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="there is no Prometheus here")
def test_a_real_prometheus_scrapes_them_and_answers_what_the_dashboard_asks(
    isobench: Isobench, tmp_path: Path
) -> None:
    with (
        served(isobench, tmp_path, "--tenants", "1", mode="router") as (script, metrics),
        prometheus(tmp_path, metrics.removeprefix("http://").removesuffix("/metrics")) as url,
    ):
        asked = 0

        def requests() -> float:
            nonlocal asked
            ask(script)
            asked += 1
            found = query(url, 'isobench_requests_total{tenant="t0001",code="2xx"}')
            return float(found[0]["value"][1]) if found else 0.0

        assert 0 < until(requests) <= asked

        def rate() -> list[dict[str, Any]]:
            ask(script)
            return query(url, "rate(isobench_requests_total[5s]) > 0")

        until(rate)
        for expression in expressions():
            assert until(partial(asked_and_found, script, url, expression)), expression
        busy = query(url, "isobench_workers")
        assert busy[0]["metric"]["mode"] == "router"


def asked_and_found(script: str, url: str, expression: str) -> list[dict[str, Any]]:
    """Send a request; return what Prometheus finds.

    Raises HTTPError where it does not understand the expression.
    """
    ask(script)
    return query(url, expression)


def expressions() -> list[str]:
    """Return what the panels of the dashboard ask for, with Grafana's variables replaced."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    texts = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert texts
    return [
        text.replace("$__rate_interval", "5s").replace("$mode", ".*").replace("$tenant", ".*")
        for text in texts
    ]


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[str]:
    """Run Prometheus with nothing but this target, until it is ready; provide its URL."""
    configuration = directory / "prometheus.yml"
    configuration.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: isobench, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    with (
        open(directory / "prometheus.log", "w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}) as it,
    ):
        try:
            until(lambda: answers(f"http://{address}/-/ready"))
            yield f"http://{address}"
        finally:
            it.terminate()
            it.wait(30)


def answers(url: str) -> bool:
    try:
        text_at(url)
    except OSError:
        return False
    return True


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return what Prometheus finds. Raises HTTPError for what it does not understand."""
    question = urllib.parse.urlencode({"query": expression})
    found = json.loads(text_at(f"{url}/api/v1/query?{question}"))
    assert found["status"] == "success"
    result: list[dict[str, Any]] = found["data"]["result"]
    return result


@extra
@needs_root
def test_a_port_of_metrics_that_is_in_use_ends_the_server(isobench: Isobench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = isobench.call("serve", "dso", "--port", "0", "--metrics", str(port))
    assert ended.code == 2
    assert f"error: cannot tell metrics at 127.0.0.1:{port}: Address already in use" in ended.err
    assert "hint: choose another --metrics port" in ended.err
    assert isobench.lasting_traces() == []


def test_without_the_extra_the_command_that_installs_it_is_told(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)  # as if it were not installed
    code, written = say("serve", "dso", "--metrics", "0")
    assert code == 2
    assert written.splitlines()[0] == "error: prometheus-client is not installed"
    assert re.search(r"pip install '\.\[metrics\]'", written)


def test_a_real_product_counts_nothing_for_us(say: Say) -> None:
    code, written = say("serve", "apache-cgi", "--metrics", "0")
    assert code == 2
    assert "apache-cgi is a real product, which counts nothing for isobench" in written
