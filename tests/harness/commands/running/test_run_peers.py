"""`isobench run` with real products, in a process of its own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from servers import peers
from servers.errors import Unavailable
from tests.harness.live import Isobench, needs_root
from workloads.access_log.synthetic import Visit, line

SHORT = ("--blocks", "1", "--seconds", "0.2", "--tenants", "2", "--connection", "close")


@needs_root
def test_a_run_with_peers_shows_each_beside_its_mode(isobench: Isobench, tmp_path: Path) -> None:
    try:
        peers.load("apache-itk").check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")
    out = tmp_path / "results"
    ended = isobench.call("run", "--modes", "dso,harache", "--peers", *SHORT, "--out", out)
    assert ended.code == 0, ended.err
    assert isobench.lasting_traces() == []
    trials = pd.read_parquet(out / "trials.parquet")
    (itk,) = trials[trials["target"] == "apache-itk"].to_dict("records")
    assert (itk["kind"], itk["verdict"]) == ("peer", "ok")
    assert itk["server_cpu_us_per_request"] > 0
    manifest = json.loads((out / "run.json").read_text())
    beside = {target["name"]: target["beside"] for target in manifest["targets"]}
    assert beside["apache-itk"] == "harache"
    assert beside["dso"] is None
    assert manifest["versions"]["apache-itk"].startswith("PHP ")
    report = (out / "report.html").read_text()
    assert "Beside the real products" in report
    assert "harache : apache-itk" in report


@needs_root
def test_a_log_is_replayed_to_a_product_as_to_its_mode(isobench: Isobench, tmp_path: Path) -> None:
    try:
        peers.load("apache-php").check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")
    log, out = tmp_path / "access.log", tmp_path / "results"
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    visits = (
        Visit(begin + timedelta(seconds=number // 10), f"site{number % 3}.example")
        for number in range(200)
    )
    log.write_text("".join(f"{line(visit)}\n" for visit in visits))
    replayed = ("--replay", log, "--replay-speed", "50/s", "--modes", "dso,apache-php")
    ended = isobench.call(
        "run", *replayed, "--blocks", "1", "--seconds", "0.3", "--connection", "close", "--out", out
    )
    assert ended.code == 0, ended.err
    assert isobench.lasting_traces() == []
    trials = pd.read_parquet(out / "trials.parquet")
    assert set(trials["target"]) == {"dso", "apache-php"}
    assert set(trials["verdict"]) == {"ok"}
    assert (out / "replay.npy").exists()
    report = (out / "report.html").read_text()
    assert "dso : apache-php" in report
    assert "The rate is the same for all" in report


@needs_root
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--modes", "dso,apache-php", "--workload", "sqlite"), "no script for sqlite in php"),
        (("--modes", "dso,apache-phq"), "unknown mode 'apache-phq'"),
        (
            ("--modes", "dso,apache-php", "--slo", "p99 < 50ms", "--workload", "sqlite"),
            "no script for sqlite in php",
        ),
        (("--modes", "dso,apache-php:opcache=no"), "apache-php has no factor 'opcache=no'"),
    ],
)
def test_what_a_peer_cannot_do_is_said_at_once(
    isobench: Isobench, tmp_path: Path, options: tuple[str, ...], error: str
) -> None:
    ended = isobench.call("run", *options, "--out", tmp_path / "results")
    assert ended.code == 2
    assert error in ended.err
    assert not (tmp_path / "results").exists()
    assert "Traceback" not in ended.err
