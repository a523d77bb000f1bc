"""What a mode is made of is said; what does not fit is called unexplained, and looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.results.analysis.mechanism_cost import Amount, Explanation, Part
from harness.results.folder import ResultsFolder
from harness.results.manifest import Target
from reports.page import without_figures
from reports.words.explained import findings, most_expensive_phases, table
from servers import modes
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST
from tests.harness.results.analysis.test_mechanism_cost import mechanisms
from tests.reports.profiled import PHASES, PROFILES

RUID2 = Explanation(
    "ruid2",
    140.0,
    (
        Part("what dso takes", Amount(100.0, 0.0)),
        Part("a change of identity and back", Amount(30.0, 2.0)),
        Part("0.1 more page faults", Amount(-0.2, 0.1)),
    ),
)
SUEXEC = replace(RUID2, target="suexec", measured_us=500.0)
HUSSA = replace(RUID2, target="hussa", measured_us=100.0)


def run_of(path: Path, measured_us: Mapping[str, float], with_mechanisms: bool = True) -> Path:
    targets = tuple(
        Target(name, "mode", "", "server", "", recipe=getattr(modes.load(name), "recipe", None))
        if name in modes.names()
        else Target(name, "mode", "", "server", "", recipe=("identity",))
        for name in measured_us
    )
    with ResultsFolder.create(path, replace(MANIFEST, targets=targets)) as folder:
        rows = [
            replace(
                ROW,
                trial=f"1-{place}",
                target=target,
                server_cpu_us_per_request=us,
                page_faults_per_request=0.0,
                context_switches_per_request=1.0,
            )
            for place, (target, us) in enumerate(measured_us.items())
        ]
        folder.append_trials((row, (), ()) for row in rows)
        if with_mechanisms:
            folder.append_table("mechanisms", mechanisms().to_dict("records"))  # type: ignore[arg-type]
        folder.finish()
    return path


def test_the_words_name_what_a_mode_is_made_of() -> None:
    first, made, *others = findings([RUID2])
    assert first == "1 of 1 targets is explained within 15% by what they are made of."
    assert made == (
        "ruid2 costs 140 µs of CPU time a request: what dso takes (100 µs) and "
        "a change of identity and back (30 µs)."
    )
    assert others == []


def test_what_is_left_is_told_in_microseconds_the_furthest_first() -> None:
    first, _, *rests = findings([RUID2, HUSSA, SUEXEC])
    assert first.startswith("1 of 3 targets is explained")
    assert rests[0].startswith("370 µs of suexec (+74%) are left unexplained; a profile")
    assert rests[1].startswith("The parts come to 29.8 µs more than hussa (-30%)")


def test_what_is_left_is_looked_for_in_the_profile() -> None:
    told = findings([SUEXEC], {"suexec": [("delivery", 475.0), ("exit", 30.0)]})[-1]
    assert told.endswith(
        "by its profile, suexec exceeds dso most in delivery (475 µs) and exit (30 µs)."
    )


def test_the_table_has_each_part_with_its_interval() -> None:
    shown = table([RUID2]).iloc[0]
    assert shown["from its parts"] == "130 µs"
    assert shown["±"] == "2 µs"
    assert (shown["difference"], shown["rest"]) == ("+7%", "10.2 µs")
    assert shown["made of"] == "what dso takes 100 µs; a change of identity and back 30 µs ±2 µs"


def test_the_most_expensive_phases_are_those_beyond_dso() -> None:
    found = most_expensive_phases(PHASES, PROFILES)
    # Of 80 us beyond dso; the 5 us more for opening the script are less than a tenth.
    assert found["ruid2"] == [("credential change", 45.0), ("switch back", 30.0)]
    # dso takes 25 us to open the script and to deliver; exit, 400 us, is the fourth.
    assert found["suid2"] == [("open script", 675.0), ("respawn", 500.0), ("delivery", 475.0)]


@pytest.mark.parametrize(
    "profiles",
    [PROFILES[:0], PROFILES[PROFILES["target"] != "dso"], PROFILES.assign(workload="imports")],
    ids=["none", "without dso", "another workload"],
)
def test_without_a_profile_to_set_beside_no_phases_are_named(profiles: pd.DataFrame) -> None:
    assert most_expensive_phases(PHASES, profiles) == {}


def test_the_page_has_the_table_and_looks_into_the_profile(tmp_path: Path) -> None:
    path = run_of(tmp_path, {"dso": 100.0, "ruid2": 500.0, "suzuki": 130.0})
    with ResultsFolder.open(path, writable=True) as folder:
        for name, made in {"phases": PHASES, "profiles": PROFILES}.items():
            folder.replace_targets(name, made.to_dict("records"))  # type: ignore[arg-type]
    text = without_figures(path)
    assert "What explains the modes" in text
    assert "1 of 2 targets is explained" in text
    assert "ruid2 exceeds dso most in credential change (45 µs) and" in text


def test_without_mechanisms_the_page_says_nothing_of_it(tmp_path: Path) -> None:
    assert "What explains" not in without_figures(
        run_of(tmp_path, {"dso": 1.0, "ruid2": 2.0}, False)
    )
