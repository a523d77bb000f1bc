"""The kernel's tracing files, mounted nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.profile import tracefs
from harness.profile.tracefs import NoTracing
from tests.harness.live import needs_root

# The modules first: an interpreter below a closed home is out of reach for whoever is not root.
ATTACH = "import os; from harness.profile import tracefs; {first}; tracefs.attach()"


def test_nobody_else_sees_the_mount() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    try:
        mount = tracefs.attach()
    except NoTracing as error:
        pytest.skip(str(error))
    assert tracefs.path_of(mount).joinpath("trace_clock").exists()
    assert Path("/proc/self/mountinfo").read_text() == before
    os.close(mount)


@needs_root
@pytest.mark.parametrize(
    ("prefix", "first", "reason"),
    [
        (["unshare", "--pid", "--fork", "--mount-proc"], "pass", "pid namespace"),
        ([], "os.setgroups([]); os.setresuid(65534, 65534, 65534)", "cannot be"),
    ],
)
def test_who_may_not_look_is_told_why(prefix: list[str], first: str, reason: str) -> None:
    result = subprocess.run(
        [*prefix, sys.executable, "-c", ATTACH.format(first=first)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(tracefs.__file__).parents[1],
    )
    assert "NoTracing" in result.stderr
    assert reason in result.stderr.splitlines()[-1]
