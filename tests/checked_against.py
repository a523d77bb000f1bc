"""The numbers in docs/checked-against.md, derived from docs/checked-against.csv.

    python -m tests.checked_against

writes the table and the sentence below it, after the CSV has been renewed; that is one of the
things that `python -m docs.shown results/RUN` does.

Strategy: each row sets one pair that a source orders beside the two targets of ours. Our ratio is
that of their ratios to `dso`; its interval combines theirs on the logarithms, as of independent
ones, which makes it a little too wide: both were measured beside the same baseline. An order is
shown where the interval excludes 1. Kendall's tau of an order of pairs is the number of those that
agree less that of those that disagree, divided by both.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "checked-against.md"
DATA = DOCS / "checked-against.csv"

Interval = tuple[float, float, float]
"""A ratio, its low and its high end."""

_FIRST_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True)
class Row:
    """A row of the table: who says it, of what, the published ratio, ours, and the verdict."""

    source: str
    published_pair: str
    published: str
    pair: str
    ours: str
    order: str

    @property
    def line(self) -> str:
        """The row as it stands in the table."""
        return "| " + " | ".join(astuple(self)) + " |"

    @property
    def targets(self) -> tuple[str, str]:
        """The two targets of ours, without the workload."""
        first, second = re.findall(r"`([a-z_0-9]+)`", self.pair)
        return first, second

    @property
    def workload(self) -> str:
        """The workload that both were measured with."""
        return "page:5ms" if "page:5ms" in self.pair else "hello"

    @property
    def is_less(self) -> bool:
        """Whether the source has the first of the pair behind the second."""
        words = self.published.split()
        if words[0] in ("less", "more"):
            return words[0] == "less"
        number = _FIRST_NUMBER.search(self.published)
        assert number, self.published
        return float(number[0]) < 1


def ratios(path: Path = DATA) -> dict[tuple[str, str], Interval]:
    """Return our ratios to dso by workload and target."""
    with open(path, newline="") as file:
        return {
            (row["workload"], row["target"]): (
                float(row["ratio_to_dso"]),
                float(row["ratio_to_dso_low"]),
                float(row["ratio_to_dso_high"]),
            )
            for row in csv.DictReader(file)
        }


def between(first: Interval, second: Interval) -> Interval:
    """Return the ratio of two ratios."""
    middle = math.log(first[0] / second[0])
    half = math.hypot(_half_width(first), _half_width(second))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def _half_width(interval: Interval) -> float:
    return math.log(interval[2] / interval[1]) / 2


def derived(row: Row, found: Mapping[tuple[str, str], Interval]) -> tuple[str, str]:
    """Return what a row has to say of ours: the ratio with its interval, and the verdict."""
    first, second = (found[row.workload, target] for target in row.targets)
    ratio, low, high = between(first, second)
    if low <= 1 <= high:
        order = "not shown"
    else:
        order = "agrees" if (ratio < 1) == row.is_less else "**disagrees**"
    return f"{_number(ratio)} ({_number(low)} to {_number(high)})", order


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def tau(orders: Sequence[str]) -> tuple[int, int, float]:
    """Return how many pairs agree, how many disagree, and Kendall's tau."""
    agree = orders.count("agrees")
    disagree = orders.count("**disagrees**")
    return agree, disagree, (agree - disagree) / (agree + disagree)


def sentence(orders: Sequence[str]) -> str:
    """Return what the page says below its table."""
    agree, disagree, value = tau(orders)
    return (
        f"Of {len(orders)} pairs, {agree} have the same order here, {disagree} the opposite one, "
        f"and {len(orders) - agree - disagree} cannot be told apart here: "
        f"Kendall's tau is ({agree} - {disagree}) / {agree + disagree} = {value:.2f}."
    )


def rows(page: str) -> Iterator[Row]:
    """Yield the rows of the page's table of pairs."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| [") and len(cells) == 6:
            yield Row(*cells)


def renewed(page: str, found: Mapping[tuple[str, str], Interval]) -> str:
    """Return the page with its table, and the sentence below, as the ratios have it."""
    orders = []
    for row in rows(page):
        ours, order = derived(row, found)
        orders.append(order)
        page = page.replace(row.line, replace(row, ours=ours, order=order).line)
    old = re.compile(r"^Of [0-9]+ pairs, .* Kendall's tau is .*$", re.MULTILINE)
    return old.sub(sentence(orders), page)


def main() -> None:
    """Renew the page by what docs/checked-against.csv says now."""
    PAGE.write_text(renewed(PAGE.read_text(), ratios()))


if __name__ == "__main__":
    main()
