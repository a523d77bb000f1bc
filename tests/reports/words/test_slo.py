"""What a report says of a promise."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from harness.results.analysis.slo import Kept
from harness.results.format import NONE
from harness.stats.intervals import NOTHING, Interval
from reports.figures.slo import rates
from reports.words import slo as words
from tests.harness.results.analysis.test_slo import search, table

ROUTER = Kept(
    target="router",
    runs_as="owner",
    promise="p99 < 50 ms",
    workload="hello",
    connection="close",
    blocks=5,
    rate=Interval(1900, 2100, 2300),
    at_least=False,
    never=0,
    measure="p99",
    alone=2_000.0,
    cores=1,
    cpu_share=0.97,
    requests=2000,
    wanted=1000,
    rate_per_tenant=0.5,
    void=0,
    failed="",
)


def changed(**fields: object) -> Kept:
    return Kept(**{**vars(ROUTER), **fields})


NEVER = changed(target="suexec", blocks=0, rate=NOTHING, never=5, alone=80_000.0)
BOUND = changed(target="dso", at_least=True, rate=Interval(3900, 4000, 4100))


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (
            ROUTER,
            "`router` keeps p99 below 50 ms up to 2,100 req/s (1,900 to 2,300); at 0.5 req/s a "
            "tenant that is 4,200 (3,800 to 4,600) tenants a core.",
        ),
        (
            changed(rate_per_tenant=math.nan, rate=Interval(math.nan, 2100, math.nan)),
            "`router` keeps p99 below 50 ms up to 2,100 req/s.",
        ),
        (
            BOUND,
            "`dso` keeps p99 below 50 ms up to at least 4,000 req/s: the load generator could "
            "offer no more; at 0.5 req/s a tenant that is at least 8,000 (7,800 to 8,200) tenants "
            "a core.",
        ),
        (NEVER, "`suexec` never keeps p99 below 50 ms: with a single user p99 is 80 ms."),
        (
            replace(NEVER, alone=30_000.0, alone_of_limit=0.6),
            "`suexec` never keeps p99 below 50 ms at a rate that was tried, although with a single "
            "user p99 is 30 ms.",
        ),
        (
            changed(promise="p50 < 1 ms and errors < 0.1%", requests=150, never=1,
                    rate_per_tenant=math.nan),
            "`router` keeps p50 below 1 ms and errors below 0.1% up to 2,100 req/s (1,900 to "
            "2,300) (a load had 150 requests, where 1,000 are wanted); in 1 of 6 blocks no rate "
            "kept it.",
        ),
    ],
)  # fmt: skip
def test_a_sentence_says_which_rate_keeps_the_promise(one: Kept, sentence: str) -> None:
    assert words.sentences([one]) == [sentence]


def test_a_target_without_a_rate_is_left_out_with_its_reason() -> None:
    void = changed(blocks=0, rate=NOTHING, failed="it died")
    assert words.sentences([void]) == []
    assert words.left_out([void, ROUTER]) == ["router: it died"]


def test_the_table_has_tenants_where_their_rate_is_given() -> None:
    texts = words.table([BOUND, ROUTER, NEVER])
    assert list(texts["req/s"]) == ["≥ 4,000", "2,100", NONE]
    assert list(texts["tenants a core"]) == ["≥ 8,000", "4,200", NONE]
    assert list(texts["note"]) == ["generator-bound", "", "never"]
    assert "tenants a core" not in words.table([changed(rate_per_tenant=math.nan)])


def test_the_terminals_table_is_narrow() -> None:
    written = io.StringIO()
    Console(file=written, width=80).print(words.terminal_table([BOUND, ROUTER, NEVER]))
    assert "4,200" in written.getvalue()


def test_the_figure_names_each_target_that_keeps_it() -> None:
    loads = table(search("router", 1, "found", 2000.0), search("suexec", 1, "never", None))
    figure = rates([ROUTER, BOUND, NEVER], loads)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["router", "dso"]
    assert rates([NEVER], loads).axes == []
