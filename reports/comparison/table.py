"""Two runs side by side: for the terminal, as Markdown and as CSV.

The first two are rounded and open with what weakens the comparison; CSV is unrounded and has the
rows alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.results.comparison.compare import Compared, Comparison, change
from harness.results.comparison.thresholds import Outcome
from harness.results.conditions import Condition
from harness.results.format import NONE, count, duration, percent, table_markdown
from harness.stats.significance import Finding

_WIDE = 92  # from here on there is room for both p-value and interval beside long names
_UNSHOWN_IN_NARROW = ("p",)
_LEFT = ("target", "metric", "finding")
_STYLES = {Finding.HIGHER: "bold", Finding.LOWER: "bold", Finding.UNSHOWN: "dim"}

# The worst first.
_OUTCOMES = {
    Outcome.BROKEN: "holds with confidence",
    Outcome.SUSPECTED: "may hold, not surely among so many rows",
    Outcome.UNKNOWN: "cannot be judged from one block",
    Outcome.KEPT: "not shown to hold",
}
_OUTCOME_STYLES = {
    Outcome.BROKEN: "bold red",
    Outcome.SUSPECTED: "yellow",
    Outcome.UNKNOWN: "yellow",
    Outcome.KEPT: "green",
}
_MARKS = {Outcome.BROKEN: "FAILS", Outcome.SUSPECTED: "may fail"}

# metric: its name in a table, and its number there
_METRICS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "requests_per_second": ("req/s", count),
    "ratio_to_dso": ("vs dso", percent),
    "capacity_ratio_to_dso": ("per core vs dso", percent),
    "server_cpu_us_per_request": ("CPU/req", duration),
    "memory_mib": ("memory", lambda value: f"{count(value)} MiB"),
    "startup_s": ("startup", lambda value: duration(1e6 * value)),
    "forks_per_request": ("forks/req", count),
    "context_switches_per_request": ("switches/req", count),
    "page_faults_per_request": ("faults/req", count),
}

CSV_COLUMNS = (
    *("target", "workload", "load", "connection", "tenants", "popularity", "metric"),
    *("base", "new", "base_blocks", "new_blocks", "ratio", "ratio_low", "ratio_high"),
    *("p_value", "p_value_adjusted", "finding", "base_verdict", "new_verdict", "fail_if"),
)


def render(comparison: Comparison, width: int = 100) -> RenderableType:
    """Return the comparison as something that rich prints, for a terminal of `width` columns."""
    return Group(
        *(Text(line) for line in heading_lines(comparison)),
        *(Text(line, style="yellow") for line in caution_lines(comparison)),
        Text(),
        *(
            _table(condition.words(), cells(comparison, rows), width)
            for condition, rows in rows_by_condition(comparison)
        ),
        *(Text(line) for line in only_lines(comparison)),
        Text(),
        *_discrepancy_table(comparison),
        Text(),
        *(Text(line, style=style) for line, style in _bounds(comparison)),
        Text(count_line(comparison)),
    )


def plain(comparison: Comparison) -> str:
    """Return what `render` shows, for a file."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=100, color_system=None, markup=False, emoji=False)
    console.print(render(comparison))
    return buffer.getvalue()


