"""An interpreter that is executed for a script which imports what the workload `hello` does."""

from __future__ import annotations

from servers.mechanisms import program


class Mode(program.Mode):
    """As `program`, with imports."""

    lines = b"import os\n"
