"""`isobench`, and `python -m harness`: the command line, from the first moment interruptible.

What the command line loads takes longer than anything else that a short command does. So it is
loaded here, when a signal already ends the program as it does later on: without a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from harness.commands.signals import Interrupted, interruptible


def main() -> int:
    """Run the command line; return the exit code: that of the signal where one interrupted it."""
    # What Python sets is KeyboardInterrupt, and its traceback, up to the interpreter's end.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with interruptible():
            from harness import cli

            return cli.main()
    except Interrupted as interrupted:
        _tell(f"ended by {signal.Signals(interrupted.number).name}")
        return 128 + interrupted.number
    except MemoryError:
        _tell("error: there is not enough memory\nhint: free some, or raise its limit: ulimit -v")
        return 1


def _tell(line: str) -> None:
    """Write a line to standard error, without anything that would have to be loaded for it."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
