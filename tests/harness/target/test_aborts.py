"""A real product's processes that a signal has ended, as its log tells of them."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from harness.target.aborts import Aborts
from harness.target.run_resources import RunResources
from harness.target.server import Server
from harness.target.sites import settle
from harness.target.targets import choose
from servers import peers
from servers.errors import Unavailable
from tests.harness.live import needs_root, until

TOLD = {
    "Apache": "[core:notice] [pid 2:tid 2] AH00052: child pid 6 exit signal Abort (6)",
    "Apache with a core file": "AH00051: child pid 6 exit signal Abort (6), possible coredump in /",
    "nginx": "2026/11/28 09:02:19 [alert] 3#3: worker process 4 exited on signal 6",
    "php-fpm": "WARNING: [pool t0001] child 17 exited on signal 6 (SIGABRT) after 2 seconds",
    "uWSGI": "DAMN ! worker 1 (pid: 9) died, killed by signal 6 :( trying respawn ...",
}


@pytest.mark.parametrize("line", TOLD.values(), ids=TOLD.keys())
def test_each_product_reports_it_in_its_own_words(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"AH00094: Command line: '/usr/sbin/apache2'\n{line}\n")
    assert Aborts(log).count() == 1


def test_each_line_counts_once_and_when_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    line = TOLD["Apache"]
    log.write_text(f"{line}\n{line}")
    aborts = Aborts(log)
    assert [aborts.count(), aborts.count()] == [1, 1]
    log.write_text(f"{line}\n{line}\n{line}\n")
    assert aborts.count() == 3


def test_an_emptied_log_is_read_from_its_new_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"{TOLD['Apache']}\n{TOLD['Apache']}\n")
    aborts = Aborts(log)
    assert aborts.count() == 2
    log.write_text(f"{TOLD['Apache']}\n")
    assert aborts.count() == 3


@needs_root
def test_a_product_whose_child_aborts_says_so_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    try:
        peers.load("apache-php").check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")
    (target,) = choose(["apache-php"], peers=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("base")))
        with (
            RunResources() as resources,
            Server(
                target, settle(resources, 1, None), resources.processes, ["--port", "0"]
            ) as server,
        ):
            assert server.aborted() == 0
            watcher = psutil.Process(server.pid).children()[0]
            child = watcher.children()[0].children()[0]
            os.kill(child.pid, signal.SIGABRT)
            until(lambda: server.aborted() == 1)
            assert not server.has_ended()
