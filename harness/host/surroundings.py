"""What isobench takes from its caller's environment, and what it ignores.

A shell, a notebook, a service manager and a tenant of a continuous-integration host each leave
something else in a program's environment. None of it may decide what is measured, or whether what
was measured is shown; and none of it is handed on to the processes that measure.
"""

from __future__ import annotations

import locale
import os
import re
import sys
import warnings
from collections.abc import Mapping
from typing import Final

from harness.terminal import write_whatever_the_encoding

_LEAST: Final = {"COLUMNS": 20, "LINES": 2, "TERMINAL_WIDTH": 20}
"""Variables that say how large a terminal is, and what is too small to say anything on."""


def settle() -> None:
    """Make this process independent of its surroundings. May start the program anew."""
    _open_standard_streams()
    _read_and_write_utf_8()
    write_whatever_the_encoding()
    for name, least in _LEAST.items():
        if not is_size(os.environ.get(name, ""), least):
            os.environ.pop(name, None)
    if sys.warnoptions:  # they may make errors of what a library says while it is imported
        warnings.simplefilter("default")


def is_size(text: str, least: int) -> bool:
    """Return whether a terminal may have so many columns or lines, and not less than `least`."""
    return bool(re.fullmatch(r"[0-9]{1,4}", text, re.ASCII)) and int(text) >= least


def _open_standard_streams() -> None:
    """Fill the places of closed standard streams, which other files would take otherwise."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number (open(2))
            os.set_inheritable(number, True)


def _read_and_write_utf_8() -> None:
    """Start the program anew, in UTF-8 mode, where the locale has files in another encoding.

    What is written to the terminal stays as the locale has it.
    """
    if locale.getencoding().lower().replace("-", "") == "utf8" or sys.flags.utf8_mode:
        return
    terminal = getattr(sys.stdout, "encoding", None) or "ascii"
    os.environ.setdefault("PYTHONIOENCODING", terminal)
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def clean_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process that measures: nothing of the caller's but PATH."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **additions}
