"""A forked child that writes to a hundred pages of its parent's, which the kernel then copies."""

from __future__ import annotations

import os

from servers.http import Request
from servers.mechanisms import fork

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_PAGES: Final = 100
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Mode(fork.Mode):
    """As `fork`, with a child that has pages copied."""

    def child_init(self) -> None:
        """Have pages that are there, each written to."""
        super().child_init()
        self._memory = bytearray(b".") * (_PAGES * _PAGE)

    def in_child(self, request: Request) -> None:
        """Write to each page."""
        memory = self._memory
        for at in range(0, _PAGES * _PAGE, _PAGE):
            memory[at] = 0
