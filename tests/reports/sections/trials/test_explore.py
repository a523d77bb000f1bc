"""What the page's script reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.section import Results
from reports.sections.trials.explore import Explore

MakeFolder = Callable[..., Path]


def explored(folder: Path) -> Explore:
    found = Explore.read(Results.open(folder))
    assert found is not None
    return found


def test_each_condition_has_a_row_for_each_target(make_folder: MakeFolder) -> None:
    facts = json.loads(explored(make_folder(blocks=3, targets=("dso", "cgi"))).data)
    assert [one["connection"] for one in facts["conditions"]] == [
        "one connection per request",
        "connections kept alive",
    ]
    assert {one["load"] for one in facts["conditions"]} == {"8 users"}
    for condition in facts["conditions"]:
        assert [row["target"] for row in condition["rows"]] == ["dso", "cgi"]
    assert facts["targets"].keys() == {"dso", "cgi"}


def test_values_lie_within_their_intervals_and_capacity_is_the_inverse_of_cpu(
    make_folder: MakeFolder,
) -> None:
    facts = explored(make_folder(blocks=3, targets=("dso",), connections=("close",))).facts
    (row,) = facts["conditions"][0]["rows"]
    for name in ("rate", "capacity", "p99", "cpu"):
        mid, low, high = row[name]
        assert low < mid < high
    assert row["capacity"][0] == pytest.approx(1e6 / row["cpu"][0], rel=1e-3)
    assert row["cpu"][0] == pytest.approx(58, rel=0.05)


def test_one_block_has_no_interval_and_a_void_target_no_value(make_folder: MakeFolder) -> None:
    folder = make_folder(
        blocks=1, targets=("dso", "cgi"), void_targets=("cgi",), connections=("close",)
    )
    rows = {row["target"]: row for row in explored(folder).facts["conditions"][0]["rows"]}
    assert rows["dso"]["rate"][1:] == [None, None]
    assert rows["cgi"]["rate"] == rows["cgi"]["capacity"] == [None] * 3
    assert rows["cgi"]["verdict"] == "void"


def test_a_name_cannot_end_the_script_that_holds_it() -> None:
    assert "</script" not in Explore(facts={"targets": {"</script>": "#fff"}}).data


def test_a_run_without_a_good_trial_has_nothing_to_explore(make_folder: MakeFolder) -> None:
    folder = make_folder(blocks=1, targets=("dso",), void_targets=("dso",))
    assert Explore.read(Results.open(folder)) is None
