"""Adding a mode is one file, one test, one paragraph (docs/adding-a-mode.md)."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.results.folder import ResultsFolder
from servers import modes
from tests.servers.live import ROOT, needs_root


@pytest.mark.parametrize("mode", modes.names())
def test_every_mode_has_its_section_and_its_row(mode: str) -> None:
    sections = re.findall(r"^## (\S+)$", (ROOT / "docs/modes.md").read_text(), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sections.count(mode) == 1, f"docs/modes.md has no section {mode}"
    assert rows.count(mode) == 1, f"the table of modes in README.md has no row {mode}"


TRIVIAL = '''"""`trivial`: as `dso`, after a moment's thought."""

from __future__ import annotations

from servers.http import Request, Response
from servers.modes import dso


class Mode(dso.Mode):
    """Thinks, then runs the script in the worker."""

    precedent = "no real product"
    recipe = ("identity",)

    @classmethod
    def timeline(cls):
        """Say which phases a request has here."""
        from servers.profiling.timelines import BACK, EMBEDDED, FRONT, ProbePoint, Step, Timeline

        return Timeline(
            (*FRONT, Step("thought", "checked"), *EMBEDDED, *BACK),
            probes=(ProbePoint(f"{__name__}:think", end="checked"),),
        )

    def handle(self, request: Request) -> Response:
        """Think, and run the script."""
        think()
        return super().handle(request)


def think() -> None:
    """Do nothing, as a phase of its own."""
'''

# A folder of trials and mechanisms that are made up, whose targets are described by the servers.
MEASURED = """
import sys
from pathlib import Path
from harness.results.folder import ResultsFolder
from harness.target.targets import choose
from tests.reports.words.test_explained import run_of

path = run_of(Path(sys.argv[1]), {"dso": 100.0, "trivial": 132.0})
with ResultsFolder.open(path, writable=True) as folder:
    folder.update(targets=tuple(target.record for target in choose(["dso", "trivial"])))
"""


class Copy:
    """All packages in another directory, where a mode's file is added and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for package in ("servers", "harness", "workloads", "reports", "tests"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, root / package, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        (root / "servers/modes/trivial.py").write_text(TRIVIAL)

    def python(self, *arguments: str | Path) -> str:
        """Run Python with the packages of the copy; return what it prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def copy(reachable: Path) -> Copy:
    root = reachable / "copy"
    root.mkdir()
    return Copy(root)


def test_a_new_file_is_a_choice_of_the_command_line(copy: Copy) -> None:
    described = {mode["name"]: mode for mode in json.loads(copy.python("-m", "servers", "--list"))}
    assert described["trivial"]["summary"] == "Thinks, then runs the script in the worker."
    assert described["trivial"]["recipe"] == ["identity"]


@needs_root
def test_a_new_file_is_tested_against_the_contract(copy: Copy) -> None:
    test = "tests/servers/test_contract.py::test_tenants_take_turns_on_one_worker[trivial]"
    assert "1 passed" in copy.python("-m", "pytest", "-q", "-p", "no:cacheprovider", test)


@needs_root
def test_a_new_file_is_in_the_profile_and_the_report_with_what_it_declares(
    copy: Copy, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    copy.python("-c", MEASURED, out)
    few = ("--requests", "12", "--tenants", "2", "--quick", "--seed", "4")
    copy.python("-m", "harness", "profile", "--modes", "trivial", *few, "--out", out)
    phases = [*ResultsFolder.open(out).table("phases")["phase"]]
    assert phases[phases.index("locate") + 1] == "thought"
    page = (out / "report.html").read_text()
    assert "Thinks, then runs the script in the worker." in page
    assert "trivial costs 132 µs of CPU time a request" in page
    assert "a change of identity and back (30 µs)" in page
