"""A report says what a short run has left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from harness.results.folder import ResultsFolder
from reports import page
from reports.words import left_out
from tests.reports.attacked import attacks
from tests.reports.conftest import manifest

RUN = ("isobench", "run", "--quick")
PLAN = {"connections": ["close"], "mechanisms": []}
NONE = pd.DataFrame()


def test_a_run_at_length_leaves_nothing_out() -> None:
    usual = manifest(plan=PLAN)
    assert list(left_out.sentences(usual, NONE, ())) == []
    costs = {"costs": {"argv": ["isobench", "costs"], "seed": 1}}
    assert list(left_out.sentences(replace(usual, also=costs), NONE, ())) == []


def test_a_short_run_names_connections_and_parts_that_it_did_not_measure() -> None:
    first, second = left_out.sentences(manifest(argv=RUN, plan=PLAN), NONE, ())
    assert "connections kept alive" in first
    assert "one connection" not in first
    assert "mechanisms" in second
    assert "page" in second
    both = {"connections": ["close", "keep-alive"], "mechanisms": ["fork"], "page": "page:5ms"}
    assert list(left_out.sentences(manifest(argv=RUN, plan=both), NONE, ())) == []


def test_targets_that_were_not_profiled_are_named() -> None:
    *_, first, last = (one.name for one in manifest().targets)
    (said,) = left_out.sentences(manifest(), NONE, {last})
    assert first in said
    assert last not in said


def test_targets_that_were_not_attacked_are_named_and_chosen_attacks_counted() -> None:
    also = {"attack": {"argv": ["isobench", "attack", "--quick", "--attacks=a,b"], "seed": 1}}
    made = attacks(dso="xxxx", harache="....")
    safe, chosen = left_out.sentences(manifest(also=also), made, ())
    assert safe == "Not attacked: cgi, suexec and ruid2."
    assert chosen.startswith("Only 4 attacks were made")
    every = {"attack": {"argv": ["isobench", "attack"], "seed": 1}}
    all_targets = attacks(**{one.name: "xxxx" for one in manifest().targets})
    assert list(left_out.sentences(manifest(also=every), all_targets, ())) == []


def test_commands_with_fewer_repetitions_are_named() -> None:
    argv = {name: ["isobench", name, "--quick"] for name in ("profile", "costs")}
    also = {name: {"argv": words, "seed": 1} for name, words in argv.items()}
    (said,) = left_out.sentences(manifest(also=also), NONE, ())
    assert said == "With `--quick`, so with fewer repetitions: costs and profile."


def test_the_page_says_so(make_folder: Callable[..., Path]) -> None:
    path = make_folder(blocks=2, targets=("dso",), connections=("close",))
    with ResultsFolder.open(path, writable=True) as folder:
        folder.update(argv=RUN, plan={**folder.manifest.plan, **PLAN}, skipped=())
    text = page.without_figures(path)
    assert "<h2>Not measured here</h2>" in text
    assert "since the run was short: connections kept alive." in text
