"""The queries of docs/results.md, on two runs, by DuckDB and pandas themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.harness import folders

DOCS = (Path(__file__).parents[3] / "docs" / "results.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the code of a language in the document."""
    return re.findall(rf"```{language}\n(.*?)```", DOCS, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def _two_runs(tmp_path: Path) -> None:
    """Be where `results` holds two runs; in the second, cgi is twice as quick, and dso void."""
    folders.write_folder(tmp_path / "results" / "a", folders.BASE, blocks=3)
    rates = {"dso": 10_000.0, "cgi": 200.0}
    folders.write_folder(tmp_path / "results" / "b", folders.NEW, rates, blocks=3, void=["dso"])
    os.chdir(tmp_path)  # tests/conftest.py goes back


def rows(query: str) -> list[dict[str, Any]]:
    duckdb = pytest.importorskip("duckdb", reason="no DuckDB here: pip install duckdb")
    found = duckdb.connect().execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_duckdb_shows_rates_run_by_run() -> None:
    found = {(row["target"], row["run"]): row for row in rows(blocks("sql")[0])}
    assert found.keys() == {("dso", "a"), ("cgi", "a"), ("cgi", "b")}
    assert found["cgi", "a"]["requests_per_second"] == pytest.approx(100, rel=0.05)
    assert found["cgi", "b"]["requests_per_second"] == pytest.approx(200, rel=0.05)
    assert found["cgi", "b"]["blocks"] == 3


def test_duckdb_shows_what_a_target_costs_beside_dso() -> None:
    (row,) = rows(blocks("sql")[1])
    assert row["target"] == "cgi"
    assert row["cpu_ratio"] == pytest.approx(100, rel=0.05)


def test_duckdb_shows_what_was_void() -> None:
    (row,) = rows(blocks("sql")[2])
    assert (row["target"], row["verdict"], row["trials"]) == ("dso", "void: it lied", 3)


def test_pandas_shows_rates_run_by_run() -> None:
    import pandas as pd

    known: dict[str, Any] = {"pd": pd}
    exec(blocks("python")[-1], known)
    rates = known["rates"]["median"].droplevel(["workload", "load", "connection"])
    assert rates["cgi", "b"] == pytest.approx(200, rel=0.05)
    assert set(rates.index) == {("dso", "a"), ("cgi", "a"), ("cgi", "b")}
