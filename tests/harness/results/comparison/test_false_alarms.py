"""The rate of false alarms, as a selftest's folder has it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.results.comparison.false_alarms import latest, read
from tests.harness import folders

SHARES = [
    {"variant": "dso:again", "metric": "requests_per_second", "called": 9, "comparisons": 40,
     "low": 0.1, "high": 0.4},
    {"variant": "dso:again", "metric": "server_cpu_us_per_request", "called": 2, "comparisons": 40,
     "low": 0.006, "high": 0.17},
    {"variant": "dso:plant=5%", "metric": "server_cpu_us_per_request", "called": 39,
     "comparisons": 40, "low": 0.9, "high": 1.0},
]  # fmt: skip


def write_selftest(path: Path, called: int = 2, **changes: object) -> Path:
    manifest = replace(folders.BASE, run_id=path.name, **changes)  # type: ignore[arg-type]
    folders.write_folder(path, manifest, {}, blocks=0)
    shares = [{**share, "called": called} for share in SHARES]
    content = {"judged_metric": "server_cpu_us_per_request", "shares": shares}
    (path / "selftest.json").write_text(json.dumps(content))
    return path


def test_the_rate_is_that_of_equal_targets_in_the_judged_metric(tmp_path: Path) -> None:
    alarms = read(write_selftest(tmp_path / "selftest"), folders.NEW)
    assert (alarms.called, alarms.comparisons, alarms.low, alarms.high) == (2, 40, 0.006, 0.17)
    assert not alarms.elsewhere


def test_the_latest_selftest_of_this_machine_is_found_beside_a_run(tmp_path: Path) -> None:
    run = folders.write_folder(tmp_path / "run", folders.NEW, blocks=1)
    assert latest(run, folders.NEW) is None
    write_selftest(tmp_path / "old", called=1, started_at="2026-01-01T00:00:00+00:00")
    write_selftest(tmp_path / "new", called=2, started_at="2026-02-01T00:00:00+00:00")
    other = {**folders.BASE.machine, "cpu": "Another CPU"}
    write_selftest(tmp_path / "other", called=3, started_at="2026-03-01", machine=other)
    (write_selftest(tmp_path / "broken", started_at="2026-04-01") / "run.json").write_text("{")
    found = latest(run, folders.NEW)
    assert found is not None
    assert found.called == 2
    assert read(tmp_path / "other", folders.NEW).elsewhere


@pytest.mark.parametrize("text", ["{", "[]", '{"judged_metric": "x", "shares": []}', "{}"])
def test_what_is_no_selftest_is_a_users_mistake(tmp_path: Path, text: str) -> None:
    path = write_selftest(tmp_path / "selftest")
    (path / "selftest.json").write_text(text)
    with pytest.raises(IsobenchError, match="not the folder of a selftest"):
        read(path, folders.NEW)
