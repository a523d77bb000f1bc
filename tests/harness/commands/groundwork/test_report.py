"""The report at a command's end, which may be left to a later one."""

from pathlib import Path

import pytest
from rich.console import Console

import reports
from harness.commands.groundwork.report import make_report, name_report


def test_the_report_is_made_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reports, "make", lambda folder: folder / "report.html")
    page = make_report(tmp_path)
    name_report(page, Console())
    assert page == tmp_path / "report.html"
    assert f"report: {page}" in capsys.readouterr().out


def test_a_report_that_is_left_to_a_later_command_is_neither_made_nor_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reports, "make", lambda folder: pytest.fail("it was made"))
    name_report(make_report(tmp_path, wanted=False), Console())
    assert capsys.readouterr().out == ""
