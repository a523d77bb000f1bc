"""The host's fingerprint, and what harms a measurement there."""

import json
import os

import pytest

from harness import machine


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", {0}), ("0-3", {0, 1, 2, 3}), ("0,4", {0, 4}), ("0-1,8-9,12", {0, 1, 8, 9, 12})],
)
def test_cpu_lists(text: str, cpus: set[int]) -> None:
    assert machine.parse_cpu_list(text) == cpus


def test_a_processor_is_its_own_sibling() -> None:
    siblings = machine.siblings()
    assert siblings.keys() == os.sched_getaffinity(0)
    assert all(cpu in shared for cpu, shared in siblings.items())


def test_the_fingerprint_fits_into_json() -> None:
    found = json.loads(json.dumps(machine.fingerprint()))
    assert found["usable_processors"] == sorted(os.sched_getaffinity(0))
    assert found["kernel"] == os.uname().release
    assert all(value not in (None, "") for value in found.values())


def test_versions_are_of_what_a_measurement_depends_on() -> None:
    assert {"locust", "gevent", "httptools"} <= machine.versions().keys()


def test_one_processor_is_said_to_be_harmful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    cautions = list(machine.harmful_settings())
    assert "one processor" in cautions[0].about
    assert all(caution.about and caution.advice for caution in cautions)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    assert not any("one processor" in caution.about for caution in machine.harmful_settings())
