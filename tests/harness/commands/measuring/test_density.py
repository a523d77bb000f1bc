"""`isobench density` as a command: what it measures, tells and leaves."""

from __future__ import annotations

import re
from pathlib import Path

from harness.results.folder import ResultsFolder
from tests.harness.live import Isobench, needs_root

SHORT = (
    "density", "--modes", "fastcgi", "--tenants", "3,1", "--popularity", "uniform", "--seconds",
    "0.4", "--cold", "4", "--seed", "3",
)  # fmt: skip


@needs_root
def test_tenants_are_counted_up_and_each_step_is_told_and_written_down(
    isobench: Isobench, tmp_path: Path
) -> None:
    isobench.drawn = True
    out = tmp_path / "results"
    ended = isobench.call(*SHORT, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert isobench.lasting_traces() == []
    steps = re.findall(r"^(.*) \(made in [\d.]+ s\)$", ended.out, re.MULTILINE)
    assert steps == ["1 tenant", "3 tenants"]
    assert "fastcgi: 3 tenants fit in" in ended.out
    assert "fastcgi first answers after" in ended.out

    folder = ResultsFolder.open(out)
    rows = folder.table("density")
    assert list(rows["tenants"]) == list(rows["active_tenants"]) == [1, 3]
    assert set(rows["note"]) == {""}
    assert (rows["requests"] > 0).all()
    assert (rows["p50_ms"] <= rows["p99_ms"]).all()
    # A front, a starter, and a worker of each tenant at least.
    assert (rows["processes"] > rows["tenants"]).all()
    starts = folder.table("coldstarts")
    assert set(starts["state"]) == {"never asked", "evicted"}
    assert starts["requests"].isin((0, 2)).all()  # none where the sites are in memory
    record = folder.manifest.also["density"]
    assert (record["targets"], record["procedure"]["tenants"]) == (["fastcgi"], [1, 3])
    assert record["finished_at"]
    assert folder.manifest.finished_at
    for name in ("density.svg", "coldstarts.svg"):
        assert (out / "figures" / name).exists()
    page = (out / "report.html").read_text()
    assert "fastcgi" in page
    assert "density.parquet" in page

    again = isobench.call("density", "--resume", out)
    assert again.code == 2
    assert "Traceback" not in again.err
