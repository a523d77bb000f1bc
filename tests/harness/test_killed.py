"""Whatever part of isobench is killed: it is said what died, and nothing of it stays."""

import signal
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import httptools
import pytest

from tests.harness.live import ROOT, Isobench, needs_root, until
from tests.servers.live import where_readable

pytestmark = needs_root

NO_CGROUP = (
    "unshare", "--mount", "sh", "-c",
    'mount -t tmpfs -o ro none /sys/fs/cgroup && exec "$@"', "sh",
)  # fmt: skip
NO_NAMESPACES = (*NO_CGROUP, *where_readable("setpriv", "--bounding-set", "-sys_admin"))


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that tenants can reach, without a mount namespace that would see to it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("prefix", [(), NO_CGROUP, NO_NAMESPACES], ids=["all", "no cgroup", "none"])
@pytest.mark.parametrize("mode", ["ruid2", "cgi"])
def test_serve_leaves_nothing_when_it_is_killed(
    open_directory: Path, mode: str, prefix: Sequence[str]
) -> None:
    isobench = Isobench(open_directory)

    def url() -> str:
        assert process.poll() is None, (open_directory / "err").read_text()
        words = (open_directory / "out").read_text().split()
        return next((word for word in words if word.endswith("/hello.py")), "")

    isobench.prefix = prefix
    packages = Path(httptools.__file__).parents[1]
    isobench.environment = {"PYTHONPATH": f"{ROOT}:{packages}"}
    with isobench.started("serve", mode, "--port", "0", "--tenants", "2") as process:
        request = urllib.request.Request(until(url), headers={"Host": "t0001.localhost"})
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200
        process.send_signal(signal.SIGKILL)
        assert isobench.end_of(process).code == -signal.SIGKILL
    assert isobench.lasting_traces() == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(request)
