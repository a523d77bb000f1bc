"""Other work on the host, and who does it."""

from collections.abc import Mapping

import pytest

from harness.host.settings import contention
from harness.host.settings.view import Check
from tests.harness.host.settings.made import Made, assert_named


@pytest.mark.parametrize(
    ("check", "files", "about", "advice"),
    [
        (
            contention.load,
            {"proc/loadavg": "3.20 0.50 0.90 1/200 4711"},
            "3.2 runnable tasks",
            "stop other work",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    assert_named(host, check, files, about, advice)


def test_busy_processes_are_named_the_busiest_first() -> None:
    before = {1: ("init", 9.0), 7: ("make", 1.0), 8: ("cc", 2.0)}
    after = {1: ("init", 9.0), 7: ("make", 1.1), 8: ("cc", 2.9), 9: ("new", 5.0)}
    (caution,) = contention.busy_processes(before, after, 1.0)
    assert "cc (8) 90%, make (7) 10%" in caution.about
    assert "ps -fp 8,7" in caution.advice
    assert not list(contention.busy_processes(before, before, 1.0))


def test_watching_real_processes_takes_a_moment_and_no_more() -> None:
    for caution in contention.watch_processes(0.01):
        assert caution.about
        assert caution.advice
