"""What explains the modes: each one's cost per request, put together from bare costs. Pure.

Strategy
========

What a request costs in `dso`, where the script runs in the worker and nothing is changed for it,
is taken as measured: accepting, parsing, locating, the script itself, the answer. Each other mode
adds mechanisms to that, and each mechanism has a bare cost, measured without any server: a fork
of a CPython process, a copied page, a change of identity, a program's start. The sum is set
beside the mode's measured CPU time per request. Bare costs are times on one core with nothing
else on it, hence nearly CPU times.

Two numbers of the sum come from the trials: how many page faults and how many context switches a
request has. What one of either costs is bare: a page copied by a child of a CPython process, and
half of the way of a byte to another process and back.

What is more than 15% off is called unexplained, and is: either the mode does something that no
bare cost stands for, or something is wasted. Where the modes were profiled, the phases that take
longest beyond their time in `dso` say where to look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.format import count, duration
from harness.results.summary import BASELINE, Condition, by_condition
from reports.words import costs as bare_costs

LIMIT = 0.15
_OF_A_CHILD = 2
"""Context switches that are in the bare cost of a child or a thread: to it, and back."""
WORKLOAD = "hello"
_MOST_PHASES = 3
_WORTH_NAMING = 0.1
"""Of what a target's phases take beyond those of the baseline."""

Row = Mapping[Any, Any]  # of a table; pandas types the names as Hashable


@dataclass(frozen=True)
class Part:
    """A mechanism and what it costs a request, in microseconds."""

    words: str
    us: float


@dataclass(frozen=True)
class Bare:
    """The bare costs that modes are made of, in microseconds; None where one was not measured."""

    fork: float | None
    fork_faults: float | None
    copy: float | None
    change: float | None
    hand_over: float | None
    thread: float | None
    spawn: float | None
    program: float | None
    interpreter: float | None
    imports: float | None
    namespaces: float | None

    @classmethod
    def read(cls, costs: pd.DataFrame, interpreter: str) -> Bare:
        """Gather them from costs.parquet; `interpreter` is the tenants', such as CPython 3.11.7."""
        creation = bare_costs.smallest(costs)
        leave = bare_costs.heap(costs, largest=False).get("child exits")
        to_and_fro = bare_costs.process_us(costs, "a byte to another process and back")
        return cls(
            fork=_number(leave, "value_us"),
            fork_faults=_number(leave, "page_faults"),
            copy=bare_costs.copy_us(costs),
            change=creation.get("change of identity and back"),
            hand_over=None if to_and_fro is None else to_and_fro / 2,
            thread=bare_costs.process_us(costs, "a thread started and joined"),
            spawn=creation.get("vfork"),
            program=_number(bare_costs.starts(costs, "dynamic C").get(""), "first_us"),
            interpreter=_number(bare_costs.starts(costs, interpreter).get("-I -S"), "exit_us"),
            imports=_imports(costs),
            namespaces=_namespaces(creation),
        )


def _number(row: Row | None, name: str) -> float | None:
    return None if row is None else float(row[name])


@dataclass(frozen=True)
class Explanation:
    """A target's measured CPU time per request, and the parts that are to make it up."""

    target: str
    measured_us: float
    parts: tuple[Part, ...]

    @property
    def predicted_us(self) -> float:
        """The sum of the parts."""
        return sum(part.us for part in self.parts)

    @property
    def difference(self) -> float:
        """How much more was measured, as a share of what was measured."""
        return 1 - self.predicted_us / self.measured_us

    @property
    def explained(self) -> bool:
        """Whether the parts make up what was measured."""
        return abs(self.difference) <= LIMIT


