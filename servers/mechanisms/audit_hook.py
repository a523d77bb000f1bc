"""An audit hook that looks at nothing, where that of `safe_mode` has its rules."""

from __future__ import annotations

import sys

from servers.modes import dso


class Mode(dso.Mode):
    """Runs the script here, and has the interpreter call a function at each of its events."""

    def child_init(self) -> None:
        """Become www for good, and add the hook."""
        super().child_init()
        sys.addaudithook(_hear)


def _hear(_event: str, _arguments: tuple[object, ...]) -> None:
    """Do nothing."""
