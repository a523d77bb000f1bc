"""JUnit XML: what a build server counts, in the form that its schema asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.results.comparison.compare import COMPARABLE, METRICS, Comparison, compare
from harness.results.comparison.thresholds import check, parse_bound
from harness.results.folder import ResultsFolder
from reports.comparison.junit import junit
from tests.harness.folders import BASE, NEW, write_folder

# As the schema of Ant's JUnit task (Windy Road, JUnit.xsd) requires them.
SUITE = {
    *("name", "package", "id", "timestamp", "hostname"),
    *("tests", "failures", "errors", "skipped", "time"),
}
CASE = {"name", "classname", "time"}


def compared(folder: Path, *bounds: str, tenants: Sequence[int] = (3,)) -> Comparison:
    base = write_folder(folder / "base", BASE, tenants=tenants)
    slower = {"dso": 8000.0, "cgi": 100.0}
    new = write_folder(folder / "new", NEW, slower, seed=2, tenants=tenants)
    return compare(
        *(ResultsFolder.open(path).measured(METRICS) for path in (base, new)),
        bounds=[parse_bound(text, COMPARABLE) for text in bounds],
    )


def test_the_schemas_order_and_attributes(tmp_path: Path) -> None:
    root = ET.fromstring(junit(compared(tmp_path, "p99_ms > 10%", tenants=(3, 100))))
    assert (root.tag, root.attrib) == ("testsuites", {})
    assert [suite.get("id") for suite in root] == ["0", "1"]
    for suite in root:
        assert set(suite.attrib) == SUITE
        cases = suite.findall("testcase")
        tags = [child.tag for child in suite]
        assert tags == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
        assert suite.get("tests") == str(len(cases)) == "10"
        assert suite.get("timestamp") == "2026-03-01T15:00:00"  # the schema knows no zone
        assert all(set(case.attrib) == CASE and len(case) <= 1 for case in cases)
        assert all(failure.get("type") for failure in suite.iter("failure"))


def test_a_testcase_fails_where_a_bound_is_broken(tmp_path: Path) -> None:
    text = junit(compared(tmp_path, "requests_per_second < -5%", "dso: p99_ms > 10%"))
    (suite,) = ET.fromstring(text)
    failed = {str(case.get("name")): case for case in suite.iter("testcase") if len(case)}
    assert set(failed) == {"dso requests_per_second", "dso p99_ms"}
    assert suite.get("failures") == "2"
    message = failed["dso requests_per_second"][0].get("message") or ""
    assert "10,000 to 8,0" in message
    assert "fails if requests_per_second < -5%" in message
    assert "the runs began 3 hours apart" in suite.findtext("system-err", "")


def test_without_bounds_all_pass(tmp_path: Path) -> None:
    (suite,) = ET.fromstring(junit(compared(tmp_path)))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")


def test_what_cannot_be_judged_is_skipped(tmp_path: Path) -> None:
    found = compared(tmp_path, "p99_ms > 10%")
    blind = replace(found.rows[2], logs=replace(found.rows[2].logs, error=math.nan))
    rows = (*found.rows[:2], blind, *found.rows[3:])
    bounds = [parse_bound("p99_ms > 10%", COMPARABLE)]
    (suite,) = ET.fromstring(junit(replace(found, rows=rows, checks=check(bounds, rows))))
    assert suite.get("skipped") == "1"


def test_characters_that_xml_has_not(tmp_path: Path) -> None:
    found = compared(tmp_path)
    odd = replace(found.rows[0], target='a<b>&"\x00\x1b\udce9')
    (suite,) = ET.fromstring(junit(replace(found, rows=(odd,))))
    (case,) = suite.iter("testcase")
    assert str(case.get("name")).startswith('a<b>&"')


@pytest.mark.parametrize("started", ["yesterday", ""])
def test_a_start_that_is_no_time(tmp_path: Path, started: str) -> None:
    found = compared(tmp_path)
    undated = replace(found, new=replace(found.new, started_at=started))
    (suite,) = ET.fromstring(junit(undated))
    assert suite.get("timestamp") == "1970-01-01T00:00:00"
