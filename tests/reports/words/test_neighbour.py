"""What a report says of noisy neighbours, and where the page has it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console

from harness.results.analysis.neighbour import effects
from harness.results.folder import ResultsFolder
from harness.results.format import NONE
from reports import page
from reports.figures.neighbour import matrix as figure
from reports.figures.neighbour import ranked
from reports.section import Results
from reports.sections.studies.neighbour import Neighbour
from reports.terminal import render_neighbour
from reports.words.neighbour import TIMES, matrix, sentences, table
from tests.harness.live import MANIFEST
from tests.harness.results.analysis.test_neighbour import window

WINDOWS = [
    window("alone"),
    window("slow", p99_ms=200.0, dropped=100),
    window("cpu", p99_ms=6.0),
    window("alone", target="harache"),
    window("slow", target="harache"),
    window("cpu", target="harache", p99_ms=4.0),
    window("alone", limits="rlimits"),
    window("memory", limits="rlimits", noise_done=0, noise_refused=9),
]
FRAME = pd.DataFrame([asdict(one) for one in WINDOWS])


def test_each_noise_has_a_sentence_from_the_best_to_the_worst() -> None:
    said = sentences(effects(FRAME))
    assert said[0] == (
        "`cpu` without limits: from 2.0 times the p99 alone (harache) to 3.0 times the p99 alone "
        "(dso)."
    )
    assert said[-1].endswith("to 100 times the p99 alone, 100% lost (dso).")
    assert "`memory` with resource limits (rlimits) is stopped completely by dso." in said


def test_the_matrix_has_a_row_for_each_target_and_a_column_for_each_noise() -> None:
    rows = matrix(effects(FRAME), "none").to_dict("records")
    assert rows[0] == {"target": "dso", "cpu": f"3.0{TIMES}", "slow": "all lost"}
    assert rows[1] == {"target": "harache", "cpu": f"2.0{TIMES}", "slow": f"1.0{TIMES}"}


def test_the_table_shows_what_is_only_a_bound() -> None:
    row = table(effects(FRAME)).iloc[0]
    assert (row["p99 alone"], row["p99"], row["ratio"]) == ("2 ms", "≥ 6 ms", "3.00")
    assert row["95% interval"] == NONE  # of one block


def test_who_suffers_least_is_drawn_first() -> None:
    found = effects(FRAME)
    assert ranked(found) == ["harache", "dso"]
    titles = [panel.get_title(loc="left") for panel in figure(found).axes]
    assert titles == ["without limits", "with resource limits (rlimits)"]


def test_the_page_has_the_section_once_noise_was_made(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path / "results", MANIFEST) as folder:
        assert Neighbour.read(Results.open(folder.path)) is None
        folder.append_table("neighbour", [asdict(one) for one in WINDOWS])
        text = page.without_figures(folder.path)
    assert 'id="neighbour"' in text
    assert "What one tenant&#39;s noise does to another</h1>" in text


def test_the_terminal_shows_a_table_for_each_way_of_limiting() -> None:
    console = Console(width=100)
    with console.capture() as shown:
        console.print(render_neighbour(FRAME))
    assert "with resource limits (rlimits)" in shown.get()
    assert "all lost" in shown.get()
