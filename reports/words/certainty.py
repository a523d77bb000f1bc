"""How sure the findings are, in plain sentences. Pure: a summary or run.json in, sentences out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.results.format import span
from harness.stats.significance import Finding

_FEW = 5

Row = Mapping[Any, Any]  # of a summary; pandas types the names as Hashable


def difference(row: Row, *, can_show: bool) -> str:
    """Return what a row's ratio does not say by itself, as the end of a clause; "" if nothing.

    `can_show` says whether the test could have shown a difference at all.
    """
    if row["difference"] == Finding.SAME:
        return ", no difference that matters"
    if row["difference"] == Finding.UNSHOWN and can_show:
        return ", no difference shown"
    return ""


def can_show(rows: Sequence[Row]) -> bool:
    """Tell whether the test can show a difference with as many blocks as these rows have.

    They are all rows of one condition.
    """
    tested = _tested(rows)
    return not tested or _blocks(tested) > 1


def self_checks(summary: pd.DataFrame) -> str:
    """Return which self-checks were passed, or which failed where; "" where there were none."""
    checked, failed = (int(summary[name].sum()) for name in ("checked", "failed_checks"))
    if not checked:
        return ""
    what = (
        "the server's count of requests against the client's, verified replies against counted "
        "ones, Little's law"
    )
    if not failed:
        return f"Self-checks passed in all {checked:,} trials: {what}."
    rows = summary[summary["failed_checks"] > 0]
    where = "; ".join(
        f"{row['target']} ({row['workload']}, {row['load']}, {row['connection']}) "
        f"in {row['failed_checks']} of {row['checked']}"
        for row in rows.to_dict("records")
    )
    return f"Self-checks failed in {failed:,} of {checked:,} trials ({what}): {where}."


def stopping(stopped: Mapping[str, Any]) -> Iterator[str]:
    """Yield what ended a run, and what more blocks would cost; `stopped` is that of run.json."""
    if not stopped:
        return
    if stopped["by"] != "blocks" or stopped["precision"] is not None:
        yield _end(stopped)
    if more := list(_more(stopped)):
        yield from more
    elif stopped["precision"] is None:
        yield f"Another block would take about {span(stopped['block_s'])}."


def _end(stopped: Mapping[str, Any]) -> str:
    blocks = f"{stopped['blocks']} blocks" if stopped["blocks"] > 1 else "1 block"
    spent = span(stopped["spent_s"])
    if stopped["by"] == "precision":
        return (
            f"The run ended after {blocks}, {spent}, because every interval was within "
            f"±{_as_typed(stopped['precision'])}."
        )
    if stopped["by"] == "budget":
        return f"The run ended after {blocks}, {spent}: another would not have fit in its budget."
    return f"The run ended after {blocks}, {spent}, the requested number."


def _more(stopped: Mapping[str, Any]) -> Iterator[str]:
    known = [one for one in stopped["wanting"] if one["more_blocks"] is not None]
    if not known:
        return
    most = max(known, key=lambda one: int(one["more_blocks"]))
    others = list(dict.fromkeys(one["target"] for one in known if one["target"] != most["target"]))
    named = ", ".join(others) if len(others) <= _FEW else f"{len(others)} others"
    fewer = f"; {named} would need fewer" if others else ""
    yield (
        f"About {most['more_blocks']} more blocks, "
        f"{span(most['more_blocks'] * stopped['block_s'])}, would give "
        f"±{_as_typed(_aim(stopped))} for {most['target']} ({most['condition']}){fewer}."
    )


def _aim(stopped: Mapping[str, Any]) -> float:
    """Return how narrow the intervals were to be; an older run.json knows a precision only."""
    return float(stopped.get("aim") or stopped["precision"])


def _as_typed(share: float) -> str:
    return f"{100 * share:.3g}%"


def _tested(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if math.isfinite(row["p_value"])]


def _blocks(tested: Sequence[Row]) -> int:
    return max((int(row["trials"]) for row in tested), default=0)
