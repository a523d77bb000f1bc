"""Many runs as one data set: what is gathered, what is skipped, and where levels change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.results.comparison.compare import CAPACITY, RATIO
from harness.results.comparison.history import History, gather
from tests.harness import folders


def write_runs(
    root: Path, rates: list[float], *, machines: str = "", target: str = "cgi"
) -> list[Path]:
    """Write a run a day; `rates` are those of the target, `machines` a letter each."""
    paths = []
    for day, rate in enumerate(rates):
        began = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=day)
        machine = {**folders.BASE.machine, "cpu": f"CPU {(machines or 'a' * len(rates))[day]}"}
        manifest = replace(
            folders.BASE,
            run_id=f"run-{day:02d}",
            started_at=began.isoformat(),
            machine=machine,
            commit=f"commit-{day}",
        )
        measured = {"dso": 10_000.0, target: rate}
        path = root / "of" / f"run-{day:02d}"
        paths.append(folders.write_folder(path, manifest, measured, blocks=2, seed=day))
    return paths


def changes(history: History, metric: str = RATIO) -> list[tuple[int, int]]:
    return [
        (one.before, one.after)
        for series in history.series
        if series.metric == metric
        for one in series.changes
    ]


def test_runs_are_gathered_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    paths = write_runs(tmp_path, [100.0] * 3)
    history = gather([paths[2], tmp_path])
    assert [run.name for run in history.runs] == ["run-00", "run-01", "run-02"]
    assert [(one.metric, one.target) for one in history.series] == [
        (CAPACITY, "cgi"),
        (RATIO, "cgi"),
    ]
    assert [point.run for point in history.series[0].points] == [0, 1, 2]
    assert history.series[0].points[0].value.mid == pytest.approx(0.01, rel=0.05)
    assert history.skipped == ()


def test_a_change_of_level_lies_between_two_runs(tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0] * 5 + [80.0] * 5)
    history = gather([tmp_path], ["requests_per_second"])
    assert changes(history, "requests_per_second") == [(4, 5)]
    assert ("commit", "commit-4", "commit-5") in [
        (one.name, one.base, one.new) for one in history.differs(4, 5)
    ]


def test_another_machine_is_a_break_and_no_change(tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0] * 5 + [300.0] * 5, machines="aaaaabbbbb")
    history = gather([tmp_path])
    assert (history.machines, history.breaks(), changes(history)) == (2, [5], [])


def test_changes_are_found_among_the_runs_of_one_machine_that_takes_turns_with_another(
    tmp_path: Path,
) -> None:
    write_runs(tmp_path, [100.0, 300.0] * 5 + [80.0, 300.0] * 5, machines="ab" * 10)
    assert changes(gather([tmp_path])) == [(8, 10)]


def test_what_is_no_run_is_named_and_skipped(tmp_path: Path) -> None:
    first, second, third = write_runs(tmp_path, [100.0] * 3)
    (second / "run.json").write_text("{")
    (third / "trials.parquet").write_bytes(b"nothing")
    (tmp_path / "foreign" / "deep").mkdir(parents=True)
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "run.json").write_text('{"schema": 1, "made_by": "another tool"}')
    selftest = folders.write_folder(tmp_path / "selftest", folders.NEW, blocks=1)
    (selftest / "selftest.json").write_text("{}")
    copy = replace(folders.NEW, run_id="run-00")
    folders.write_folder(tmp_path / "z-copy", copy, blocks=1)
    folders.write_folder(tmp_path / "attacks", replace(folders.NEW, run_id="x"), {})
    folders.write_folder(
        tmp_path / "when", replace(folders.NEW, run_id="y", started_at="once"), blocks=1
    )
    folders.write_folder(tmp_path / "again" / "1-base-1", replace(folders.NEW, run_id="z"))
    (tmp_path / "again" / "confirm.json").write_text("{}")
    history = gather([tmp_path])
    assert [run.path for run in history.runs] == [first]
    reasons = {one.path.relative_to(tmp_path).as_posix(): one.reason for one in history.skipped}
    assert set(reasons) == {
        *("of/run-01", "of/run-02", "foreign", "tool", "selftest", "z-copy", "attacks", "when"),
        "again",
    }
    assert "damaged" in reasons["of/run-01"]
    assert "damaged" in reasons["of/run-02"]
    assert reasons["foreign"] == "no run.json in it or below"
    assert "damaged" in reasons["tool"]
    assert "selftest" in reasons["selftest"]
    assert "confirm" in reasons["again"]
    assert reasons["z-copy"] == f"the same run as {first}"
    assert reasons["attacks"] == "no valid trial of a target in it"
    assert "no time: 'once'" in reasons["when"]


def test_series_are_chosen_by_their_names(tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0])
    names = gather([tmp_path], ["p99_ms"], ["dso/*"]).series
    assert [one.target for one in names] == ["dso"]
    with pytest.raises(IsobenchError) as error:
        gather([tmp_path], ["p99_ms"], ["nobody/*"])
    assert "dso/hello/closed:8/close/tenants:3" in error.value.hint


def test_an_empty_history_says_what_was_found_instead(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    with pytest.raises(IsobenchError, match=r"no run below .*figures: no run.json in it"):
        gather([tmp_path])
    with pytest.raises(IsobenchError, match="does not exist"):
        gather([tmp_path / "nowhere"])
    (tmp_path / "file").write_text("")
    with pytest.raises(IsobenchError, match="is not a directory"):
        gather([tmp_path / "file"])


def test_runs_of_the_baseline_alone_have_no_ratio(tmp_path: Path) -> None:
    folders.write_folder(tmp_path / "run", folders.BASE, {"dso": 100.0}, blocks=2)
    with pytest.raises(IsobenchError) as error:
        gather([tmp_path])
    assert "--metric requests_per_second" in error.value.hint


def test_a_metric_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsobenchError, match="'speed'"):
        gather([tmp_path], ["speed"])


def test_what_the_load_generator_held_back_is_a_bound(tmp_path: Path) -> None:
    (path,) = write_runs(tmp_path, [100.0])
    (path / "summary.csv").write_text(
        "target,workload,load,connection,tenants,popularity,verdict\n"
        "dso,hello,closed:8,close,3,uniform,ok\n"
        "cgi,hello,closed:8,close,3,uniform,generator-bound\n"
    )
    (series,) = gather([tmp_path], [RATIO]).series
    assert series.points[0].is_bound
    (path / "summary.csv").write_text("\x00")
    (series,) = gather([tmp_path], [RATIO]).series
    assert not series.points[0].is_bound
