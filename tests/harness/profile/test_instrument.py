"""Copies of scripts that tell their times, and do all else as the scripts do."""

import contextlib
import io
import time

import pytest

from harness.profile.instrument import POINTS, stamps_in, traced, without_stamps
from workloads.catalog import WORKLOADS

PLAIN = '#!/bin/x\n"""What it does."""\n\nimport os\nimport sys\n\nprint(os.sep, sys.byteorder)\n'


def printed(source: str) -> bytes:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(source, "script", "exec"), {})
    return output.getvalue().encode()


def test_a_copy_prints_what_the_script_prints_and_three_times() -> None:
    before = time.monotonic_ns()
    body = printed(traced(PLAIN))
    stamps = stamps_in(body)
    assert without_stamps(body) == printed(PLAIN)
    assert tuple(stamps) == POINTS
    assert before <= stamps["first line"] <= stamps["imported"] <= stamps["printed"]
    assert stamps["printed"] <= time.monotonic_ns()


def test_the_copy_begins_as_the_script_does() -> None:
    lines = traced(PLAIN).splitlines()
    assert lines[:2] == PLAIN.splitlines()[:2]
    assert "first" in lines[2]


def test_imports_end_before_the_first_other_statement() -> None:
    lines = traced("import os\nimport sys\nx = 1\nimport json\n").splitlines()
    assert lines[1:4] == ["import os", "import sys", lines[3]]
    assert "imported" in lines[3]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1",
        '"""Only words."""',
        "from __future__ import annotations",
        '"""Words."""\nfrom __future__ import annotations\nimport os\nprint(os.sep)',
        "from os import (\n    sep,\n    path,\n)\nprint(sep)",
    ],
)
def test_whatever_a_script_begins_with_its_copy_runs(source: str) -> None:
    assert len(stamps_in(printed(traced(source)))) == len(POINTS)


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_each_workload_has_a_copy_that_compiles(workload: object) -> None:
    source = workload.source.read_text()  # type: ignore[attr-defined]
    compile(traced(source), "script", "exec")


@pytest.mark.parametrize(
    "body", [b"", b"hello\n", b"hello\nisobench stamps 1 2\n", b"\nisobench stamps a b c\n"]
)
def test_a_body_without_stamps_has_none(body: bytes) -> None:
    assert stamps_in(body) == {}
