"""What a report says of bare costs: sentences, and tables of texts. Pure: costs.parquet in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.results.format import NONE, count, duration, join, percent

PER_PROCESS, PER_MIB = "per process", "per MiB"
HUGE = ", huge pages"
FIRST_LINE, EXIT = "to the first line", "to exit"
START = "(interpreter start)"
MOST_LISTED = 10
_LOOKING = (
    "child exits",
    "child looks at each object",
    "each object looked at, without a child",
)
STRAIGHT = 0.15
"""How far off, as a share, the furthest size may lie for a line to be relied on."""

Row = Mapping[Any, Any]  # of a table; pandas types the names as Hashable


def of(costs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the rows of one kind of measurement."""
    return costs[costs["measure"] == measure]


def title(costs: pd.DataFrame) -> str:
    """Return the one line to remember."""
    fork = _line(costs, "fork")
    if fork is None:
        return "What processes and interpreters cost"
    return f"A fork costs {_sum(*fork)}"


def findings(costs: pd.DataFrame, interpreter: str) -> list[str]:
    """Return what was found, in sentences; `interpreter`: the tenants', such as CPython 3.11.7."""
    return [
        *_forks(costs),
        *_programs(costs),
        *_namespaces(costs),
        *_heap(costs),
        *_workers(costs),
        *_launches(costs, interpreter),
        *_byte_code(costs, interpreter),
        *_imports(costs),
    ]


def _forks(costs: pd.DataFrame) -> Iterator[str]:
    fork, huge = _line(costs, "fork"), _line(costs, "fork", HUGE)
    if fork is None:
        return
    in_huge = f", in huge pages {_sum(*huge)}" if huge else ""
    yield (
        f"A fork, with the child's exit and its reaping, costs {_sum(*fork)} of written memory"
        f"{in_huge}."
    )
    of_fork = _creation(costs)
    off = _furthest(of_fork[of_fork["name"] == "fork"], fork)
    if off > STRAIGHT:
        yield (
            f"That is not linear: the worst size is {percent(off)} off the line, so use the size "
            "nearest to yours."
        )
    # At the largest heap, where copying would show.
    largest = _creation(costs).groupby("name").last()["value_us"]
    flat = [name for name in ("thread", "vfork", "posix_spawn of static C") if name in largest]
    if flat:
        parts = [f"{name} {duration(float(largest[name]))}" for name in flat]
        yield f"Calls that copy no page tables cost the same at every size: {join(parts)}."


def _programs(costs: pd.DataFrame) -> Iterator[str]:
    least = smallest(costs)
    programs = {
        "a static C program": "fork, exec of static C",
        "a dynamic one": "fork, exec of dynamic C",
        "sh": "fork, exec of sh",
    }
    parts = [
        f"{words} {duration(least[way] - least['fork'])}"
        for words, way in programs.items()
        if way in least and "fork" in least
    ]
    if parts:
        yield f"Beyond the fork, exec and exit of a program cost: {join(parts)}."


def _namespaces(costs: pd.DataFrame) -> Iterator[str]:
    least = smallest(costs)
    if "clone3" not in least:
        return
    added = {
        name.removeprefix("clone3, ").removesuffix(" namespace"): value - least["clone3"]
        for name, value in least.items()
        if name.endswith(" namespace")
    }
    # What is within a tenth of the clone3 itself could not be told from it.
    telling = {name: more for name, more in added.items() if more > least["clone3"] / 10}
    parts = [f"{name} {duration(more)}" for name, more in _most_expensive_first(telling)]
    others = [name for name in added if name not in telling]
    if parts:
        rest = f"; {join(others)} next to nothing" if others else ""
        yield f"A new namespace adds to the cost of clone3: {join(parts)}{rest}."


def _heap(costs: pd.DataFrame) -> Iterator[str]:
    told = heap(costs, largest=True)
    leave, look, alone = (told.get(name) for name in _LOOKING)
    if leave is None or look is None or alone is None:
        return
    price = look["value_us"] - leave["value_us"] - alone["value_us"]
    pages = look["page_faults"] - leave["page_faults"]
    yield (
        f"A child that only reads {count(look['heap_mib'])} MiB of Python objects takes "
        f"{duration(look['value_us'])}. Of this {duration(leave['value_us'])} is fork and exit, "
        f"{duration(alone['value_us'])} the reading, and {duration(price)} the cost of copying "
        f"{count(pages)} pages on write ({duration(price / pages)} each): reading an object "
        "writes its reference count."
    )
    plain, frozen, own = (
        told.get(name)
        for name in (
            "child collects garbage",
            "child collects garbage, gc.freeze",
            "garbage collected, without a child",
        )
    )
    if plain is not None and frozen is not None and own is not None:
        yield (
            f"A child that collects garbage takes {duration(plain['value_us'])} "
            f"({count(plain['page_faults'])} page faults), where the parent itself takes "
            f"{duration(own['value_us'])}; after gc.freeze in the parent it takes "
            f"{duration(frozen['value_us'])} ({count(frozen['page_faults'])}). gc.freeze avoids "
            "the collector's writes, not those of reading."
        )


