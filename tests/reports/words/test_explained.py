"""Modes are put together from bare costs; what does not fit is called unexplained."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from harness.costs.samples import Facts, Sample, Subject, rows
from harness.results.folder import ResultsFolder
from harness.results.manifest import Target
from reports.page import without_figures
from reports.words.explained import (
    INGREDIENTS,
    Part,
    explain,
    findings,
    most_expensive_phases,
    table,
)
from servers import modes
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST
from tests.reports.profiled import PHASES, PROFILES
from tests.reports.words.test_costs import OWN, creations, heaps, imports, loads

# By hand from the bare costs of test_costs, all 0.1% to 0.2% up: what dso takes is 100 us.
# harache: 4,000 fork + (570 - 70 faults) * (40,000 - 4,000 - 6,000) / 10,000 + 8 identity.
HARACHE_US = 100 + 4_000 + 500 * 3.0 + 8
# cgi: 25 vfork + 8,200 interpreter + 400 imports of hello beyond the interpreter's.
CGI_US = 100 + 25 + 8_200 + 400

RECIPES = {
    name: recipe for name in modes.names() if (recipe := modes.load(name).recipe) is not None
}


def more() -> list[Sample]:
    process = "CPython process"
    return [
        Sample(Subject("heap", process, "a byte to another process and back"), 1, 10.0, 1),
        Sample(Subject("heap", process, "a thread started and joined"), 1, 50.0, 1),
        Sample(
            Subject(
                *("creation", "change of identity and back", "2 MiB"), heap_mib=2, pages="small"
            ),
            1,
            8.0,
            5,
            Facts(call_us=8, page_faults=0),
        ),
    ]


def run_of(path: Path, measured_us: dict[str, float], costs: bool = True) -> Path:
    targets = tuple(
        Target(name, "mode", "", "server", "", recipe=RECIPES.get(name)) for name in measured_us
    )
    with ResultsFolder.create(path, replace(MANIFEST, targets=targets)) as folder:
        for place, (target, us) in enumerate(measured_us.items()):
            folder.append_trial(
                replace(
                    ROW,
                    trial=f"1-{place}",
                    target=target,
                    workload="hello",
                    server_cpu_us_per_request=us,
                    page_faults_per_request=570.0,
                    context_switches_per_request=2.0,
                )
            )
        if costs:
            samples = [*creations(), *heaps(), *loads(), *imports(), *more()]
            folder.append_table("costs", [asdict(cost.row()) for cost in rows(samples)])
        folder.update(interpreter={"version": "3.11.7"})
        folder.finish()
    return path


def explained(path: Path) -> pd.DataFrame:
    folder = ResultsFolder.open(path)
    found = explain(folder.summary(), folder.table("costs"), OWN, RECIPES)
    assert found is not None
    return table(found[1]).set_index("target")


@pytest.mark.parametrize(("target", "us"), [("harache", HARACHE_US), ("cgi", CGI_US)])
def test_the_sum_of_the_parts_is_reckoned_by_hand(tmp_path: Path, target: str, us: float) -> None:
    folder = ResultsFolder.open(run_of(tmp_path, {"dso": 100.0, target: us}))
    found = explain(folder.summary(), folder.table("costs"), OWN, RECIPES)
    assert found is not None
    (one,) = found[1]
    assert one.predicted_us == pytest.approx(us, rel=0.005)
    assert one.explained


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.8, "unexplained"), (0.9, "explained"), (1.1, "explained"), (1.3, "unexplained")],
)
def test_more_than_a_seventh_off_is_unexplained(tmp_path: Path, share: float, verdict: str) -> None:
    shown = explained(run_of(tmp_path, {"dso": 100.0, "cgi": share * CGI_US}))
    assert shown.loc["cgi", "verdict"] == verdict


def test_the_words_name_what_a_mode_is_made_of(tmp_path: Path) -> None:
    path = run_of(tmp_path, {"dso": 100.0, "cgi": CGI_US, "suexec": 3 * CGI_US})
    folder = ResultsFolder.open(path)
    found = explain(folder.summary(), folder.table("costs"), OWN, RECIPES)
    assert found is not None
    said = " ".join(findings(found[1]))
    assert "per request: the interpreter, from exec to exit (8.21 ms), the script's imports" in said


def test_the_most_expensive_phases_are_those_beyond_dso() -> None:
    found = most_expensive_phases(PHASES, PROFILES)
    # Of 80 us beyond dso; the 5 us more for opening the script are less than a tenth.
    assert found["ruid2"] == [Part("credential change", 45.0), Part("switch back", 30.0)]
    # dso takes 25 us to open the script and to deliver; exit, 400 us, is the fourth.
    assert [(part.words, part.us) for part in found["suid2"]] == [
        ("open script", 675.0),
        ("respawn", 500.0),
        ("delivery", 475.0),
    ]


@pytest.mark.parametrize(
    "profiles",
    [PROFILES[:0], PROFILES[PROFILES["target"] != "dso"], PROFILES.assign(workload="imports")],
    ids=["none", "without dso", "another workload"],
)
def test_without_a_profile_to_set_beside_no_phases_are_named(profiles: pd.DataFrame) -> None:
    assert most_expensive_phases(PHASES, profiles) == {}


def test_what_is_unexplained_is_looked_for_in_the_profile(tmp_path: Path) -> None:
    path = run_of(tmp_path, {"dso": 100.0, "ruid2": 500.0, "cgi": CGI_US})
    with ResultsFolder.open(path, writable=True) as folder:
        for name, made in {"phases": PHASES, "profiles": PROFILES}.items():
            folder.replace_targets(name, made.to_dict("records"))  # type: ignore[arg-type]
    text = without_figures(path)
    assert "ruid2 spends the time beyond dso mostly in credential change (45 µs) and" in text
    assert "cgi spends the time" not in text


def test_a_sum_that_is_too_high_is_no_work_of_the_mode(tmp_path: Path) -> None:
    folder = ResultsFolder.open(run_of(tmp_path, {"dso": 100.0, "cgi": CGI_US / 2}))
    found = explain(folder.summary(), folder.table("costs"), OWN, RECIPES)
    assert found is not None
    (said,) = findings(found[1])
    assert said.startswith("Bare costs exceed cgi (-100%)")


def test_the_page_has_the_table(tmp_path: Path) -> None:
    text = without_figures(run_of(tmp_path, {"dso": 100.0, "cgi": 3 * CGI_US}))
    assert "What explains the modes" in text
    assert "Bare costs do not explain cgi (+67%)" in text


@pytest.mark.parametrize(
    ("measured", "costs"), [({"cgi": 9_000.0}, True), ({"dso": 100.0, "cgi": 9_000.0}, False)]
)
def test_without_dso_or_costs_nothing_is_explained(
    tmp_path: Path, measured: dict[str, float], costs: bool
) -> None:
    folder = ResultsFolder.open(run_of(tmp_path, measured, costs))
    assert explain(folder.summary(), folder.table("costs"), OWN, RECIPES) is None


def test_a_mode_of_which_a_cost_is_missing_is_left_out(tmp_path: Path) -> None:
    path = run_of(tmp_path, {"dso": 100.0, "cgi": CGI_US, "suexec": CGI_US})
    # There is no launch of a dynamic C program among these costs, as without a compiler.
    assert set(explained(path).index) == {"cgi"}


def test_every_mode_has_a_recipe_of_known_ingredients() -> None:
    """But dso, to which all others are set, and what no bare cost stands for."""
    assert {*modes.names()} - {*RECIPES} == {"dso", "groundhog"}
    assert {name for recipe in RECIPES.values() for name in recipe} == {*INGREDIENTS}


def test_a_recipe_with_what_is_not_known_explains_nothing(tmp_path: Path) -> None:
    folder = ResultsFolder.open(run_of(tmp_path, {"dso": 100.0, "new": 200.0}))
    recipes = {"new": ("identity", "something of a later version")}
    assert explain(folder.summary(), folder.table("costs"), OWN, recipes) is None
