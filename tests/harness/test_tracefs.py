"""The kernel's tracing files, mounted nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import tracefs
from harness.tracefs import NoTracing
from tests.harness.live import needs_root

ATTACH = "from harness import tracefs; tracefs.attach()"


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
    ("prefix", "reason"),
    [
        (["unshare", "--pid", "--fork", "--mount-proc"], "pid namespace"),
        (["setpriv", "--reuid", "65534", "--clear-groups"], "cannot be"),
    ],
)
def test_who_may_not_look_is_told_why(prefix: list[str], reason: str) -> None:
    result = subprocess.run(
        [*prefix, sys.executable, "-c", ATTACH],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(tracefs.__file__).parents[1],
    )
    assert "NoTracing" in result.stderr
    assert reason in result.stderr.splitlines()[-1]
