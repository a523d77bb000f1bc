"""The C programs, compiled once for all tests of this folder."""

import pytest

from harness.costs import build
from harness.costs.build import Programs


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The programs that measure."""
    return build.build(tmp_path_factory.mktemp("programs"))
