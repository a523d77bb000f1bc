"""What a run says of an access log."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.results.folder import ResultsFolder
from reports.section import Results
from reports.sections.trials.replayed import Replayed
from reports.words.replayed import sentences
from tests.harness.live import MANIFEST
from tests.harness.plan.test_loads import LOG, REPLAY
from tests.harness.plan.test_plan import PLAN


def said(seconds: float = 4.0, **of_log: Any) -> str:
    return " ".join(sentences(asdict(replace(REPLAY, log=replace(LOG, **of_log))), seconds))


def test_all_that_was_read_is_said() -> None:
    assert said() == (
        "The access log has 90 lines (0.0 MB, SHA-256 abababababab...) and spans 40 s. "
        "2 lines are malformed, the first: line 3, no time. "
        "3 lines are out of order in time, and sorted. "
        "Replayed are 80 requests to 5 of 7 hosts. "
        "Not replayed are 5 for static files, 2 to less popular hosts and 1 without a page. "
        "Of all requests, 4 had a status of 400 or more; these count as any other. "
        "The most popular host gets 50% of the requests. "
        "The log has 2 requests a second on average, and 9 in its busiest second; replayed 10 "
        "times as fast, that is 20 a second on average. "
        "Each window of 4 s holds the whole log. "
        "Each request is for the workload hello, whatever its path was."
    )


def test_a_clean_log_of_one_host_needs_few_words() -> None:
    none = dict.fromkeys(("malformed", "without_page", "static", "left_out", "failed"), 0)
    short = said(**none, first_malformed=(), out_of_order=0, hosts=1, tenants=1)
    for word in ("malformed", "Not replayed", "Of all requests", "out of order", "popular"):
        assert word not in short
    assert "80 requests to 1 host." in short


def test_a_window_may_hold_a_part_of_the_log_or_more_than_all_of_it() -> None:
    assert "A window of 1 s is 25% of the log; each block draws where it begins" in said(1.0)
    assert "The log is over after 4 s, and begins anew until the window ends." in said(9.0)


def test_popularity_workloads_and_silence() -> None:
    text = said(
        hosts=250, exponent=0.876, workloads=(("hello", 60), ("page:5ms", 20)), longest_gap_s=30.0
    )
    assert "The most popular 3 hosts (1%) get 50% of the requests; Zipf's law fits best" in text
    assert "best with 0.88." in text
    assert "for the workloads hello 60 (75%) and page:5ms 20 (25%)." in text
    assert "For 75% of its span the log has no request at all" in text


def test_the_report_has_it_where_a_log_was_replayed(tmp_path: Path) -> None:
    for name, plan in (("with", replace(PLAN, loads=(REPLAY,))), ("without", PLAN)):
        ResultsFolder.create(tmp_path / name, replace(MANIFEST, plan=plan.to_json())).close()
    section = Replayed.read(Results.open(tmp_path / "with"))
    assert section is not None
    assert section.sentences[0].startswith("The access log has 90 lines")
    assert Replayed.read(Results.open(tmp_path / "without")) is None
