"""`isobench`, and `python -m harness`: the command line, from the first moment interruptible.

What the command line loads takes longer than anything else that a short command does. So it is
loaded here, when a signal already ends the program as it does later on: without a traceback.
"""

from __future__ import annotations

import signal
import sys

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
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main())
