"""How many processes of a real product were ended by a signal, as its own error log says.

Whoever starts processes is the only one to learn how they end; a product's master writes it down.
What a script writes to the log looks the same, so this is a number for honest scripts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

# Apache's AH00051 and AH00052 (not for SIGTERM, SIGHUP and SIGKILL, which it sends itself); nginx
# and php-fpm; uWSGI.
_ENDED: Final = re.compile(
    rb"child pid \d+ exit signal |(?:process|child) \d+ exited on signal |died, killed by signal "
)


class Aborts:
    """Counts the aborts that a server reports in its log, to which it writes from its start."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._seen = self._count = 0

    def count(self) -> int:
        """Return how many there were so far."""
        if self._log.stat().st_size < self._seen:
            self._seen = 0  # a script has emptied it
        with self._log.open("rb") as file:
            file.seek(self._seen)
            text = file.read()
        whole = text.rfind(b"\n") + 1
        self._seen += whole
        self._count += len(_ENDED.findall(text[:whole]))
        return self._count