def _workers(costs: pd.DataFrame) -> Iterator[str]:
    parts = [
        f"{row['name']} {duration(row['value_us'])}, {count(row['memory_mib'])} MiB"
        for row in of(costs, "worker").to_dict("records")
    ]
    if parts:
        yield (
            "Starting a tenant's permanent worker at the first request takes, and the worker's "
            f"memory (PSS) is: {'; '.join(parts)}."
        )


def _launches(costs: pd.DataFrame, interpreter: str) -> Iterator[str]:
    table = launches(costs)
    if table.empty:
        return
    plain = table[~table["what"].str.contains("imports")]
    best = plain.sort_values("first_us").drop_duplicates("name")
    families = best.groupby(best["name"].str.split(" [0-9]").str[0], sort=False)
    parts = [_family(str(name), family.to_dict("records")) for name, family in families]
    yield (
        "From exec to the first line of a script, each interpreter with its fastest options: "
        f"{join(parts)}."
    )
    own = starts(costs, interpreter)
    if {"-I -S", "no options"} <= own.keys():
        bare, full = own["-I -S"], own["no options"]
        files = (
            f" and opens {count(bare['files_opened'])} files, {count(full['files_opened'])} without"
            if math.isfinite(bare["files_opened"])
            else ""
        )
        yield (
            f"{interpreter}, the tenants' interpreter, exits {duration(bare['exit_us'])} "
            f"after its exec with -I -S, {duration(full['exit_us'])} without options"
            f"{files}."
        )


def _byte_code(costs: pd.DataFrame, interpreter: str) -> Iterator[str]:
    own = starts(costs, interpreter)
    states = [f"-I -S, imports, {state} byte code" for state in ("warm", "cold")]
    if set(states) <= own.keys():
        warm, cold = (float(own[state]["first_us"]) for state in states)
        yield (
            "With the imports of the workload `imports`, the script begins after "
            f"{duration(warm)} if their byte code is cached, {duration(cold)} if it is not "
            f"({count(cold / warm)} times as long)."
        )


def _family(name: str, rows: Sequence[Row]) -> str:
    """Return when the fastest and the slowest version of an interpreter begin their script."""
    first, last = rows[0], rows[-1]
    if first is last:
        return f"{first['name']} {duration(first['first_us'])}"
    ends = (f"{duration(one['first_us'])} ({one['version']})" for one in (first, last))
    return f"{name} {' to '.join(ends)}"


def starts(costs: pd.DataFrame, name: str) -> dict[str, Row]:
    """Return the rows of `launches` of one interpreter by how it is started."""
    table = launches(costs)
    return {row["what"]: row for row in table.to_dict("records") if row["name"] == name}


def heap(costs: pd.DataFrame, *, largest: bool) -> dict[str, Row]:
    """Return the rows of the largest or the smallest Python heap by what is done."""
    rows = of(costs, "heap")
    mib = rows["heap_mib"].max() if largest else rows["heap_mib"].min()
    return {
        str(row["parameter"]).partition(" MiB, ")[2]: row
        for row in rows[rows["heap_mib"] == mib].to_dict("records")
    }


def _imports(costs: pd.DataFrame) -> Iterator[str]:
    table = most_expensive(costs)
    if not table.empty:
        parts = [f"{row['module']} {row['own code']}" for row in table.to_dict("records")]
        most = f"The {len(parts)} most expensive imports"
        yield f"{most} of the workloads, by their own code: {join(parts)}."


