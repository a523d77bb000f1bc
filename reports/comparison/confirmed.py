"""What measuring again has shown: as text, as Markdown, and as a comment on a change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.results.comparison.compare import Comparison, change
from harness.results.comparison.confirm import Again, Confirmation, Outcome
from harness.results.comparison.false_alarms import FalseAlarms
from harness.results.format import percent, share_range
from reports.comparison import table
from reports.comparison.github import comment

_HEADINGS: Final = {
    Outcome.FAILED: "isobench: a regression is confirmed",
    Outcome.ERRATIC: "isobench: this host is too erratic for a verdict",
    Outcome.PASSED: "isobench: what failed at first is not confirmed",
}
_NONE: Final = "isobench: no bound fails"


def heading(confirmation: Confirmation | None) -> str:
    """Return the verdict; None where nothing had failed."""
    return _NONE if confirmation is None else _HEADINGS[confirmation.outcome]


def lines(confirmation: Confirmation | None, alarms: FalseAlarms | None) -> Iterator[str]:
    """Yield what became of each bound, how it was measured again, and what is known of chance."""
    if confirmation is not None:
        yield from map(_again, confirmation.again)
        yield _design(confirmation)
        yield from confirmation.others
        for sign in confirmation.signs:
            yield f"sign of an erratic host: {sign}"
    yield _chance(alarms)


def _again(one: Again) -> str:
    failed = one.failed
    first, now = (
        f"{change(ratio.mid)} ({change(ratio.low)} to {change(ratio.high)})"
        for ratio in (failed.ratio, one.ratio)
    )
    where = f"{failed.target} ({failed.condition.words()})"
    return f"{one.verdict}: '{failed.bound}' at {where}: at first {first}, measured again {now}"


def _design(confirmation: Confirmation) -> str:
    rounds = confirmation.rounds
    if confirmation.interleaved:
        return (
            f"measured again in {rounds} rounds of a run of BASE and one of NEW, and judged by "
            "these alone; equal versions fail both at first and again in one of 1,600 comparisons "
            "at most"
        )
    return (
        f"NEW was measured again {rounds} times, BASE was not: what changed on the host since BASE "
        "was measured still counts as a difference"
    )


def _chance(alarms: FalseAlarms | None) -> str:
    if alarms is None:
        return (
            "false alarms: unknown on this machine, since there is no selftest beside NEW; "
            "isobench selftest finds out"
        )
    share = percent(alarms.called / alarms.comparisons) if alarms.comparisons else "unknown"
    elsewhere = ", made on another machine," if alarms.elsewhere else ""
    return (
        f"false alarms: equal targets were called different in {alarms.called} of "
        f"{alarms.comparisons} comparisons ({share}, interval "
        f"{share_range(alarms.low, alarms.high)}), as the selftest {alarms.path}{elsewhere} found"
    )


def text(
    found: Comparison, confirmation: Confirmation | None, alarms: FalseAlarms | None, form: str
) -> str:
    """Return all of it in a form: text, markdown or github."""
    title, said = heading(confirmation), list(lines(confirmation, alarms))
    if form == "github":
        return comment(found, title, said)
    if form == "markdown":
        items = "\n".join(f"- {line}" for line in said)
        return f"## {title}\n\n{items}\n\n{table.markdown(found)}"
    every = [*said, *table.bound_lines(found)]
    return "\n".join([title, *(f"- {line}" for line in every)]) + "\n"
