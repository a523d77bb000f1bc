"""Two made-up runs side by side: what is found, what is refused, what is said besides."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import IsobenchError
from harness.results.comparison.compare import (
    COMPARABLE,
    METRICS,
    RATIO,
    Comparison,
    Measured,
    change,
    choose_metrics,
    compare,
    refuse_broken,
)
from harness.results.comparison.thresholds import Bound, parse_bound
from harness.results.conditions import Condition
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.stats.significance import Finding
from tests.harness.folders import BASE, NEW, RATES, write_folder

CONDITION = Condition("hello", "closed:8", "close", 3, "uniform")
RATE = "requests_per_second"
DONE = replace(BASE, finished_at="2026-03-01T12:10:00+00:00")
DONE_NEW = replace(NEW, finished_at="2026-03-01T15:10:00+00:00")


def measured(
    manifest: Manifest, factor: float = 1.0, blocks: int = 8, seed: int = 1, **verdicts: str
) -> Measured:
    """Return a run of dso and cgi whose rates are `factor` times the usual ones."""
    random = np.random.default_rng(seed)
    scatter = {name: np.exp(random.normal(0, 0.01, blocks)) for name in RATES}
    return Measured(
        manifest,
        {
            (name, CONDITION): {
                RATE: tuple((factor * rate * scatter[name]).tolist()),
                "memory_mib": (64.0,) * blocks,
            }
            for name, rate in RATES.items()
            if not verdicts.get(name, "").startswith("void")
        },
        {(name, CONDITION): verdicts.get(name, "ok") for name in RATES},
    )


def side_by_side(factor: float = 1.0, bounds: tuple[str, ...] = (), blocks: int = 8) -> Comparison:
    return compare(
        measured(DONE, blocks=blocks),
        measured(DONE_NEW, factor, seed=2, blocks=blocks),
        metrics=(RATE, "memory_mib"),
        bounds=[parse_bound(text, COMPARABLE) for text in bounds],
    )


def test_equal_runs_show_no_difference() -> None:
    comparison = side_by_side()
    assert {row.finding for row in comparison.rows} == {Finding.SAME}
    assert len(comparison.rows) == 4
    assert all(row.ratio.low <= 1 <= row.ratio.high for row in comparison.rows)


def test_a_fifth_less_is_found() -> None:
    rows = {(row.target, row.metric): row for row in side_by_side(0.8).rows}
    for target in RATES:
        row = rows[target, RATE]
        assert row.finding is Finding.LOWER
        assert row.ratio.low < 0.8 < row.ratio.high
        assert row.ratio.mid == pytest.approx(row.new / row.base)
        assert row.p_value < 1e-6
        assert rows[target, "memory_mib"].finding is Finding.SAME
    faster = side_by_side(1.25).rows
    assert [row.finding for row in faster if row.metric == RATE] == [Finding.HIGHER] * 2


def test_the_smallest_effect_decides_what_matters() -> None:
    base, new = measured(DONE), measured(DONE_NEW, 0.9, seed=2)
    for effect, finding in ((0.03, Finding.LOWER), (0.2, Finding.SAME)):
        rows = compare(base, new, metrics=(RATE,), smallest_effect=effect).rows
        assert {row.finding for row in rows} == {finding}


def test_a_bound_that_holds_names_the_rows() -> None:
    comparison = side_by_side(0.8, ("requests_per_second < -5%", "cgi: memory_mib > 5%"))
    assert len(comparison.checks) == 3
    with pytest.raises(IsobenchError) as raised:
        refuse_broken(comparison)
    message = str(raised.value)
    assert raised.value.exit_code == 1
    assert raised.value.hint
    assert "'requests_per_second < -5%' at dso -" in message
    assert ", cgi -" in message
    assert "hello, 8 users" in message
    assert "memory_mib" not in message


def test_bounds_that_do_not_hold() -> None:
    refuse_broken(side_by_side(0.97, ("requests_per_second < -5%", "memory_mib > 1%")))
    refuse_broken(side_by_side(0.8, ("requests_per_second > 5%",)))
    refuse_broken(side_by_side(0.8))


def test_a_metric_that_only_a_bound_names_is_compared() -> None:
    base, new = measured(DONE), measured(DONE_NEW, 0.8)
    bound = Bound("memory_mib", True, 1.0)
    rows = compare(base, new, metrics=(RATE,), bounds=[bound]).rows
    assert {row.metric for row in rows} == {RATE, "memory_mib"}


def test_two_machines_are_refused_unless_forced() -> None:
    elsewhere = replace(DONE_NEW, machine={**DONE_NEW.machine, "cpu": "Another CPU"})
    with pytest.raises(IsobenchError, match="cpu is Example CPU and Another CPU") as raised:
        compare(measured(DONE), measured(elsewhere), metrics=(RATE,))
    assert "--force" in raised.value.hint
    assert raised.value.exit_code == 2
    forced = compare(measured(DONE), measured(elsewhere), metrics=(RATE,), force=True)
    assert forced.across_machines
    assert forced.cautions[0].about == "the runs were made on different machines (machine.cpu)"


def test_another_governor_is_said_and_not_refused() -> None:
    new = replace(DONE_NEW, machine={**DONE_NEW.machine, "governor": "powersave"})
    comparison = compare(measured(DONE), measured(new), metrics=(RATE,))
    assert not comparison.across_machines
    assert [one.name for one in comparison.discrepancies] == ["machine.governor"]


def test_nothing_in_common() -> None:
    base = measured(DONE)
    new = Measured(
        DONE_NEW, {("ruid2", CONDITION): {RATE: (1.0, 2.0)}}, {("ruid2", CONDITION): "ok"}
    )
    with pytest.raises(IsobenchError, match="no target and condition in common") as raised:
        compare(base, new, metrics=(RATE,))
    assert raised.value.hint == "BASE has dso, cgi; NEW has ruid2"


def test_rows_of_one_run_only_are_listed() -> None:
    base, new = measured(DONE), measured(DONE_NEW)
    kept = {key: value for key, value in new.verdicts.items() if key[0] == "dso"}
    other = ("dso", CONDITION._replace(load="closed:1"))
    comparison = compare(base, replace(new, verdicts={**kept, other: "ok"}), metrics=(RATE,))
    assert comparison.only_base == (("cgi", CONDITION),)
    assert comparison.only_new == (other,)
    assert {row.target for row in comparison.rows} == {"dso"}


def test_verdicts_are_carried_along() -> None:
    base = measured(DONE, dso="noisy")
    new = measured(DONE_NEW, dso="generator-bound", cgi="void: it lied")
    comparison = compare(base, new, metrics=(RATE,))
    (row,) = comparison.rows
    assert (row.base_verdict, row.new_verdict) == ("noisy", "generator-bound")
    about = [caution.about for caution in comparison.cautions]
    assert "noisy in BASE: dso" in about
    assert "generator-bound in NEW: dso" in about
    assert "void: it lied in NEW: cgi" in about


def about(base: Measured, new: Measured) -> str:
    return "\n".join(one.about for one in compare(base, new, metrics=(RATE,)).cautions)


def test_what_weakens_a_comparison() -> None:
    assert "began 3 hours apart" in about(measured(DONE), measured(DONE_NEW))
    assert "NEW did not finish" in about(measured(DONE), measured(NEW))
    assert "the same run" in about(measured(DONE), measured(DONE))
    assert "only one valid block, so no interval: dso, cgi" in about(
        measured(DONE, blocks=1), measured(DONE_NEW)
    )
    undated = replace(DONE_NEW, started_at="yesterday")
    assert "made at different times" in about(measured(DONE), measured(undated))


def test_three_blocks_of_each_run_can_tell() -> None:
    base, new = measured(DONE, blocks=3), measured(DONE_NEW, 0.5, blocks=3)
    comparison = compare(base, new, metrics=(RATE,))
    assert {row.finding for row in comparison.rows} == {Finding.LOWER}
    assert "too few" not in "".join(one.about for one in comparison.cautions)


def test_a_change_in_words() -> None:
    shown = [change(ratio) for ratio in (1.052, 0.8, 1.0, 0.99999, 3.5, 12.0, math.nan)]
    assert shown == ["+5.2%", "-20.0%", "0.0%", "0.0%", "+250%", "+1,100%", "unknown"]
    assert [change(ratio) for ratio in (101.0, 1e22, math.inf)] == [">+9,900%"] * 3
    assert [change(ratio) for ratio in (0.0099, 0.0)] == ["<-99.0%"] * 2


def test_metrics_by_name() -> None:
    assert choose_metrics(["p90_ms", RATE, "p90_ms"]) == ("p90_ms", RATE)
    for wrong in (["speed"], []):
        with pytest.raises(IsobenchError) as raised:
            choose_metrics(wrong)
        assert RATE in raised.value.hint


def test_from_folders(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", BASE)
    # Another hour: everything is a third slower, cgi even a little more.
    new = write_folder(tmp_path / "new", NEW, {"dso": 6700.0, "cgi": 60.0}, seed=2)
    runs = [ResultsFolder.open(path).measured((*METRICS, RATIO)) for path in (base, new)]
    comparison = compare(*runs, metrics=(*METRICS, RATIO))
    found = {(row.target, row.metric): row for row in comparison.rows}
    assert found["dso", RATE].finding is Finding.LOWER
    assert found["dso", "p99_ms"].finding is Finding.HIGHER
    assert found["cgi", RATIO].ratio.mid == pytest.approx(0.6 / 0.67, rel=0.03)
    assert ("dso", RATIO) not in found  # always 1
    assert len(found) == 11


def test_blocks_that_only_the_baseline_lacks(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "base", BASE, {"cgi": 100.0}, blocks=2)
    (values,) = ResultsFolder.open(folder).measured((RATE, RATIO)).values.values()
    assert len(values[RATE]) == 2
    assert values[RATIO] == ()
