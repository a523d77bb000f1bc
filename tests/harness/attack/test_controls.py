"""The doubles that are weak on purpose: found by name, and never taken for modes."""

from harness.attack import controls
from harness.target.server import Server
from harness.target.targets import available


def test_no_double_is_listed_as_a_mode() -> None:
    assert not {target.name for target in available()} & set(controls.RUNS_AS)


def test_a_double_is_found_and_started_as_one_and_a_mode_as_a_mode() -> None:
    assert controls.find("careless").kind == "double"
    assert controls.server_class("careless") is controls.DoubleServer
    assert controls.find("dso").kind == "mode"
    assert controls.server_class("dso") is Server
