"""Sentences say what the numbers say, and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from harness.results.folder import ResultsFolder
from reports.words import findings

MakeFolder = Callable[..., Path]


def summary_of(path: Path) -> pd.DataFrame:
    return ResultsFolder.open(path).summary()


def test_findings_name_rates_ratios_costs_and_identities(make_folder: MakeFolder) -> None:
    text = "\n".join(findings.findings(summary_of(make_folder())))
    assert "With one connection per request, dso answered 14,400 requests per second" in text
    assert "harache 1,050 (7.3% of dso, interval 7.0" in text
    assert "connections kept alive" in text
    assert "A request cost from 58 µs of server CPU time (dso) to 10.2 ms (suexec)." in text
    assert "the server itself in dso and cgi; the owner of the site in" in text


def test_without_dso_no_ratio_is_claimed(make_folder: MakeFolder) -> None:
    summary = summary_of(make_folder(targets=("cgi", "harache")))
    text = "\n".join([findings.title(summary), *findings.findings(summary)])
    assert "dso" not in text
    assert findings.title(summary).startswith("Fastest: harache, 1,0")


def test_a_generator_bound_rate_is_a_lower_bound_without_a_ratio(make_folder: MakeFolder) -> None:
    summary = summary_of(make_folder(connections=("close",)))
    summary.loc[summary["target"] == "dso", "verdict"] = "generator-bound"
    text = "\n".join([findings.title(summary), *findings.findings(summary)])
    assert "dso answered at least 14,200" in text
    assert "of dso" not in text


def test_one_block_gives_no_interval(make_folder: MakeFolder) -> None:
    text = "\n".join(findings.findings(summary_of(make_folder(blocks=1))))
    assert "interval" not in text
    assert "% of dso)" in text


def test_void_targets_are_named_with_the_reason(make_folder: MakeFolder) -> None:
    summary = summary_of(make_folder(void_targets=("suexec",)))
    assert "suexec could not be measured (void: wrong identity)." in findings.findings(summary)


def test_a_target_is_set_beside_others(make_folder: MakeFolder) -> None:
    summary = summary_of(make_folder())
    close, _ = findings.beside(summary, "ruid2", ["dso", "harache"])
    assert close == (
        "With one connection per request, 9,830 requests per second: "
        "68% of dso and 9.34 times harache."
    )


def offered(summary: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Make the rows those of an open load; whose rate is less could not keep up."""
    given = summary["requests_per_second"].clip(upper=rate)
    return summary.assign(
        load=f"open:{rate:.0f}", requests_per_second=given, offered_per_second=rate
    )


def test_an_open_load_is_about_waiting(make_folder: MakeFolder) -> None:
    summary = offered(summary_of(make_folder(connections=("close",))), 1000.0)
    (first, *_) = findings.findings(summary)
    assert first.startswith("The 99th percentile of response times was 1.08 ms with dso, 1.57 ms ")
    assert " and 14.6 ms with harache." in first
    assert "cgi (109 of 1,000 requests per second) and suexec (9" in first
    assert "could not keep up." in first
    assert " of dso" not in first
    assert findings.title(summary) == "p99 with 1000 requests/s offered: ruid2 1.57 ms, dso 1.08 ms"
    assert findings.beside(summary, "ruid2", ["dso"]) == ["p99 1.57 ms."]
    assert findings.beside(summary, "cgi", ["dso"]) == ["109 of 1,000 requests per second."]


def test_when_nobody_keeps_up(make_folder: MakeFolder) -> None:
    summary = offered(summary_of(make_folder(connections=("close",), targets=("cgi",))), 5000.0)
    assert findings.title(summary) == "No target kept up with 5000 requests/s offered"
    assert findings.findings(summary)[0].startswith("cgi (110 of 5,000 requests per second) could")


def test_a_target_alone_is_compared_with_nothing(make_folder: MakeFolder) -> None:
    summary = summary_of(make_folder(targets=("cgi",), connections=("close",)))
    (sentence,) = findings.beside(summary, "cgi", ["dso", "harache"])
    assert sentence.endswith("requests per second.")


def test_nothing_measured(make_folder: MakeFolder) -> None:
    for path in (
        make_folder(targets=("cgi",), void_targets=("cgi",)),
        make_folder(blocks=0),
    ):
        summary = summary_of(path)
        assert findings.title(summary) == "Nothing could be measured"
        assert all("could not be measured" in sentence for sentence in findings.findings(summary))


def test_many_targets_are_not_all_named(make_folder: MakeFolder) -> None:
    numbers = {f"m{i:02}": ("owner", 100.0 + i, 100.0, 9.0, 0.0, 5.0) for i in range(12)}
    path = make_folder(numbers=numbers, targets=tuple(numbers), connections=("close",), blocks=2)
    (first, *_) = findings.findings(summary_of(path))
    assert first.count(" and ") == 1
    assert len(first) < 300