def explain(
    summary: pd.DataFrame,
    costs: pd.DataFrame,
    interpreter: str,
    recipes: Mapping[str, Sequence[str]],
) -> tuple[Condition, list[Explanation]] | None:
    """Return the condition and an explanation a target; None without the baseline or the costs.

    `recipes` has the names of the `INGREDIENTS` of each target that is to be explained.
    """
    found = _rows(summary)
    if found is None or costs.empty:
        return None
    condition, rows = found
    base = next(float(row["server_cpu_us_per_request"]) for row in rows if _is_baseline(row))
    bare = Bare.read(costs, interpreter)
    explanations = []
    for row in rows:
        recipe = recipes.get(str(row["target"]))
        if recipe is None:
            continue
        parts = _parts(recipe, bare, row)
        if all(part is not None for part in parts):
            known = [part for part in parts if part is not None]
            explanations.append(
                Explanation(
                    str(row["target"]),
                    float(row["server_cpu_us_per_request"]),
                    (Part(f"what {BASELINE} takes", base), *known),
                )
            )
    explanations.sort(key=lambda one: one.measured_us)
    return (condition, explanations) if explanations else None


def _rows(summary: pd.DataFrame) -> tuple[Condition, list[Row]] | None:
    """Return the first condition in which a program would have been started for every request."""
    for condition, rows in by_condition(summary):
        known = rows[(rows["trials"] > 0) & rows["server_cpu_us_per_request"].notna()]
        fits = condition.workload == WORKLOAD and not condition.is_open
        if fits and (known["target"] == BASELINE).any():
            records: list[Row] = known.to_dict("records")  # type: ignore[assignment]
            return condition, records
    return None


def _is_baseline(row: Row) -> bool:
    return bool(row["target"] == BASELINE)


Ingredient = Callable[[Bare, Row], Sequence[Part | None]]


def _part(words: str, us: float | None) -> Part | None:
    return None if us is None else Part(words, max(us, 0.0))


def _parts(recipe: Sequence[str], bare: Bare, row: Row) -> Sequence[Part | None]:
    """Return what a recipe comes to; None stands for what was not measured, or is not known."""
    parts: list[Part | None] = []
    for name in recipe:
        ingredient = INGREDIENTS.get(name)
        parts += (None,) if ingredient is None else ingredient(bare, row)
    known = _OF_A_CHILD if _CHILDREN & {*recipe} else 0
    return (*parts, _switches(bare, row, known))


def _switches(bare: Bare, row: Row, known: int) -> Part | None:
    """Return the context switches beyond those that are in another part already."""
    if bare.hand_over is None:
        return None
    more = max(float(row["context_switches_per_request"]) - known, 0.0)
    return Part(f"{count(more)} context switches", more * bare.hand_over)


def _identity(bare: Bare, _: Row) -> Sequence[Part | None]:
    return (_part("a change of identity", bare.change),)


def _thread(bare: Bare, _: Row) -> Sequence[Part | None]:
    return (_part("a thread", bare.thread),)


def _fork(bare: Bare, row: Row) -> Sequence[Part | None]:
    if bare.copy is None or bare.fork_faults is None:
        return (None,)
    more = max(float(row["page_faults_per_request"]) - bare.fork_faults, 0.0)
    return (
        _part("fork, exit and reaping of a CPython process", bare.fork),
        Part(f"{count(more)} more page faults", more * bare.copy),
    )


def _five_namespaces(bare: Bare, _: Row) -> Sequence[Part | None]:
    return (_part("five new namespaces", bare.namespaces),)


def _program(bare: Bare, _: Row) -> Sequence[Part | None]:
    return (
        _part("the creation of a process", bare.spawn),
        _part("the interpreter, from exec to exit", bare.interpreter),
        _part("the script's imports", bare.imports),
    )


def _wrapper(bare: Bare, _: Row) -> Sequence[Part | None]:
    return (_part("the wrapper, a dynamic C program", bare.program),)


INGREDIENTS: Mapping[str, Ingredient] = {
    "identity": _identity,
    "thread": _thread,
    "fork": _fork,
    "namespaces": _five_namespaces,
    "program": _program,
    "wrapper": _wrapper,
}
"""What a mode's `recipe` may name. Context switches are added to each."""
_CHILDREN = {"thread", "fork", "program"}
"""In whose bare costs context switches are."""


