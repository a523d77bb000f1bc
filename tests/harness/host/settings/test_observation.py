"""What isobench cannot observe on a host, with the remedy."""

import os
from collections.abc import Mapping

import pytest

from harness.host.settings import observation
from harness.host.settings.view import Check
from tests.harness.host.settings.made import Made, assert_named


@pytest.mark.parametrize(
    ("check", "files", "about", "advice"),
    [
        (
            observation.control_groups,
            {"proc/self/cgroup": "1:name=systemd:/"},
            "no cgroup v2",
            "mount -t cgroup2",
        ),
        (
            observation.pressure,
            {"proc/pressure/cpu": None},
            "does not report pressure",
            "psi=1",
        ),
        (
            observation.cpu_controller,
            {"sys/fs/cgroup/ours/cgroup.controllers": "memory"},
            "no cpu controller",
            "echo +cpu",
        ),
        (
            observation.profiling,
            {"sys/kernel/tracing/README": None, "sys/kernel/tracing/.there": ""},
            "tracefs is not mounted",
            "mount -t tracefs",
        ),
        (
            observation.old_kernel,
            {"proc/sys/kernel/osrelease": "5.10.0-21-amd64"},
            "Linux 5.10.0-21-amd64 has no cgroup.kill",
            "5.14",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    assert_named(host, check, files, about, advice)


def test_a_cgroup_that_is_not_ours(host: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    view = host({})
    monkeypatch.setattr(os, "access", lambda *_: False)
    (caution,) = observation.control_groups(view)
    assert "cannot create a cgroup" in caution.about
    assert "Delegate=yes" in caution.advice


def test_perf_is_for_root_or_a_lower_level(host: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    view = host({"proc/sys/kernel/perf_event_paranoid": "3"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (caution,) = observation.profiling(view)
    assert "perf_event_paranoid is 3" in caution.about
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert list(observation.profiling(view)) == []
