"""What the scripts of the workloads import, and what each import takes: `-X importtime`, read.

CPython tells it itself, of each module the time of its own code and the time with all that it
imports in turn, to the microsecond, the timing's own cost included (Python/import.c). Modules
that are loaded before a script begins appear too; a script without any line tells which they are.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.costs.samples import Facts, Missing, Sample, Subject
from harness.target.targets import python

START: Final = "(interpreter start)"
"""What stands for the script without any line."""

_LINE: Final = re.compile(r"import time: +(\d+) \| +(\d+) \| ( *)(\S+)")
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True)
class Import:
    """One import: microseconds without and with what it imports in turn; 0 is the script's own."""

    module: str
    self_us: int
    cumulative_us: int
    depth: int


def read(stderr: str) -> list[Import]:
    """Return the imports of `-X importtime` in the order in which they began. Pure.

    CPython writes each one down when it ends, hence after those it needed.
    """
    ended = [
        Import(module, int(own), int(cumulative), len(indent) // 2)
        for own, cumulative, indent, module in _LINE.findall(stderr)
    ]
    begun: list[list[Import]] = []
    for one in ended:
        # What is deeper and has not been claimed yet is what this one imported.
        inner: list[list[Import]] = []
        while begun and begun[-1][0].depth > one.depth:
            inner.insert(0, begun.pop())
        begun.append([one, *(each for part in inner for each in part)])
    return [one for part in begun for one in part]


@dataclass(frozen=True)
class Script:
    """A script to be looked at, and where and how it is run."""

    workload: str
    path: Path
    cwd: Path
    environment: Mapping[str, str]


def one_round(script: Script, number: int) -> Iterator[Sample | Missing]:
    """Run a script once, as a program of the tenants' interpreter; yield a sample an import."""
    command = [str(python()), "-IS", "-X", "importtime", str(script.path)]
    try:
        result = subprocess.run(
            command,
            cwd=script.cwd,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **script.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Missing(f"imports of {script.workload}", f"it ran longer than {_PATIENCE_S:.0f} s")
        return
    if result.returncode:
        words = (result.stderr.strip().splitlines() or [f"status {result.returncode}"])[-1]
        yield Missing(f"imports of {script.workload}", words)
        return
    yield from samples(script.workload, number, read(result.stderr))


def samples(workload: str, number: int, imports: Sequence[Import]) -> Iterator[Sample]:
    """Yield a sample for each import. Pure."""
    for place, one in enumerate(imports):
        subject = Subject("import", one.module, workload, place=place, depth=one.depth)
        facts = Facts(cumulative_us=one.cumulative_us)
        yield Sample(subject, number, one.self_us, 1, facts)
