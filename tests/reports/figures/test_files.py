"""Figures are drawn by several processes, and what befalls one of these is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from matplotlib.figure import Figure

from harness.errors import IsobenchError
from reports.figures.files import write_figures


@pytest.fixture(name="cores", params=[1, 2], autouse=True)
def _cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    number: int = request.param
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(number)))
    return number


def saying(text: str) -> Figure:
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0, text)
    return figure


def killed() -> Figure:
    os._exit(1)


def test_each_figure_is_two_files_and_the_svg_is_returned(tmp_path: Path) -> None:
    names = ["zebra", "ant", "cow"]
    svgs = write_figures({name: partial(saying, name) for name in names}, tmp_path)
    assert list(svgs) == names
    for name, svg in svgs.items():
        assert f"<!-- {name} -->" in svg
        assert (tmp_path / f"{name}.svg").read_text() == svg
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 6


def test_they_are_the_same_whoever_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: dict[str, Callable[[], Figure]] = {one: partial(saying, one) for one in "ab"}
    here = write_figures(figures, tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert write_figures(figures, tmp_path) == here


def test_a_disk_that_refuses_is_told_as_ever(tmp_path: Path) -> None:
    figures = {one: partial(saying, one) for one in "ab"}
    with pytest.raises(IsobenchError, match="cannot write") as raised:
        write_figures(figures, tmp_path / "missing")
    assert raised.value.hint


def test_a_process_that_is_killed_ends_the_report(tmp_path: Path, cores: int) -> None:
    if cores == 1:
        pytest.skip("drawn by this process")
    with pytest.raises(IsobenchError, match="was killed") as raised:
        write_figures({"a": partial(saying, "a"), "b": killed}, tmp_path)
    assert "memory" in raised.value.hint


_DRAWS_FOR_EVER = """
import os, sys, time
from pathlib import Path
from reports.figures.files import write_figures

os.sched_getaffinity = lambda _: {0, 1}
def endless():
    os.write(1, b"%d\\n" % os.getpid())  # at once, as the other does
    time.sleep(600)
write_figures({"a": endless, "b": endless}, Path(sys.argv[1]))
"""


def test_a_command_that_is_killed_leaves_no_process_that_draws(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DRAWS_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            pids = [int(process.stdout.readline()) for _ in range(2)]
        finally:
            process.kill()
    deadline = time.monotonic() + 30
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(psutil.pid_exists, pids))


def test_nothing_to_draw(tmp_path: Path) -> None:
    assert write_figures({}, tmp_path) == {}
