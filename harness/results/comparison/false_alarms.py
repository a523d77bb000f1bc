"""How often the harness calls equal targets different, as the last selftest found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.errors import IsobenchError
from harness.results.atomic_file import content_of
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.results.provenance import discrepancies

FILE: Final = "selftest.json"
_EQUAL: Final = ":again"


@dataclass(frozen=True)
class FalseAlarms:
    """So many of these comparisons of equal targets were called different; 95% interval."""

    path: Path
    called: int
    comparisons: int
    low: float
    high: float
    elsewhere: bool
    """Whether the selftest was made on another machine."""


def read(path: Path, of: Manifest) -> FalseAlarms:
    """Return what a selftest's folder says, for runs like `of`. Raises IsobenchError."""
    manifest = ResultsFolder.open(path).manifest
    try:
        content = json.loads(content_of(path / FILE))
        (share,) = _shares(content)
        numbers = (int(share["called"]), int(share["comparisons"]))
        ends = (float(share["low"]), float(share["high"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IsobenchError(
            f"{path} is not the folder of a selftest: {error}",
            hint="name what isobench selftest wrote, or make one",
        ) from error
    elsewhere = any(one.decisive for one in discrepancies(manifest, of))
    return FalseAlarms(path, *numbers, *ends, elsewhere)


def latest(beside: Path, of: Manifest) -> FalseAlarms | None:
    """Return what the latest usable selftest of this machine says beside a results folder."""
    found = []
    for file in beside.absolute().parent.glob(f"*/{FILE}"):
        try:
            alarms = read(file.parent, of)
            began = ResultsFolder.open(file.parent).manifest.started_at
        except IsobenchError:  # nobody asked for this one
            continue
        if not alarms.elsewhere:
            found.append((began, alarms))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _shares(content: Any) -> Iterator[Any]:
    for share in content["shares"]:
        if share["variant"].endswith(_EQUAL) and share["metric"] == content["judged_metric"]:
            yield share
