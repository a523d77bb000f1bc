"""A small C program, dynamically linked, that is executed and ends, as `suexec`'s wrapper is."""

from __future__ import annotations

import os

from servers.errors import Unavailable
from servers.mechanisms import program

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_PROGRAM: Final = "/bin/true"


class Mode(program.Mode):
    """As `program`, with a small one."""

    def check_host(self) -> None:
        """There must be such a program."""
        if not os.access(_PROGRAM, os.X_OK):
            raise Unavailable(f"there is no {_PROGRAM}", "install coreutils, or the like")

    def command(self) -> list[bytes]:
        """Return the program alone."""
        return [os.fsencode(_PROGRAM)]
