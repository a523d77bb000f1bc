"""The command with reports that lack their figures: to draw these takes longer than a short run."""

import sys
from pathlib import Path

import reports
from harness.__main__ import main


def make(folder: Path, base: Path | None = None, *, force: bool = False) -> Path:
    """Write the summary and the page as `reports.make` does."""
    from harness.results.atomic_file import replace_file
    from harness.results.folder import ResultsFolder
    from reports.figures.drawing import own_settings

    written = folder / "report.html"
    with own_settings():
        from reports import page

        ResultsFolder.open(folder).write_summary()
        replace_file(written, page.without_figures(folder).encode(errors="replace"))
    return written


if __name__ == "__main__":
    reports.make = make
    sys.exit(main())
