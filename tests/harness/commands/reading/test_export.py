"""A run written for another tool."""

import json
from pathlib import Path

from tests.harness import folders
from tests.harness.live import Say


def test_a_run_for_pyperf(say: Say, tmp_path: Path) -> None:
    run = folders.write_folder(tmp_path / "run", folders.BASE)
    out = tmp_path / "run.json"
    assert say("export", run, "--out", out) == (0, f"written: {out}\n")
    assert len(json.loads(out.read_text())["benchmarks"]) == 2


def test_another_format_is_refused_before_the_folder_is_read(say: Say) -> None:
    code, written = say("export", "/nowhere", "--format", "csv")
    assert code == 2
    assert written == "error: cannot export to the format 'csv'\nhint: choose pyperf\n"
