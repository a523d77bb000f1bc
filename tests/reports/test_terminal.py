"""The terminal table fits, and shows names as they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from harness.results.folder import ResultsFolder
from reports.terminal import render_attacks, render_table
from tests.reports.attacked import attacks, beside
from workloads.attacks import every

MakeFolder = Callable[..., Path]


def printed(summary: pd.DataFrame, width: int = 100) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, color_system=None)
    console.print(render_table(summary, width=width))
    return buffer.getvalue()


def test_a_block_for_each_condition(make_folder: MakeFolder) -> None:
    text = printed(ResultsFolder.open(make_folder()).summary())
    assert "hello, 8 users, one connection per request, 10 tenants" in text
    assert "hello, 8 users, connections kept alive, 10 tenants" in text
    assert "vs dso" in text
    harache = next(line for line in text.splitlines() if line.startswith("harache"))
    assert harache.split()[:5] == ["harache", "owner", "1,050", "7.3%", "±4.5%"]


def test_long_names_and_reasons_fit_and_are_not_markup(make_folder: MakeFolder) -> None:
    name = "[bold]process_security_shipped:worker_start=exec"
    summary = ResultsFolder.open(make_folder(blocks=2)).summary()
    summary.loc[summary["target"] == "cgi", "target"] = name
    summary.loc[summary["target"] == "dso", "verdict"] = "void: " + "very long reason " * 5
    text = printed(summary)
    assert max(map(len, text.splitlines())) <= 100
    assert "[bold]" in text
    for heading in ("memory", "CPU/req", "p99"):
        assert heading in text
    assert "…" not in text


def test_an_ordinary_terminal_breaks_no_name(make_folder: MakeFolder) -> None:
    text = printed(ResultsFolder.open(make_folder()).summary(), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for name in ("harache", "suexec", "vs dso", "verdict"):
        assert name in text


def test_an_open_load_has_fewer_columns(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    given = summary.assign(load="open:90", requests_per_second=90.0, offered_per_second=90.0)
    for width in (80, 100, 160):
        text = printed(given.assign(late=0.0, dropped=0.0), width)
        assert "p99" in text
        assert "vs dso" not in text
        assert "difference" not in text
    assert "difference" in printed(summary, 160)


def test_nothing_yet(make_folder: MakeFolder) -> None:
    assert "No trial has ended." in printed(ResultsFolder.open(make_folder(blocks=0)).summary())


@pytest.mark.parametrize("width", [80, 160])
def test_attacks_have_a_line_for_each_target(width: int) -> None:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(render_attacks(attacks(a="x...", b="...."), width))
    lines = captured.get().splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["b", "a"]
    counts = ["100", "100"] if width == 80 else ["3/3", "1/1"]
    assert lines[-2].split()[1:] == ["100%", *counts]


def test_80_columns_are_enough_for_attacks() -> None:
    families = dict.fromkeys(one.family for one in every())
    found = pd.DataFrame(
        {
            "target": "process_security_shipped",
            "attack": list(families),
            "family": list(families),
            "outcome": "blocked",
        }
    )
    console = Console(width=80)
    with console.capture() as captured:
        console.print(render_attacks(found, 80))
    assert "\N{HORIZONTAL ELLIPSIS}" not in captured.get()
    assert captured.get().splitlines()[-1].split()[2:] == ["100"] * len(families)


def test_80_columns_are_enough_for_products_with_factors_and_unknown_outcomes() -> None:
    names = ("safe_mode", "apache-php-open-basedir", "apache-php-open-basedir:opcache=checked")
    families = dict.fromkeys(one.family for one in every())
    found = pd.DataFrame(
        {
            "target": name,
            "attack": f"{family}-{number}",
            "family": family,
            "outcome": "error" if number == 1 and family == "sharing" else "blocked",
        }
        for name in names
        for family in families
        for number in range(2)
    )
    found = beside(found, **dict.fromkeys(names[1:], "safe_mode"))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(render_attacks(found, 80))
    shown = captured.get()
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert ":opcache=checked" in shown
    assert shown.count("100?") == len(names)
