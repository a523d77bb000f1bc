"""What is exported is read back by pyperf itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyperf
import pytest

from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from harness.results.pyperf import METRICS, pyperf_json
from tests.harness.folders import BASE, NEW, write_folder


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> ResultsFolder:
    return ResultsFolder.open(write_folder(tmp_path_factory.mktemp("run"), BASE, blocks=4))


def test_a_benchmark_a_target_and_a_run_a_block(folder: ResultsFolder) -> None:
    suite = pyperf.BenchmarkSuite.loads(pyperf_json(folder))
    assert suite.get_benchmark_names() == ["dso/hello/closed:8/close", "cgi/hello/closed:8/close"]
    cgi = suite.get_benchmark("cgi/hello/closed:8/close")
    rates = folder.trials().query("target == 'cgi'")["requests_per_second"]
    assert cgi.get_values() == pytest.approx(tuple(1 / rates))
    assert cgi.get_nrun() == 4
    assert cgi.get_unit() == "second"


def test_what_pyperf_knows_of_the_run(folder: ResultsFolder) -> None:
    metadata = pyperf.BenchmarkSuite.loads(pyperf_json(folder)).get_metadata()
    assert metadata["cpu_model_name"] == "Example CPU"
    assert metadata["machine.kernel"] == "6.18.0"
    assert metadata["versions.locust"] == "2.32"
    assert metadata["run_id"] == "before"
    assert metadata["duration"] == 2
    assert not metadata.keys() & {"hostname", "load_avg_1min"}  # those of this host, now


@pytest.mark.parametrize(
    ("metric", "unit", "value"),
    [
        ("server_cpu_us_per_request", "second", 9e-3),
        ("p99_ms", "second", 0.12),
        ("startup_s", "second", 0.2),
        ("memory_mib", "byte", 64 * 2**20),
    ],
)
def test_units(folder: ResultsFolder, metric: str, unit: str, value: float) -> None:
    suite = pyperf.BenchmarkSuite.loads(pyperf_json(folder, metric))
    cgi = suite.get_benchmark("cgi/hello/closed:8/close")
    assert cgi.get_unit() == unit
    assert cgi.mean() == pytest.approx(value, rel=0.05)


def test_pyperf_compares_two_runs(folder: ResultsFolder, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "new", NEW, {"dso": 5000.0, "cgi": 100.0}, blocks=4, seed=2)
    (tmp_path / "base.json").write_text(pyperf_json(folder))
    (tmp_path / "new.json").write_text(pyperf_json(ResultsFolder.open(other)))
    compared, told = (
        subprocess.run(
            [sys.executable, "-m", "pyperf", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for arguments in (["compare_to", "base.json", "new.json"], ["stats", "base.json"])
    )
    assert "dso/hello/closed:8/close" in compared
    assert "slower" in compared
    assert "Total number of run: 4" in told


def test_conditions_that_differ_by_tenants_keep_apart(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "run", BASE, {"dso": 100.0}, blocks=2, tenants=(3, 100))
    folder = ResultsFolder.open(path)
    names = pyperf.BenchmarkSuite.loads(pyperf_json(folder)).get_benchmark_names()
    assert names == ["dso/hello/closed:8/close/tenants:3", "dso/hello/closed:8/close/tenants:100"]


def test_what_cannot_be_exported(folder: ResultsFolder, tmp_path: Path) -> None:
    with pytest.raises(IsobenchError, match="'forks_per_request' cannot") as raised:
        pyperf_json(folder, "forks_per_request")
    assert ", ".join(METRICS) in raised.value.hint
    empty = write_folder(tmp_path / "void", BASE, void=("dso", "cgi"), blocks=1)
    with pytest.raises(IsobenchError, match="no valid trial with requests_per_second"):
        pyperf_json(ResultsFolder.open(empty))
