"""Which tests may run side by side, where pytest-xdist runs several at a time (`pytest -n 2`)."""

from typing import Any

import pytest

ALONE = ("servers", "harness")
"""Folders whose tests follow one another: they share uids and cores, or look for what was left."""


def group_of(test: str) -> str:
    """Return the name of those that a test must not run beside; `test` is its node id."""
    file, _, _ = test.partition("::")
    folder = file.split("/")[1]
    return folder if folder in ALONE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each group to one process, the largest first."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)
