"""What the command `bundle` does: a run as one archive that others can check."""

from __future__ import annotations

from pathlib import Path

import reports
from harness.results import bundle
from harness.results.atomic_file import replace_file
from harness.results.folder import ResultsFolder
from harness.terminal import Terminal


def start(folder: Path, out: Path | None) -> None:
    """Write the bundle of a results folder; `out` None: named after the run.

    Raises IsobenchError.
    """
    found = ResultsFolder.open(folder)
    if not (folder / "report.html").exists():
        reports.make(folder)
    path = out or Path(f"isobench-{found.manifest.run_id}{bundle.SUFFIX}")
    replace_file(path, bundle.pack(found))
    Terminal().print(f"bundle: {path}", soft_wrap=True)
