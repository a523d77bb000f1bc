"""A host as its files show it, so that a check can be given a directory of made-up ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Caution

CPU = "sys/devices/system/cpu"
SYSCTL = "proc/sys"


@dataclass(frozen=True)
class View:
    """A host as its files show it, below `root`; `cpus` are the processors that may be used."""

    root: Path
    cpus: tuple[int, ...]

    @classmethod
    def of_this_host(cls) -> View:
        """Return the real one."""
        return cls(Path("/"), tuple(sorted(os.sched_getaffinity(0))))

    def read(self, name: str) -> str | None:
        """Return what a file holds, None where it does not exist or is empty."""
        try:
            return (self.root / name).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        """Return the whole number that a file holds, None where it holds no such thing."""
        return whole_number(self.read(name))

    def entries(self, name: str) -> tuple[str, ...] | None:
        """Return the names in a directory, sorted; None where it is missing or not ours to list."""
        try:
            return tuple(sorted(path.name for path in (self.root / name).iterdir()))
        except OSError:
            return None

    def of_each_cpu(self, name: str) -> dict[int, str]:
        """Return what the usable processors' files of this name hold, where they exist."""
        found = {cpu: self.read(f"{CPU}/cpu{cpu}/{name}") for cpu in self.cpus}
        return {cpu: text for cpu, text in found.items() if text is not None}

    def chosen(self, name: str) -> str | None:
        """Return the choice in brackets of a file such as `always [madvise] never`."""
        match = re.search(r"\[(.+?)\]", self.read(name) or "")
        return match[1] if match else None


Check = Callable[[View], Iterator[Caution]]


def whole_number(text: str | None) -> int | None:
    """Return the whole number that a text is, None where it is none."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None
