"""The conditions of a measurement, and which rows of a table belong to which. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from harness.results.format import connection_words, load_words

BASELINE = "dso"

CEILING = "ceiling"
"""The kind of trials that measure the generator; see `ceiling`. They are no targets."""


class Condition(NamedTuple):
    """The conditions of a measurement. Compare only rows of the same condition."""

    workload: str
    load: str
    connection: str
    tenants: int
    popularity: str

    def words(self) -> str:
        """Return the condition as a heading."""
        return ", ".join(self.parts())

    def parts(self) -> tuple[str, ...]:
        """Return the parts of the heading: workload, load, connection, tenants."""
        tenants = "1 tenant" if self.tenants == 1 else f"{self.tenants} tenants"
        return self.workload, load_words(self.load), connection_words(self.connection), tenants

    @property
    def is_open(self) -> bool:
        """Whether requests were sent at a given rate, so that a ratio of rates means nothing."""
        return is_open(self.load)


COLUMNS = list(Condition._fields)
"""The columns that tell rows of different conditions apart."""

Key = tuple[str, Condition]


def of_targets(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials without those that measured the generator."""
    return trials[trials["kind"] != CEILING]


def is_open(load: str) -> bool:
    """Return whether requests were sent at a given rate."""
    return load.startswith("open:")


def is_log(load: str) -> bool:
    """Return whether a load is an access log that is replayed."""
    return load.startswith("open:log:")


def is_portion(load: str) -> bool:
    """Return whether a load is a share of each target's own knee, as in a sweep."""
    return is_open(load) and load.endswith("%")


def portions_apart(summary: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of loads that mean the same to all targets, and those of a sweep."""
    portion = summary["load"].astype(str).map(is_portion).astype(bool)
    return summary[~portion].reset_index(drop=True), summary[portion].reset_index(drop=True)


def by_condition(summary: pd.DataFrame) -> Iterator[tuple[Condition, pd.DataFrame]]:
    """Split a summary into its conditions, in its order."""
    for key, rows in summary.groupby(COLUMNS, sort=False):
        yield _condition(key), rows.reset_index(drop=True)


def by_target(frame: pd.DataFrame) -> Iterator[tuple[Key, pd.DataFrame]]:
    """Split the rows of trials, or of latencies, into those of each target and condition."""
    for key, group in frame.groupby(["target", *COLUMNS], sort=False):
        target, *condition = _tuple(key)
        yield (str(target), _condition(condition)), group


def under(frame: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """Return the rows that were measured under a condition."""
    same = pd.Series(True, frame.index)
    for name, value in condition._asdict().items():
        same &= frame[name] == value
    return frame[same]


def _condition(values: object) -> Condition:
    workload, load, connection, tenants, popularity = _tuple(values)
    return Condition(str(workload), str(load), str(connection), int(tenants), str(popularity))


def _tuple(values: object) -> tuple[Any, ...]:
    return tuple(values)  # type: ignore[arg-type]
