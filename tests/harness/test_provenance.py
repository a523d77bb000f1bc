"""Which facts make two machines of one, and which are only said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.provenance import UNKNOWN, Discrepancy, discrepancies, facts
from tests.harness.folders import BASE, NEW


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
