"""Swap, huge pages and address randomisation: seen where they harm."""

from collections.abc import Mapping

import pytest

from harness.host.settings import memory
from harness.host.settings.view import Check
from tests.harness.host.settings.made import Made, assert_named


@pytest.mark.parametrize(
    ("check", "files", "about", "advice"),
    [
        (
            memory.swap,
            {"proc/meminfo": "SwapTotal:  4096 kB\nSwapFree:  1024 kB"},
            "3 MiB of memory is swapped out",
            "swapoff -a && swapon -a",
        ),
        (
            memory.huge_pages,
            {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
            "always on",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        (
            memory.aslr,
            {"proc/sys/kernel/randomize_va_space": "0"},
            "not fully randomised",
            "sysctl -w kernel.randomize_va_space=2",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    assert_named(host, check, files, about, advice)
