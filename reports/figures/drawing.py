"""matplotlib as what draws our files, whatever its user has set for himself.

A notebook's shell names its own backend in the environment, and a user's matplotlibrc may ask for
LaTeX, other fonts or other sizes. The figures are the same files for everybody.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SETTINGS = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}


@contextmanager
def own_settings() -> Iterator[None]:
    """Have matplotlib's own defaults inside, and what was set before afterwards.

    Without a home directory to write to, as in many containers, it makes a temporary one, and
    nobody need hear of that.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with _own_environment():
        import matplotlib as mpl
    with mpl.rc_context():
        mpl.rcdefaults()
        yield


@contextmanager
def _own_environment() -> Iterator[None]:
    """Keep from matplotlib what it looks for when it is first imported (matplotlib_fname).

    Also where we are: a file matplotlibrc there would come before the one that is named.
    """
    before = {name: os.environ.get(name) for name in _SETTINGS}
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.environ.update(_SETTINGS)
        os.chdir("/")
        yield
    finally:
        os.fchdir(here)
        os.close(here)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
