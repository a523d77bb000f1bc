"""Two runs side by side as JUnit XML, which every build server shows.

A condition is a testsuite, a row a testcase. A testcase fails where a --fail-if holds with
confidence, is skipped where that cannot be judged, and passes otherwise: a difference that
nobody set a bound on fails nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from harness.results.comparison.compare import Compared, Comparison
from harness.results.comparison.thresholds import Outcome
from harness.results.conditions import Condition
from reports.comparison.table import caution_lines, only_lines, row_words, rows_by_condition

# What XML 1.0 has no way to write (section 2.2).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(comparison: Comparison) -> str:
    """Return JUnit XML: a testsuite a condition, a testcase a row.

    Valid by the two schemas that readers go by: Ant's (Windy Road) and that of the xUnit plugin
    of Jenkins.
    """
    root = ET.Element("testsuites")
    for number, (condition, rows) in enumerate(rows_by_condition(comparison)):
        _testsuite(root, number, condition, rows, comparison)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _testsuite(
    root: ET.Element,
    place_of_suite: int,
    condition: Condition,
    rows: Sequence[tuple[int, Compared]],
    comparison: Comparison,
) -> None:
    name = f"{condition.workload}/{condition.load}/{condition.connection}"
    name += f"/{condition.tenants}/{condition.popularity}"
    suite = ET.SubElement(root, "testsuite", name=_xml(name), package="isobench.compare")
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(comparison):
        ET.SubElement(properties, "property", name=_xml(key), value=_xml(value))
    for place, row in rows:
        _testcase(suite, name, place, row, comparison)
    ET.SubElement(suite, "system-out").text = _xml("\n".join(_system_out(comparison, rows)))
    ET.SubElement(suite, "system-err").text = _xml("\n".join(caution_lines(comparison)))
    for attribute, number in (
        ("id", place_of_suite),
        ("tests", len(rows)),
        ("failures", len(suite.findall("testcase/failure"))),
        ("errors", 0),
        ("skipped", len(suite.findall("testcase/skipped"))),
        ("time", 0),
    ):
        suite.set(attribute, str(number))
    suite.set("timestamp", _timestamp(comparison.new.started_at))
    suite.set("hostname", "localhost")


def _properties(comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield "base", comparison.base.run_id
    yield "new", comparison.new.run_id
    for one in comparison.discrepancies:
        yield one.name, f"{one.base} -> {one.new}"


def _testcase(
    suite: ET.Element, name: str, place: int, row: Compared, comparison: Comparison
) -> None:
    title = _xml(f"{row.target} {row.metric}")
    case = ET.SubElement(suite, "testcase", name=title, classname=_xml(name), time="0")
    checks = comparison.outcomes(place)
    broken = [str(one.bound) for one in checks if one.outcome is Outcome.BROKEN]
    if broken:
        message = f"{row_words(row)}; fails if {'; '.join(broken)}"
        failure = ET.SubElement(case, "failure", message=_xml(message), type="fail-if")
        failure.text = _xml(message)
    elif any(one.outcome is Outcome.UNKNOWN for one in checks):
        ET.SubElement(case, "skipped", message="one good block only, hence no interval")


def _system_out(comparison: Comparison, rows: Sequence[tuple[int, Compared]]) -> Iterator[str]:
    yield from (row_words(row) for _, row in rows)
    yield from only_lines(comparison)


def _timestamp(text: str) -> str:
    """Return a time as the schema wants it: to the second, without a zone."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return "1970-01-01T00:00:00"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
