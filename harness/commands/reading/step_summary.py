"""The summary of a step of GitHub Actions: a file that the service names in the environment.

Source: docs.github.com, "Workflow commands for GitHub Actions", "Adding a job summary": Markdown
appended to the file that GITHUB_STEP_SUMMARY names, at most 1 MiB a step; beyond it nothing shows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harness.errors import of_system
from harness.terminal import tell

VARIABLE: Final = "GITHUB_STEP_SUMMARY"
MOST_BYTES: Final = 1 << 20
_LEFT_OUT: Final = "\n\n{} more lines are left out: a step's summary has 1 MiB at most.\n"
_ROOM: Final = 200


def append(markdown: str) -> None:
    """Append Markdown to the step's summary, if there is one. Raises IsobenchError."""
    named = os.environ.get(VARIABLE)
    if not named:
        tell(f"{VARIABLE} is not set, so no step summary is written")
        return
    try:
        with Path(named).open("ab") as file:
            file.write(shortened(markdown, MOST_BYTES - file.tell()).encode(errors="replace"))
    except OSError as error:
        raise of_system(error, named) from error
    tell(f"step summary: {named}")


def shortened(text: str, most_bytes: int) -> str:
    """Return a text of at most so many bytes: whole lines, and how many were left out. Pure."""
    if len(text.encode(errors="replace")) <= most_bytes:
        return text
    lines = text.splitlines(keepends=True)
    room, kept = most_bytes - _ROOM, 0
    while kept < len(lines) and room >= len(lines[kept].encode(errors="replace")):
        room -= len(lines[kept].encode(errors="replace"))
        kept += 1
    rest = _LEFT_OUT.format(len(lines) - kept)
    return "".join(lines[:kept]) + (rest if most_bytes >= _ROOM else "")
