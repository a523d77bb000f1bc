"""What a report says of the load: the ceiling, the other generator, the sweep."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from harness.results.analysis.load_curve import Place, Point, Swept
from harness.results.folder import ResultsFolder
from harness.results.rows import CrosscheckRow
from reports.page import without_figures
from reports.words import loads
from tests.reports.conftest import MakeFolder

CLOSE: Place = ("hello", "close")
NAN = math.nan


def swept(target: str, *p99_ms: float, bound: bool = False, rate: float = 100) -> Swept:
    percents = (20, 50, 80, 95)
    points = [
        Point(percent, rate * percent, rate * percent, 0.5, ms)
        for percent, ms in zip(percents, p99_ms, strict=False)
    ]
    return Swept(target, tuple(points), bound)


FOUND: Mapping[Place, list[Swept]] = {
    CLOSE: [
        swept("dso", 1, 2, 5, 8, bound=True),
        swept("ruid2", 1, 2, 50, 80, rate=80),
        swept("harache", 20, 30, 40, 50, rate=10),
        swept("cgi", NAN, NAN, NAN, NAN, rate=1),
    ],
    ("hello", "keep-alive"): [swept("dso", 11, 12, 13, 14)],
}


NOT_SEEN = CrosscheckRow(
    target="suzuki",
    workload="hello",
    load="closed:8",
    connection="close",
    tenants=10,
    popularity="uniform",
    tool="wrk",
    rounds=0,
    note="wrk cannot",
)
SKIPPED = asdict(NOT_SEEN)


def compared(target: str, own: float, tool: float) -> dict[str, object]:
    return asdict(
        replace(
            NOT_SEEN,
            target=target,
            rounds=2,
            note=None,
            own_per_second=own,
            tool_per_second=tool,
            rate_difference=tool / own - 1,
            own_p50_ms=1.0,
            tool_p50_ms=1.1,
            own_p99_ms=3.0,
            tool_p99_ms=3.1,
            tool_errors=0,
        )
    )


CHECKED = [compared("null", 20_000, 50_000), compared("dso", 8_000, 8_400), SKIPPED]


def test_a_sweep_says_what_each_target_holds() -> None:
    close, keep_alive = loads.sweeps(FOUND)
    assert (
        "p99 stays below 10 ms with dso up to 9,500 or more and ruid2 up to 4,000 requests "
        "per second; at none of its loads with harache; too few requests to tell with cgi." in close
    )
    assert "at none of its loads with dso" in keep_alive


def test_a_sweep_says_what_its_loads_are_shares_of() -> None:
    known = [
        replace(swept("ruid2", 1), knee=8_000.0, users=4),
        replace(swept("dso", 1, bound=True), knee=10_000.0, users=1),
        swept("cgi", 1),
    ]
    _, knees = loads.sweeps({CLOSE: known})
    assert knees.endswith(
        "20, 50, 80 and 95%) was dso at least 10,000 (1 user) and ruid2 8,000 (4 users) "
        "requests per second."
    )


def test_its_title_names_the_best() -> None:
    assert loads.title(FOUND) == (
        "Highest load with p99 below 10 ms: dso, 9,500 requests per second "
        "(one connection per request)"
    )
    assert loads.title({CLOSE: [swept("cgi", NAN)]}) == "Latency against load"


def test_a_ceiling_is_told_and_who_came_near_it() -> None:
    summary = pd.DataFrame(
        [
            {
                "target": target,
                "workload": "hello",
                "load": "closed:8",
                "connection": "close",
                "tenants": 10,
                "popularity": "uniform",
                "requests_per_second": rate,
                "ceiling_per_second": 10_000.0,
                "ceiling_share": rate / 10_000,
                "capacity_per_core": 12_000.0,
                "verdict": "generator-bound" if rate > 7_000 else "ok",
            }
            for target, rate in (("dso", 8_000.0), ("cgi", 100.0))
        ]
    )
    ceiling, bound = loads.ceilings(summary)
    assert ceiling == (
        "The load generator's ceiling, its rate against a responder that does nothing, was "
        "10,000 requests per second."
    )
    assert bound == (
        "dso reached 80% of the ceiling, so 8,000 is a lower bound; "
        "its CPU time would allow 12,000."
    )
    both = pd.concat([summary, summary.assign(connection="keep-alive", ceiling_per_second=20_000)])
    assert loads.ceilings(both)[0].endswith(
        "10,000 requests per second with one connection per request and 20,000 with connections "
        "kept alive."
    )
    assert loads.ceilings(summary.assign(ceiling_per_second=NAN)) == []


def test_another_generator_agrees_or_not() -> None:
    agreed, headroom = loads.cross_check(pd.DataFrame(CHECKED))
    assert "within 10% of isobench's in 1 of 1 comparisons" in agreed
    assert "isobench got 20,000, wrk 50,000" in headroom
    sentences = loads.cross_check(pd.DataFrame([*CHECKED, compared("cgi", 100, 80)]))
    assert "1 of 2" in sentences[0]
    assert "differed most at cgi" in sentences[1]
    assert loads.cross_check(pd.DataFrame([SKIPPED])) == []


def test_its_table_keeps_what_could_not_be_compared() -> None:
    table = loads.cross_check_table(pd.DataFrame(CHECKED))
    assert table["target"].tolist() == ["null", "dso", "suzuki"]
    assert table["difference"].tolist() == ["+150%", "+5%", "–"]  # noqa: RUF001
    assert table["remark"].tolist() == ["", "", "wrk cannot"]


def test_the_page_shows_the_comparison(make_folder: MakeFolder) -> None:
    path: Path = make_folder(blocks=2, targets=("dso", "cgi"))
    assert "another generator" not in without_figures(path).partition("Files of this run")[0]
    with ResultsFolder.open(path, writable=True) as folder:
        folder.append_table("crosscheck", CHECKED)
    text = without_figures(path)
    assert "The same load by another generator" in text
    assert "req/s, wrk" in text
    assert "wrk cannot" in text
