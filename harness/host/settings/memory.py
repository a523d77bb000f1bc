"""Memory: swap, huge pages, address randomisation, and how forks copy pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.errors import Caution
from harness.host.settings.view import SYSCTL, View

_RING_WITHOUT_DESCRIPTOR = (5, 18)  # io_uring_register(2), IORING_REGISTER_RING_FDS


def swap(view: View) -> Iterator[Caution]:
    """A page on disk costs more than a request."""
    memory = _fields(view.read("proc/meminfo") or "")
    used = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    if used > 0:
        yield Caution(
            f"{used / 1024:.0f} MiB of memory is swapped out: processes that use it wait for a "
            f"disk",
            "as root: swapoff -a && swapon -a, while there is memory enough (free -m)",
        )


def huge_pages(view: View) -> Iterator[Caution]:
    """Always-on huge pages make a fork's copies 512 times as large, now and then."""
    name = "sys/kernel/mm/transparent_hugepage/enabled"
    if view.chosen(name) == "always":
        yield Caution(
            "transparent huge pages are always on: a kernel thread merges pages in the background, "
            "and which of a server's are merged differs from start to start",
            f"as root: echo madvise > /{name}",
        )


def aslr(view: View) -> Iterator[Caution]:
    """With one layout for all blocks, a lucky one looks like a quick mode (rule 10)."""
    name = f"{SYSCTL}/kernel/randomize_va_space"
    value = view.read(name)
    if value is not None and value != "2":
        yield Caution(
            f"addresses are not fully randomised (randomize_va_space is {value}): every block has "
            "the same memory layout, whose effect then looks like a property of the target",
            "as root: sysctl -w kernel.randomize_va_space=2",
        )


def early_copies(view: View) -> Iterator[Caution]:
    """Whether forks of the servers can copy pages at once (servers/interpreter/pinned_pages.py)."""
    match = re.match(r"(\d+)\.(\d+)", view.read(f"{SYSCTL}/kernel/osrelease") or "")
    if match and (int(match[1]), int(match[2])) < _RING_WITHOUT_DESCRIPTOR:
        reason, remedy = f"Linux {match[0]} is older than 5.18", "use a newer kernel"
    elif view.number(f"{SYSCTL}/kernel/io_uring_disabled"):
        reason, remedy = "io_uring is disabled", "sysctl kernel.io_uring_disabled=0"
    else:
        return
    yield Caution(
        f"{reason}: servers that fork for each request copy their pages one by one, and are up to "
        "a third slower than elsewhere (docs/modes.md)",
        f"{remedy}, or compare only with hosts of the same kind",
    )


def _fields(text: str) -> dict[str, int]:
    """Read lines such as `SwapFree:  1024 kB`."""
    return {name: int(number) for name, number in re.findall(r"(?m)^(\w+):\s+(\d+)\b", text)}
