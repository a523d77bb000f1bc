"""Which facts make two machines of one, and which are only said."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands.groundwork.folder import warn_of_change
from harness.host import fingerprint
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.results.provenance import (
    UNKNOWN,
    Discrepancy,
    changes,
    discrepancies,
    facts,
    last_tools,
    tools,
)
from harness.target.sites import interpreter
from reports.page import made
from tests.harness.folders import BASE, NEW, write_folder


def test_one_machine_and_one_plan() -> None:
    assert discrepancies(BASE, NEW) == ()


@pytest.mark.parametrize("name", ["cpu", "kernel", "cores", "processors", "hypervisor"])
def test_what_makes_two_machines(name: str) -> None:
    base = replace(BASE, machine={**BASE.machine, name: "one"})
    new = replace(NEW, machine={**NEW.machine, name: "other"})
    assert discrepancies(base, new) == (Discrepancy(f"machine.{name}", "one", "other", True),)


def test_settings_and_versions_are_said_and_decide_nothing() -> None:
    new = replace(
        NEW,
        machine={**NEW.machine, "governor": "powersave", "kernel": "6.19.0"},
        versions={"locust": "2.33"},
        plan={**NEW.plan, "seconds": 0.5},
        commit="abc",
    )
    found = discrepancies(BASE, new)
    assert [(one.name, one.decisive) for one in found] == [
        ("machine.kernel", True),  # first, since it decides
        ("machine.governor", False),
        ("versions.locust", False),
        ("plan.seconds", False),
        ("commit", False),
    ]
    assert (found[-1].base, found[-1].new) == (UNKNOWN, "abc")


def test_an_older_isobench_knew_less() -> None:
    new = replace(NEW, machine={**NEW.machine, "hypervisor": "KVM"})
    assert discrepancies(BASE, new) == (Discrepancy("machine.hypervisor", UNKNOWN, "KVM"),)


def test_another_seed_is_no_discrepancy() -> None:
    assert discrepancies(BASE, replace(NEW, plan={**NEW.plan, "seed": 2, "targets": []})) == ()


def test_facts_are_flat() -> None:
    nested = replace(BASE, machine={"mitigations": {"spectre_v2": "IBRS"}, "usable": [0, 1]})
    flat = dict(facts(nested))
    assert flat["machine.mitigations.spectre_v2"] == "IBRS"
    assert flat["machine.usable"] == "0, 1"


def test_what_a_run_is_made_with_is_compared_as_far_as_it_is_known() -> None:
    before = tools("0.0.9", None, {"version": "3.11.1"}, {"numpy": "1.0", "wrk": "4"})
    now = tools("0.1.0", "abc", {"version": "3.12.0", "flags": "-IS"}, {"numpy": "2.0", "new": "1"})
    assert changes(before, before) == []
    assert changes(before, now) == [
        "isobench 0.0.9 to 0.1.0",
        "commit none to abc",
        "interpreter's version 3.11.1 to 3.12.0",
        "numpy 1.0 to 2.0",
    ]


def test_a_folder_keeps_with_what_it_was_continued(tmp_path: Path) -> None:
    before = replace(
        BASE,
        isobench="0.0.9",
        commit=fingerprint.own_commit(),
        interpreter=interpreter(),
        versions=fingerprint.versions(),
    )
    write_folder(tmp_path / "run", before, blocks=1)
    said = io.StringIO()
    with ResultsFolder.open(tmp_path / "run", writable=True) as folder:
        for _ in range(2):  # the second time nothing has changed any more
            warn_of_change(folder, {"kernel": "6.18.0"}, "on the way", Console(file=said))
    manifest = ResultsFolder.open(tmp_path / "run").manifest
    own = fingerprint.own_version()
    assert manifest.isobench == "0.0.9"
    (later,) = manifest.continued_by
    assert (later["isobench"], later["when"]) == (own, "on the way")
    assert last_tools(manifest)["versions"] == fingerprint.versions()
    (caution,) = manifest.warnings
    assert caution.about == f"isobench changed on the way: isobench 0.0.9 to {own}"
    assert said.getvalue().count("warning") == 1
    assert f"continued by isobench {own}" in made(manifest)
    assert ("continued by", own) in facts(manifest)


def test_a_folder_of_an_older_isobench_was_not_continued() -> None:
    text = BASE.to_json().replace('  "continued_by": [],\n', "")
    assert "continued_by" not in text
    assert Manifest.from_json(text).continued_by == ()
