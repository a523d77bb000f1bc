"""isobench as a command, for tests of what a user meets."""

from pathlib import Path

import pytest

from tests.harness.live import Isobench


@pytest.fixture
def isobench(tmp_path: Path) -> Isobench:
    """The command, with a directory of its own for this test."""
    return Isobench(tmp_path)
