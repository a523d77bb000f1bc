"""Sites for the servers that the tests start."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.live import Sites


@contextmanager
def _reachable_directory() -> Iterator[Path]:
    """Make a directory that every uid can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="isobench-test-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@pytest.fixture(scope="module")
def reachable() -> Iterator[Path]:
    """A directory that every uid can reach."""
    with _reachable_directory() as directory:
        yield directory


@pytest.fixture
def sites() -> Iterator[Sites]:
    """Two tenants' sites for one test."""
    with _reachable_directory() as directory:
        yield Sites(directory)


@pytest.fixture(scope="module")
def shared_sites(reachable: Path) -> Sites:
    """Two tenants' sites for all tests of a module."""
    return Sites(reachable)
