"""What a report says of bare costs follows from the rows, and only from those that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

import reports
from harness.costs.lines import fit
from harness.costs.samples import Facts, Sample, Subject, rows
from harness.results.folder import ResultsFolder
from reports.figures import costs as cost_figures
from reports.page import without_figures
from reports.terminal import render_costs
from reports.words import costs
from tests.harness.live import MANIFEST

SIZES = (2, 100, 400)
OWN = "CPython 3.11.7"
FIXED = {
    "thread": (20, 0),
    "vfork": (25, 0),
    "fork": (80, 10),
    "clone3": (80, 10),
    "clone3, net namespace": (380, 10),
    "clone3, uts namespace": (81, 10),
    "posix_spawn of static C": (400, 0),
    "fork, exec of static C": (480, 10),
    "fork, exec of sh": (780, 10),
}


def creations() -> list[Sample]:
    return [
        Sample(
            Subject("creation", name, f"{mib} MiB{suffix}", heap_mib=mib, pages=pages),
            number,
            # A tenth of a percent from round to round, so that the intervals have a width.
            (fixed + slope * share * mib) * (1 + number / 1000),
            5,
            Facts(call_us=fixed / 2, page_faults=12, user_us=1, system_us=2),
        )
        for name, (fixed, slope) in FIXED.items()
        for pages, suffix, share in (("small", "", 1), ("huge", ", huge pages", 0.1))
        for mib in SIZES
        for number in (1, 2, 3)
    ]


def heaps() -> list[Sample]:
    told = {
        "child exits": (4_000, 70),
        "child looks at each object": (40_000, 10_070),
        "each object looked at, without a child": (6_000, 0),
        "child collects garbage": (90_000, 11_000),
        "child collects garbage, gc.freeze": (4_100, 100),
        "garbage collected, without a child": (50_000, 0),
    }
    return [
        Sample(
            Subject("heap", "Python heap", f"100 MiB, {what}", heap_mib=100),
            number,
            us * (1 + number / 1000),
            2,
            Facts(page_faults=faults),
        )
        for what, (us, faults) in told.items()
        for number in (1, 2)
    ]


def workers() -> list[Sample]:
    return [
        Sample(Subject("worker", name, "start"), number, us, 20, Facts(memory_mib=2.6))
        for name, us in (("router", 41_000.0), ("router:walls=off", 28_000.0))
        for number in (1, 2)
    ]


def loads() -> list[Sample]:
    told = {
        ("perl", "", "byte"): (1_300, 1_500),
        (OWN, "-I -S", "clock"): (6_400, 8_200),
        (OWN, "no options", "clock"): (9_000, 11_000),
        (OWN, "-I -S, imports, warm byte code", "clock"): (30_000, 33_000),
        (OWN, "-I -S, imports, cold byte code", "clock"): (120_000, 125_000),
    }
    found = []
    for (name, what, stamp), (first, end) in told.items():
        said = f"{what}, " if what else ""
        for number in (1, 2):
            scale = 1 + number / 1000
            facts = Facts(
                user_us=1, system_us=2, page_faults=3, memory_mib=8, syscalls=278, files_opened=15
            )
            subject = Subject("load", name, f"{said}to the first line", stamp=stamp)
            found.append(Sample(subject, number, first * scale, 1))
            subject = Subject("load", name, f"{said}to exit")
            found.append(Sample(subject, number, end * scale, 1, facts))
    return found


def imports() -> list[Sample]:
    trees = {
        "(interpreter start)": [("io", 0, 500)],
        "hello": [("io", 0, 500), ("os", 0, 300), ("stat", 1, 100)],
        "imports": [("io", 0, 500), ("http", 0, 900), ("email", 1, 4_000), ("ssl", 2, 3_000)],
    }
    return [
        Sample(Subject("import", module, workload, place=place, depth=depth), number, us, 1)
        for workload, tree in trees.items()
        for place, (module, depth, us) in enumerate(tree)
        for number in (1, 2)
    ]


def folder_of(path: Path, samples: list[Sample]) -> Path:
    with ResultsFolder.create(path, MANIFEST) as folder:
        content = [asdict(cost.row()) for cost in (*rows(samples), *fit(samples))]
        folder.append_table("costs", content)
        folder.update(
            interpreter={"version": "3.11.7"},
            also={
                "costs": {
                    "argv": ["isobench", "costs", "--quick"],
                    "seed": 3,
                    "missing": [{"name": "lua", "reason": "it is not installed"}],
                }
            },
        )
        folder.finish()
    return path


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [*creations(), *heaps(), *workers(), *loads(), *imports()]
    return folder_of(tmp_path_factory.mktemp("costs"), samples)


@pytest.fixture(name="table", scope="module")
def _table(folder: Path) -> pd.DataFrame:
    return ResultsFolder.open(folder).table("costs")


def test_the_title_is_what_a_fork_costs(table: pd.DataFrame) -> None:
    assert costs.title(table).startswith("A fork costs 80.2 µs plus 10 ±")


@pytest.mark.parametrize(
    "words",
    [
        "in huge pages 80.2 µs plus 1 ±",
        "thread 20 µs, vfork 25 µs and posix_spawn of static C 401 µs",
        "a static C program 401 µs and sh 701 µs",
        "A new namespace adds to the cost of clone3: net 301 µs; uts next to nothing.",
        "Of this 4.01 ms is fork and exit, 6.01 ms the reading, and 30 ms the cost of copying "
        "10,000 pages on write (3 µs each)",
        "takes 90.1 ms (11,000 page faults), where the parent itself takes 50.1 ms; after "
        "gc.freeze in the parent it takes 4.11 ms (100)",
        "memory (PSS) is: router 41 ms, 2.6 MiB; router:walls=off 28 ms, 2.6 MiB.",
        "perl 1.3 ms and CPython 3.11.7 6.41 ms.",
        "exits 8.21 ms after its exec with -I -S, 11 ms without options",
        "begins after 30 ms if their byte code is cached, 120 ms if it is not (4 times as long)",
        "most expensive imports of the workloads, by their own code: "
        "email 4 ms, ssl 3 ms, http 900 µs, os",
    ],
)
def test_sentences_say_the_numbers(table: pd.DataFrame, words: str) -> None:
    assert words in " ".join(costs.findings(table, OWN))


def test_a_straight_line_needs_no_warning(table: pd.DataFrame) -> None:
    assert "That is not linear" not in " ".join(costs.findings(table, OWN))


def test_a_bent_one_gets_a_warning() -> None:
    bent = [
        Sample(
            Subject("creation", "fork", f"{mib} MiB", heap_mib=mib, pages="small"), number, us, 5
        )
        for mib, us in ((2, 100), (100, 3_000), (400, 30_000))
        for number in (1, 2)
    ]
    table = pd.DataFrame([asdict(cost.row()) for cost in (*rows(bent), *fit(bent))])
    assert "That is not linear" in " ".join(costs.findings(table, OWN))


def test_what_cannot_be_told_from_nothing_is_nothing(table: pd.DataFrame) -> None:
    by_way = costs.creation_table(table).set_index("way")
    assert str(by_way.loc["thread", "per MiB"]).startswith("0 ±")


@pytest.mark.parametrize(
    "samples",
    [creations(), heaps(), workers(), loads(), imports()],
    ids=["ways", "heaps", "workers", "loads", "imports"],
)
def test_any_part_alone_makes_a_page(tmp_path: Path, samples: list[Sample]) -> None:
    text = reports.make(folder_of(tmp_path / "part", samples)).read_text()
    assert "What processes and interpreters cost by themselves" in text


def test_the_page_of_costs_alone_does_not_miss_trials(folder: Path) -> None:
    text = reports.make(folder).read_text()
    assert "<h1>A fork costs" in text
    assert "No trial has ended" not in text
    assert "Left out: lua (it is not installed)." in text
    assert "isobench costs --quick --seed 3" in text
    assert "trials.parquet" not in text
    for name in ("costs-processes", "costs-interpreters", "costs-imports"):
        assert (folder / "figures" / f"{name}.png").exists()


def test_a_run_with_costs_shows_both(make_folder: Callable[..., Path]) -> None:
    path = make_folder(blocks=1, targets=("dso",))
    with ResultsFolder.open(path, writable=True) as folder:
        samples = loads()
        folder.append_table("costs", [asdict(cost.row()) for cost in rows(samples)])
    text = without_figures(path)
    assert "What processes and interpreters cost by themselves" in text
    assert "<h2>Every number</h2>" in text


def test_a_run_without_costs_says_nothing_of_them(make_folder: Callable[..., Path]) -> None:
    assert "cost by themselves" not in without_figures(make_folder(blocks=1, targets=("dso",)))


def test_the_terminal_gets_no_more_than_fits(table: pd.DataFrame) -> None:
    from rich.console import Console

    console = Console(width=80, record=True)
    console.print(render_costs(table))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "byte code" not in text
    assert "perl" in text


def test_imports_of_the_interpreters_start_are_nobodys(table: pd.DataFrame) -> None:
    assert "io" not in set(costs.most_expensive(table)["module"])


def test_a_tree_is_as_wide_as_all_that_is_in_it(table: pd.DataFrame) -> None:
    figure = cost_figures.imports(table)
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles == ["hello: 900 µs in 3 imports", "imports: 8.4 ms in 4 imports"]
    widths = [round(patch.get_width()) for patch in figure.axes[1].patches]  # type: ignore[attr-defined]
    assert widths == [500, 7_900, 7_000, 3_000]
