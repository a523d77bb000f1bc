"""What README and docs show of a run follows from its folder."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from docs import shown
from harness.results.folder import ResultsFolder
from tests import checked_against
from tests.harness import folders
from tests.reports.attacked import attacks

README = shown.README.read_text()
MANIFEST = replace(folders.BASE, started_at="2031-05-06T07:08:09+00:00", commit="0123456789ab")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder.open(folders.write_folder(tmp_path / "run", MANIFEST))


def test_the_tables_of_the_readme_are_those_of_the_run(folder: ResultsFolder) -> None:
    found = attacks(dso="xxxx", cgi="...x")
    text = shown.renewed_readme(README, folder.summary(), found, MANIFEST)
    blocks = text.split("```")
    (rates,) = [one.splitlines() for one in blocks if one.startswith("\nhello, 8 users")]
    assert [line.split()[0] for line in rates[2:]] == ["target", "dso", "cgi"]
    assert max(map(len, rates)) <= 80
    (matrix,) = [one.splitlines() for one in blocks if one.startswith("\nattacks stopped")]
    assert matrix[-1].startswith("4 attacks on 2 targets: 3 blocked, 5 succeeded")
    assert "as in the figures, on 2031-05-06 on" in text
    assert "the share of 4 hostile scripts" in text
    assert len(blocks) == len(README.split("```"))


def test_a_run_without_attacks_leaves_their_table_as_it_is(folder: ResultsFolder) -> None:
    text = shown.renewed_readme(README, folder.summary(), pd.DataFrame(), MANIFEST)
    matrix = README[README.index("attacks stopped") :]
    assert text.endswith(matrix)


def test_ratios_are_kept_for_the_page_that_compares_them(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    (tmp_path / "ratios.csv").write_text(shown.checked(folder.summary()))
    found = checked_against.ratios(tmp_path / "ratios.csv")
    assert found["hello", "dso"] == (1.0, 1.0, 1.0)
    assert found["hello", "cgi"][0] == pytest.approx(0.01, rel=0.1)


def test_the_page_that_compares_ratios_names_its_run() -> None:
    page = checked_against.PAGE.read_text()
    text = shown.renewed_page(page, MANIFEST, 12)
    assert "on 6 May 2031 (commit 0123456, 12 blocks, " in text
    assert len(text.splitlines()) == len(page.splitlines())


def test_a_run_of_something_else_is_refused(folder: ResultsFolder) -> None:
    summary = folder.summary()
    for other in (
        summary.assign(connection="keep-alive"),
        summary.assign(ratio_to_dso_low=float("nan")),  # as one block leaves it
    ):
        with pytest.raises(SystemExit, match="nox -s bench"):
            shown.rates(other)