def launches(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a way to start an interpreter, with `what`, `first_us`, `exit_us` and facts."""
    rows = of(costs, "load")
    exits = rows[rows["parameter"].str.endswith(EXIT)].copy()
    firsts = rows[rows["parameter"].str.endswith(FIRST_LINE)].copy()
    for part, end in ((exits, EXIT), (firsts, FIRST_LINE)):
        part["what"] = part["parameter"].str.removesuffix(end).str.removesuffix(", ")
    facts = ["user_us", "system_us", "page_faults", "memory_mib", "syscalls", "files_opened"]
    left = _renamed(exits, "exit")[["name", "what", *_ends("exit"), *facts, "version", "path"]]
    right = _renamed(firsts, "first")[["name", "what", *_ends("first"), "stamp"]]
    return left.merge(right, on=["name", "what"]).sort_values("first_us", ignore_index=True)


def _ends(kind: str) -> list[str]:
    return [f"{kind}_us", f"{kind}_low_us", f"{kind}_high_us"]


def _renamed(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    names = ("value_us", "low_us", "high_us")
    return rows.rename(columns=dict(zip(names, _ends(kind), strict=True)))


def creation_table(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a way of creation, as texts: the fitted lines, and what else is known."""
    rows = []
    for name, of_way in _creation(costs).groupby("name", sort=False):
        last = of_way.iloc[-1]
        cells = {"way": str(name)}
        for suffix, where in (("", ""), (HUGE, HUGE)):
            line = _line(costs, str(name), suffix)
            cells[f"per process{where}"] = duration(line[0]["value_us"]) if line else NONE
            cells[f"per MiB{where}"] = _per_mib(line[1]) if line else NONE
        largest = f"at {count(last['heap_mib'])} MiB"
        cells[largest] = duration(last["value_us"])
        cells["share of the call"] = percent(last["call_us"] / last["value_us"])
        cells["off the line"] = percent(_furthest(of_way, _line(costs, str(name))))
        cells["page faults"] = count(round(last["page_faults"], 1))
        rows.append((float(of_way.iloc[0]["value_us"]), cells))
    return pd.DataFrame([cells for _, cells in sorted(rows, key=lambda row: row[0])])


def _furthest(of_way: pd.DataFrame, line: tuple[Row, Row] | None) -> float:
    """Return how far the furthest size lies from its line, as a share of it."""
    if line is None:
        return math.nan
    fitted = line[0]["value_us"] + line[1]["value_us"] * of_way["heap_mib"]
    return float((of_way["value_us"] / fitted - 1).abs().max())


def launch_table(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a way to start an interpreter, as texts, the fastest first."""
    return pd.DataFrame(
        [
            {
                "interpreter": row["name"],
                "started with": row["what"] or NONE,
                "to first line": duration(row["first_us"]),
                "to exit": duration(row["exit_us"]),
                "user": duration(row["user_us"]),
                "system": duration(row["system_us"]),
                "page faults": count(row["page_faults"]),
                "system calls": count(row["syscalls"]),
                "files": count(row["files_opened"]),
                "memory": f"{count(row['memory_mib'])} MiB",
                "first line by": row["stamp"],
            }
            for row in launches(costs).to_dict("records")
        ]
    )


def heap_table(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a task of a child of a Python process, as texts."""
    rows = of(costs, "heap").sort_values(["heap_mib", "value_us"])
    return pd.DataFrame(
        [
            {
                "in a CPython process": row["parameter"],
                "time": duration(row["value_us"]),
                "page faults": count(row["page_faults"]),
            }
            for row in rows.to_dict("records")
        ]
    )


def worker_table(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a target that keeps workers, as texts."""
    return pd.DataFrame(
        [
            {
                "a tenant's worker in": row["name"],
                "start": duration(row["value_us"]),
                "at least": duration(row["low_us"]),
                "at most": duration(row["high_us"]),
                "memory (PSS)": f"{count(row['memory_mib'])} MiB",
            }
            for row in of(costs, "worker").to_dict("records")
        ]
    )


def most_expensive(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the most expensive imports of all workloads by the time of their own code, as texts.

    What the interpreter imports before any script is left out. A module counts once, with the mean
    of the workloads that import it.
    """
    rows = of(costs, "import")
    started = set(rows[rows["parameter"] == START]["name"])
    rows = rows[~rows["name"].isin(started)]
    found = [
        (float(of_module["value_us"].mean()), str(name), list(of_module["parameter"]))
        for name, of_module in rows.groupby("name")
    ]
    return pd.DataFrame(
        [
            {
                "module": name,
                "workloads": ", ".join(sorted(set(workloads))),
                "own code": duration(us),
            }
            for us, name, workloads in sorted(found, reverse=True)[:MOST_LISTED]
        ]
    )


def _creation(costs: pd.DataFrame) -> pd.DataFrame:
    rows = of(costs, "creation")
    return rows[rows["pages"] == "small"].sort_values("heap_mib", kind="stable")


def smallest(costs: pd.DataFrame) -> dict[str, float]:
    """Return the cost of each way in the smallest process, in microseconds."""
    first = _creation(costs).groupby("name", sort=False).first()["value_us"]
    return {str(name): float(value) for name, value in first.items()}


def _line(costs: pd.DataFrame, name: str, suffix: str = "") -> tuple[Row, Row] | None:
    rows = of(costs, "line")
    rows = rows[rows["name"] == name].set_index("parameter")
    wanted = [f"{PER_PROCESS}{suffix}", f"{PER_MIB}{suffix}"]
    if not set(wanted) <= set(rows.index):
        return None
    fixed, slope = (rows.loc[one].to_dict() for one in wanted)
    return fixed, slope


def _sum(fixed: Row, slope: Row) -> str:
    return f"{duration(fixed['value_us'])} plus {_per_mib(slope)} per MiB"


def _per_mib(slope: Row) -> str:
    """Return a slope with half its interval; what cannot be told from 0 is 0."""
    value, low, high = (float(slope[name]) for name in ("value_us", "low_us", "high_us"))
    if not math.isfinite(low):
        return duration(value)
    reach = (high - low) / 2
    # What cannot be told from 0 has no digits to show.
    return f"{count(value) if low > 0 or high < 0 else 0} ±{_brief(reach)} µs"


def _brief(value: float) -> str:
    """Return an error as two digits tell it."""
    return count(float(f"{value:.2g}"))


def _most_expensive_first(costs: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(costs.items(), key=lambda one: -one[1])
