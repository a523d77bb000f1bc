"""A page made anew from a results folder."""

from pathlib import Path

import pytest

import reports
from tests.harness.live import Say


def test_it_says_where_the_page_is(
    say: Say, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reports, "make", lambda folder, base, force: folder / "report.html")
    said: list[str] = []
    monkeypatch.setattr("harness.terminal.Terminal.print", lambda _, text, **__: said.append(text))
    assert say("report", "/some/run") == (0, "")
    assert said == ["report: /some/run/report.html"]


def test_a_folder_without_results_is_refused(say: Say, tmp_path: Path) -> None:
    code, written = say("report", tmp_path)
    assert code == 2
    assert written.startswith(f"error: {tmp_path} is not a results folder")
    assert list(tmp_path.iterdir()) == []
