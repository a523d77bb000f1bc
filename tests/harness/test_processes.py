"""Who is who among a server's processes."""

import os
import subprocess

from harness import processes
from harness.processes import Cast


def test_a_process_tells_of_itself() -> None:
    me = processes.look(os.getpid())
    assert me is not None
    assert (me.pid, me.parent, me.uid) == (os.getpid(), os.getppid(), os.geteuid())
    assert processes.state_of(os.getpid()) in "RS"


def test_what_has_ended_tells_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert processes.look(process.pid) is None
    assert processes.state_of(process.pid) == ""
    assert processes.open_files(process.pid) == set()


def test_open_files_are_known_by_their_inodes(tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "file"), "w") as file:  # noqa: PTH118
        status = os.fstat(file.fileno())
        assert (status.st_dev, status.st_ino) in processes.open_files(os.getpid())


def test_a_server_without_a_namespace_has_no_cast() -> None:
    assert Cast.of(os.getppid(), [os.getpid()]) is None
