"""A run's figures while it goes on, in a terminal: a row a target, filled as it is measured.

Strategy
========

**When it is drawn.** Whatever this process does takes time of the load generator's core. So the
table is drawn only while nothing is under load: between two blocks, between two trials that have
the host to themselves, and between the pilots of the first block. There is no thread, and no clock
that ticks: it says when the next figures are due. It is drawn at most once a second.

**What it shows.** The figures of the blocks so far, of one value a block as in the report; before
the first block has ended, the rates of its pilots, marked "~". A table of pandas' would take a
second for that, which is too long between two blocks: `Tally` adds up as trials end.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harness.commands.running.fitting_table import CPU, P99, RATE, RATIO, Figures, Values, draw
from harness.plan import stopping
from harness.plan.plan import PROBE_BLOCK, Plan, Spec
from harness.results.conditions import BASELINE, Condition
from harness.results.format import percent, span
from harness.results.rows import TrialRow
from harness.terminal import styled

PATIENCE_S: Final = 1.0
"""From one drawing to the next, at least."""

Key = tuple[str, Condition]


class Tally:
    """The trials of a run so far, by target, condition and block. Pure."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.conditions = conditions(plan)
        self.spent_s = 0.0
        self.trials = 0
        self.block_s: dict[int, float] = defaultdict(float)
        self.void: set[Key] = set()
        self._rows: dict[Key, dict[int, Any]] = defaultdict(dict)

    def add(self, row: Any) -> None:
        """Count a trial: a `TrialRow`, or a line of trials.parquet with the same names."""
        if row.block == PROBE_BLOCK:
            return
        took_s = _number(row.took_s) or 0.0
        self.spent_s += took_s
        self.block_s[row.block] += took_s
        self.trials += 1
        facts = (row.workload, row.load, row.connection, row.tenants, row.popularity)
        key = (row.target, Condition(*facts))
        if row.verdict != "ok":
            self.void.add(key)
        elif row.block not in self._rows[key] or not row.disturbed:
            self._rows[key][row.block] = row

    def values(self) -> Mapping[Key, Values]:
        """Return what was measured: one value a block, by column of trials.parquet."""
        return {
            key: {
                **{name: self._column(rows, name) for name in (RATE, P99, CPU)},
                RATIO: [one for block in rows if (one := self._ratio(key, block)) is not None],
            }
            for key, rows in self._rows.items()
            if key[0] in self.plan.targets
        }

    def still_wide(self) -> tuple[int, int]:
        """Return how many intervals are wider than asked for, and how many there are."""
        known = {
            key: values[RATIO if BASELINE in self.plan.targets else RATE]
            for key, values in self.values().items()
            if key[1].workload in self.plan.workloads and not key[1].is_open and key[0] != BASELINE
        }
        assert self.plan.precision is not None
        return len(list(stopping.too_wide(known, self.plan.precision))), len(known)

    def _column(self, rows: Mapping[int, Any], name: str) -> list[float]:
        return [value for row in rows.values() if (value := _number(getattr(row, name)))]

    def _ratio(self, key: Key, block: int) -> float | None:
        """Return a target's ratio to the baseline, at the same speed of the host if it can be.

        See `harness.results.blocks`.
        """
        row = self._rows[key][block]
        if (interleaved := _number(row.interleaved_ratio)) is not None:
            return interleaved
        baseline = self._rows.get((BASELINE, key[1]), {}).get(block)
        if baseline is None or not _number(baseline.requests_per_second):
            return None
        rate = _number(row.requests_per_second)
        return rate / baseline.requests_per_second if rate else None


