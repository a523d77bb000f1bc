"""Packages that one command alone needs, and that `pip install .` therefore leaves out."""

from __future__ import annotations

import importlib
from typing import Any

from harness.errors import IsobenchError


def load(module: str, extra: str, package: str) -> Any:
    """Return a module of a package that an extra of isobench brings.

    Raises IsobenchError, with the command that installs it, where it is missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise  # something that the package itself needs
        raise IsobenchError(
            f"{package} is not installed",
            hint=f"pip install {package}, or in a checkout of isobench: pip install '.[{extra}]'",
        ) from error