def table(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """Return a row a target, as texts; the last column is the verdict."""
    return pd.DataFrame(
        [
            {
                "target": one.target,
                "measured": duration(one.measured_us),
                "from bare costs": duration(one.predicted_us),
                "difference": f"{100 * one.difference:+.0f}%",
                "verdict": "explained" if one.explained else "unexplained",
                "made of": "; ".join(f"{part.words} {duration(part.us)}" for part in _telling(one)),
            }
            for one in explanations
        ]
    )


def most_expensive_phases(phases: pd.DataFrame, profiles: pd.DataFrame) -> dict[str, list[Part]]:
    """Return the phases in which each target takes longest beyond the baseline, longest first.

    From phases.parquet and profiles.parquet. A phase that the baseline has not counts in full.
    Nothing where the baseline was not profiled with the workload.
    """
    fits = profiles.loc[profiles["workload"] == WORKLOAD, "target"]
    medians = phases[phases["target"].isin(fits)].pivot_table(
        values="median_us", index=["part", "phase"], columns="target", fill_value=0.0
    )
    if BASELINE not in medians:
        return {}
    found = {}
    for target, beyond in medians.sub(medians[BASELINE], axis="index").items():
        more = beyond[beyond > 0].sort_values(ascending=False, kind="stable")
        telling = more[more >= _WORTH_NAMING * more.sum()].head(_MOST_PHASES)
        names = telling.index.get_level_values("phase")
        found[str(target)] = [
            Part(str(name), float(us)) for name, us in zip(names, telling, strict=True)
        ]
    return found


def findings(
    explanations: Sequence[Explanation], most_expensive: Mapping[str, Sequence[Part]] | None = None
) -> list[str]:
    """Return what makes each explained mode expensive, and which are not explained.

    For the latter also, from `most_expensive`, the phases by target that take its additional time.
    """
    sentences = [
        f"{one.target} costs {duration(one.measured_us)} of CPU time per request: "
        + bare_costs.join(_with_times(_telling(one)))
        + "."
        for one in explanations
        if one.explained
    ]
    if less := _off(explanations, 1):
        sentences.append(
            f"Bare costs do not explain {less}: they do work that the cost model does not cover, "
            "or work that is unnecessary."
        )
        sentences += _where(explanations, most_expensive or {})
    if more := _off(explanations, -1):
        sentences.append(
            f"Bare costs exceed {more}: the host was slower when they were measured, or a part is "
            "counted twice."
        )
    return sentences


def _where(
    explanations: Sequence[Explanation], most_expensive: Mapping[str, Sequence[Part]]
) -> list[str]:
    """Return a sentence for each target that costs more than its parts: in which phases."""
    return [
        f"According to its profile, {one.target} spends the time beyond {BASELINE} "
        f"mostly in {bare_costs.join(_with_times(parts))}."
        for one in explanations
        if not one.explained and one.difference > 0 and (parts := most_expensive.get(one.target))
    ]


def _with_times(parts: Sequence[Part]) -> list[str]:
    return [f"{part.words} ({duration(part.us)})" for part in parts]


def _off(explanations: Sequence[Explanation], sign: int) -> str:
    """Return the targets whose measured cost is off to one side, and how far."""
    return bare_costs.join(
        [
            f"{one.target} ({100 * one.difference:+.0f}%)"
            for one in explanations
            if not one.explained and sign * one.difference > 0
        ]
    )


def _telling(one: Explanation) -> list[Part]:
    """Return the parts that are more than a hundredth of the sum, the most expensive first."""
    telling = [part for part in one.parts if part.us > one.predicted_us / 100]
    return sorted(telling, key=lambda part: -part.us)


def _difference(creation: Mapping[str, float], name: str, less: str) -> float | None:
    if name not in creation or less not in creation:
        return None
    return creation[name] - creation[less]


def _namespaces(creation: Mapping[str, float]) -> float | None:
    """Return what the five that `sandbox` makes add together."""
    added = [
        _difference(creation, f"clone3, {kind} namespace", "clone3")
        for kind in ("pid", "mount", "net", "ipc", "uts")
    ]
    known = [one for one in added if one is not None]
    return sum(known) if len(known) == len(added) else None


def _imports(costs: pd.DataFrame) -> float | None:
    """Return what a script of the workload imports beyond the interpreter itself."""
    rows = bare_costs.of(costs, "import")
    totals = rows.groupby("parameter")["value_us"].sum()
    if WORKLOAD not in totals or bare_costs.START not in totals:
        return None
    more = float(totals[WORKLOAD] - totals[bare_costs.START])
    return more if math.isfinite(more) else None