class LiveTable:
    """A context that shows a run's figures; at its end the table goes away, if all went well.

    `made` are trials of an earlier part of the run; `clock` gives seconds, `now` the time of day.
    """

    def __init__(
        self,
        console: Console,
        plan: Plan,
        made: Iterable[Any] = (),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._console = console
        self._plan = plan
        self._clock = clock
        self._now = now
        self._tally = Tally(plan)
        for row in made:
            self._tally.add(row)
        self._pilots: dict[Key, float] = {}
        self._under_way: Spec | None = None
        self._drawn_at = -math.inf
        self._live = Live(
            console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:  # whoever interrupts a run wants to keep what it has shown
            self._live.transient = False
            self._live.update(self._table(self._console.height))
        self._live.stop()

    def begins(self, spec: Spec) -> None:
        """Take note that a trial begins, and show what is known by now."""
        self._under_way = spec
        self._draw()

    def piloted(self, spec: Spec, rate: float) -> None:
        """Show what a pilot found, in requests per second, until there is better."""
        self._pilots[spec.target, condition(spec, self._plan)] = rate
        self._draw()

    def ended(self, spec: Spec, row: TrialRow) -> None:
        """Count a trial, to be shown when the next one begins; say at once if it went wrong."""
        self._tally.add(row)
        if row.verdict != "ok":
            self._console.print(
                styled((spec.target, "yellow"), f" ({spec.connection}): {row.verdict}")
            )

    def _draw(self) -> None:
        if self._clock() - self._drawn_at < PATIENCE_S:
            return
        status = [fit(words, self._console.width) for words in self._status()]
        # A line less than the terminal has: the cursor stands below.
        table = self._table(self._console.height - len(status) - 1)
        self._live.update(Group(table, *status), refresh=True)
        self._drawn_at = self._clock()

    def _table(self, height: int) -> Text:
        tally = self._tally
        figures = Figures(
            self._plan.targets,
            tally.conditions,
            tally.values(),
            self._pilots,
            frozenset(tally.void),
        )
        return draw(figures, self._console.width, height)

    def _status(self) -> Iterator[list[str]]:
        """Yield the words below the table, a line each, the most important ones first."""
        yield [*self._where(), self._time(), *self._precision()]
        yield [*self._next_figures(), "Ctrl-C stops; what is measured is kept"]

    def _where(self) -> Iterator[str]:
        spec, plan = self._under_way, self._plan
        if spec is not None:
            yield f"block {spec.block}" + ("" if plan.open_ended else f" of {plan.blocks}")
            if not plan.is_interleaved(spec):
                yield f"now {spec.target}"

    def _time(self) -> str:
        plan, tally = self._plan, self._tally
        if plan.budget_s is not None:
            return f"{span(tally.spent_s)} of at most {span(plan.budget_s)}"
        if plan.open_ended or not tally.trials:
            return span(tally.spent_s)
        planned = sum(1 for _ in plan.trials())
        left_s = tally.spent_s / tally.trials * max(0, planned - tally.trials)
        return f"about {span(left_s)} left"

    def _precision(self) -> Iterator[str]:
        if self._plan.precision is not None and self._tally.trials:
            wide, known = self._tally.still_wide()
            yield f"{wide} of {known} intervals wider than ±{percent(self._plan.precision)}"

    def _next_figures(self) -> Iterator[str]:
        spec = self._under_way
        if spec is None or not self._plan.is_interleaved(spec):
            return
        if not self._tally.trials:
            yield "~: first estimate"
            return
        last = max(self._tally.block_s)
        at = self._now() + timedelta(seconds=self._tally.block_s[last])
        yield f"next figures about {at:%H:%M:%S}"


def conditions(plan: Plan) -> list[Condition]:
    """Return the conditions that a plan measures, by workload, connection and load."""
    block = list(takewhile(lambda spec: spec.block == 1, plan.trials()))
    block.sort(
        key=lambda spec: (
            plan.every_workload.index(spec.workload),
            plan.connections.index(spec.connection),
            (len(str(spec.load)), str(spec.load)),
        )
    )
    return list(dict.fromkeys(condition(spec, plan) for spec in block))


def condition(spec: Spec, plan: Plan) -> Condition:
    """Return the condition of a trial."""
    facts = (spec.workload, str(spec.load), spec.connection)
    return Condition(*facts, plan.tenants, plan.popularity)


def fit(words: Sequence[str], width: int) -> Text:
    """Return as many of these words as fit into a line, in their order; the first in any case."""
    line = ""
    for word in words:
        longer = f"{line}; {word}" if line else word
        if line and len(longer) > width:
            break
        line = longer
    return Text(line[:width], style="dim")


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
