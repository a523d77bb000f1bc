"""Which tests may run side by side, where pytest-xdist runs several (`--dist loadgroup`)."""

import pytest

ALONE = ("servers", "harness")
"""Folders whose tests follow one another: those of one share uids, or look for what was left."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        return
    tests = config.rootpath / "tests"
    for item in items:
        path = item.path.relative_to(tests)
        folder = path.parts[0]
        item.add_marker(pytest.mark.xdist_group(folder if folder in ALONE else str(path)))