def markdown(comparison: Comparison) -> str:
    """Return the comparison as GitHub Markdown."""
    parts = ["\n".join(f"{line}  " for line in heading_lines(comparison))]
    parts += ["\n".join(caution_lines(comparison))]
    parts += [
        f"### {condition.words()}\n\n{table_markdown(cells(comparison, rows))}"
        for condition, rows in rows_by_condition(comparison)
    ]
    parts += ["\n".join(f"- {line}" for line in only_lines(comparison))]
    if comparison.discrepancies:
        parts.append(f"### What else differs\n\n{table_markdown(discrepancy_cells(comparison))}")
    parts += ["\n".join(f"- {line}" for line, _ in _bounds(comparison)), count_line(comparison)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def csv(comparison: Comparison) -> str:
    """Return one line a row, unrounded; what only one run has follows, without numbers."""
    rows = [_csv_row(comparison, place, row) for place, row in enumerate(comparison.rows)]
    for side, keys in (("BASE", comparison.only_base), ("NEW", comparison.only_new)):
        rows += [
            {"target": target, **condition._asdict(), "finding": f"only in {side}"}
            for target, condition in keys
        ]
    frame = pd.DataFrame(rows, columns=list(CSV_COLUMNS))
    return frame.astype({"base_blocks": "Int64", "new_blocks": "Int64"}).to_csv(index=False)


def heading_lines(comparison: Comparison) -> Iterator[str]:
    """Yield which runs are compared."""
    if comparison.across_machines:
        yield "FORCED: these runs were made on different machines."
    for side, run in (("BASE", comparison.base), ("NEW", comparison.new)):
        commit = f", commit {run.commit}" if run.commit else ""
        yield f"{side}: {run.run_id}, begun {run.started_at}, isobench {run.isobench}{commit}"


def caution_lines(comparison: Comparison) -> Iterator[str]:
    """Yield what weakens the comparison, each with its advice."""
    for caution in comparison.cautions:
        yield f"- {caution.about}; remedy: {caution.advice}"


def bound_lines(comparison: Comparison) -> Iterator[str]:
    """Yield for each bound in how many rows it holds."""
    for line, _ in _bounds(comparison):
        yield line


def count_line(comparison: Comparison) -> str:
    """Return how many rows have which finding."""
    findings = [row.finding for row in comparison.rows]
    said = {
        Finding.HIGHER: "higher",
        Finding.LOWER: "lower",
        Finding.SAME: f"the same within {percent(comparison.smallest_effect)}",
        Finding.UNSHOWN: "no difference shown",
    }
    parts = [f"{findings.count(finding)} {words}" for finding, words in said.items()]
    return f"{len(findings)} comparisons of NEW with BASE: {', '.join(parts)}."


def rows_by_condition(
    comparison: Comparison,
) -> Iterator[tuple[Condition, list[tuple[int, Compared]]]]:
    """Yield each condition with its rows and their places."""
    placed = list(enumerate(comparison.rows))
    order = {row.condition: place for place, row in reversed(placed)}
    placed.sort(key=lambda item: (order[item[1].condition], item[0]))
    for condition, rows in groupby(placed, key=lambda item: item[1].condition):
        yield condition, list(rows)


def row_words(row: Compared) -> str:
    """Return a row as one line."""
    numbers = f"{number(row.metric, row.base)} to {number(row.metric, row.new)}"
    moved = f"{change(row.ratio.mid)}, interval {_interval(row)}"
    return f"{row.target} {row.metric}: {numbers}, {moved}: {row.finding}"


def cells(comparison: Comparison, rows: Sequence[tuple[int, Compared]]) -> pd.DataFrame:
    """Return rows as texts under headings; a row with a broken bound says so in its finding."""
    return pd.DataFrame(
        [
            {
                "target": row.target,
                "metric": metric_name(row.metric),
                "BASE": number(row.metric, row.base),
                "NEW": number(row.metric, row.new),
                "change": change(row.ratio.mid),
                "interval": _interval(row),
                "p": _p_value(row.p_value),
                "finding": _finding(comparison, place, row),
            }
            for place, row in rows
        ]
    )


def metric_name(metric: str) -> str:
    """Return a metric's short name."""
    return _METRICS[metric][0] if metric in _METRICS else metric.removesuffix("_ms")


def number(metric: str, value: float) -> str:
    """Return a metric's value with its unit."""
    if metric in _METRICS:
        return _METRICS[metric][1](value)
    return duration(1000 * value)  # the others are times in milliseconds


def _interval(row: Compared) -> str:
    ratio = row.ratio
    if not math.isfinite(ratio.low):
        return NONE
    return f"{change(ratio.low)} to {change(ratio.high)}"


def _p_value(value: float) -> str:
    if math.isnan(value):
        return NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _finding(comparison: Comparison, place: int, row: Compared) -> str:
    outcomes = {one.outcome for one in comparison.outcomes(place)}
    marks = [mark for outcome, mark in _MARKS.items() if outcome in outcomes]
    return ", ".join([str(row.finding), *marks[:1]])


def _table(title: str, rows: pd.DataFrame, width: int) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = [name for name in rows.columns if width >= _WIDE or name not in _UNSHOWN_IN_NARROW]
    for name in names:
        left = name in _LEFT
        table.add_column(
            name,
            justify="left" if left else "right",
            no_wrap=not left,
            overflow="fold",
            max_width=24 if left else None,
        )
    last = None
    for row in rows.to_dict("records"):
        texts = {str(name): str(row[name]) for name in names}
        if texts["target"] == last:
            texts["target"] = ""
        last = str(row["target"])
        style = _style(texts["finding"])
        # Text, not str: a "[" in a name is not markup.
        table.add_row(*map(Text, texts.values()), style=style)
    return Group(Text(title, style="italic"), table)


def _style(finding: str) -> str:
    words, _, mark = finding.partition(", ")
    return "red" if mark == _MARKS[Outcome.BROKEN] else _STYLES.get(Finding(words), "")


def only_lines(comparison: Comparison) -> Iterator[str]:
    """Yield what only one of the runs measured."""
    for side, keys in (("BASE", comparison.only_base), ("NEW", comparison.only_new)):
        for target, condition in keys:
            yield f"only in {side}: {target} ({condition.words()})"


def discrepancy_cells(comparison: Comparison) -> pd.DataFrame:
    """Return in what else the runs differ, as texts; no rows where nothing does."""
    return pd.DataFrame(
        [
            {"what else differs": one.name, "BASE": one.base, "NEW": one.new}
            for one in comparison.discrepancies
        ]
    )


def _discrepancy_table(comparison: Comparison) -> Iterator[RenderableType]:
    if not comparison.discrepancies:
        yield Text("Nothing else differs: machine, versions, interpreter and plan are the same.")
        return
    rows = discrepancy_cells(comparison)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in rows.columns:
        table.add_column(str(name), overflow="fold")
    for row in rows.to_numpy().tolist():
        table.add_row(*map(Text, map(str, row)))
    yield table


def _bounds(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield a line and its style for each bound: in how many rows it holds."""
    for bound in dict.fromkeys(one.bound for one in comparison.checks):
        outcomes = [one.outcome for one in comparison.checks if one.bound == bound]
        counts = [
            f"{words}: {outcomes.count(outcome)}"
            for outcome, words in _OUTCOMES.items()
            if outcome in outcomes
        ]
        worst = next(outcome for outcome in _OUTCOMES if outcome in outcomes)
        rows = "1 row" if len(outcomes) == 1 else f"{len(outcomes)} rows"
        yield f"--fail-if '{bound}', {rows}. {'; '.join(counts)}", _OUTCOME_STYLES[worst]


def _csv_row(comparison: Comparison, place: int, row: Compared) -> dict[str, object]:
    ratio = row.ratio
    checks = comparison.outcomes(place)
    return {
        "target": row.target,
        **row.condition._asdict(),
        "metric": row.metric,
        "base": row.base,
        "new": row.new,
        "base_blocks": row.base_blocks,
        "new_blocks": row.new_blocks,
        "ratio": ratio.mid,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "p_value": row.raw_p_value,
        "p_value_adjusted": row.p_value,
        "finding": str(row.finding),
        "base_verdict": row.base_verdict,
        "new_verdict": row.new_verdict,
        "fail_if": "; ".join(f"{one.bound}: {one.outcome}" for one in checks) or None,
    }
