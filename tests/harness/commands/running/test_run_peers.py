"""`isobench run` with real products, in a process of its own."""

import json
from pathlib import Path

import pandas as pd
import pytest

from servers import peers
from servers.errors import Unavailable
from tests.harness.live import Isobench, needs_root

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
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--modes", "dso,apache-php", "--workload", "sqlite"), "no script for sqlite in php"),
        (("--modes", "dso,apache-phq"), "unknown mode 'apache-phq'"),
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
