"""The import tree as CPython tells it, and as it was."""

from pathlib import Path

from harness.costs.imports import Import, Script, one_round, read
from harness.costs.samples import Missing, Sample

TOLD = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 | time
import time:        30 |         30 |     _stat
import time:        20 |         50 |   stat
import time:        40 |         40 |   posixpath
import time:        10 |        100 | os
something else on stderr
"""


def test_what_is_imported_follows_what_imports_it() -> None:
    assert read(TOLD) == [
        Import("time", 100, 100, 0),
        Import("os", 10, 100, 0),
        Import("stat", 20, 50, 1),
        Import("_stat", 30, 30, 2),
        Import("posixpath", 40, 40, 1),
    ]


def test_nothing_told_is_nothing_imported() -> None:
    assert read("Traceback (most recent call last):\n") == []


def run(tmp_path: Path, text: str) -> list[Sample | Missing]:
    path = tmp_path / "script.py"
    path.write_text(text)
    return list(one_round(Script("tried", path, tmp_path, {"WORD": "x"}), 2))


def test_a_real_script_shows_its_imports(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text("import colorsys\n")
    found = run(tmp_path, f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport ours\n")
    samples = [one for one in found if isinstance(one, Sample)]
    assert len(samples) == len(found)
    subjects = {one.subject.name: one.subject for one in samples}
    assert subjects["ours"].depth == 0
    assert subjects["colorsys"].depth == 1
    assert subjects["ours"].place is not None
    assert subjects["colorsys"].place == subjects["ours"].place + 1
    assert subjects["ours"].parameter == "tried"
    assert {one.round for one in samples} == {2}


def test_a_script_that_fails_is_missing_with_its_last_words(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; os.environ['WORD']; raise SystemExit('no database')") == [
        Missing("imports of tried", "no database")
    ]
