"""What the report says of profiles."""

from pathlib import Path
from typing import Any

from harness.results.folder import ResultsFolder
from reports.page import without_figures
from reports.section import Results
from reports.sections.studies.profiles import Profiles
from reports.words import profiles
from tests.reports.conftest import manifest
from tests.reports.profiled import CALLS, PHASES, PROFILES

NOTHING = "\N{EN DASH}"


def said(**changes: Any) -> str:
    return " ".join(profiles.sentences(PHASES, PROFILES.assign(**changes)))


def test_each_target_has_a_sentence_that_names_what_took_most() -> None:
    sentences = list(profiles.sentences(PHASES, PROFILES))
    assert sentences[0] == (
        "`dso` took 100 µs a request: accept 40% (40 µs), open script 25% (25 µs), "
        "delivery 25% (25 µs) and script 10% (10 µs)."
    )
    assert sentences[1].endswith("After the response: switch back 30 µs.")
    assert sentences[2].endswith("After the response: exit 400 µs and respawn 500 µs.")


def test_sums_that_hold_and_sums_that_do_not() -> None:
    assert "In the median request of each target the phases come to 100% of its time." in said()
    off = said(accounted=[1.0, 0.9, 1.0])
    assert "The phases do not add up to the time of a request in `ruid2` (90%)." in off
    assert "3 requests passed a probe point too early" in said(disordered=[3, 0, 0])


def test_what_is_missing_is_named_with_the_reason() -> None:
    text = said(missing="fork, exec", no_kernel_view="tracefs cannot be opened: Permission denied")
    assert (
        "(tracefs cannot be opened: Permission denied), so in `dso`, `ruid2` and `suid2` the "
        "phases that only the kernel sees (fork, exec) are in the phase after them." in text
    )
    assert "ernel" not in said()


def test_the_cost_of_stamping_is_said_where_it_is_known() -> None:
    assert "Recording timestamps costs `dso` 1.2% of its requests per second" in said()


def test_the_table_of_phases_follows_the_course_of_a_request() -> None:
    table = profiles.durations(PHASES, PROFILES)
    assert list(table.columns) == ["phase", "dso", "ruid2", "suid2"]
    names = table["phase"].tolist()
    assert names[0] == "accept"
    assert names.index("credential change") < names.index("script") < names.index("delivery")
    assert "respawn (after the response)" in names
    assert names[-1] == "until the response"
    (row,) = table[table["phase"] == "credential change"].drop(columns="phase").to_numpy().tolist()
    assert row == [NOTHING, "45 µs", NOTHING]


def test_the_table_of_counts_names_the_most_frequent_calls() -> None:
    table = profiles.counts(CALLS, PROFILES).set_index("target")
    assert table.loc["dso", "system calls"] == "3"
    assert table.loc["dso", "most frequent calls"] == "close 2, openat 1"
    assert table.loc["suid2", "system calls"] == NOTHING


def folder_with(path: Path, **changes: object) -> Path:
    with ResultsFolder.create(path, manifest(**changes)) as folder:
        for name, frame in (("phases", PHASES), ("profiles", PROFILES), ("calls", CALLS)):
            folder.replace_targets(name, frame.to_dict("records"))  # type: ignore[arg-type]
    return path


def test_a_page_of_profiles_alone_has_their_title_and_no_complaint(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "profile", plan={}, finished_at="2026-03-01")
    page = without_figures(path)
    assert f"<h1>{profiles.HEADING}</h1>" in page
    assert "No trial has ended" not in page
    assert "<code>ruid2</code> took 150 µs a request" in page


def test_a_folder_without_profiles_has_no_such_part(tmp_path: Path) -> None:
    ResultsFolder.create(tmp_path / "run", manifest()).close()
    assert Profiles.read(Results.open(tmp_path / "run")) is None
    assert profiles.HEADING not in without_figures(tmp_path / "run")
