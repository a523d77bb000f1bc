"""Who is who among a server's processes."""

import ctypes
import os
import signal
import subprocess
import time

import pytest

from harness.host import proc
from harness.host.proc import Cast

PR_SET_NAME = 15  # linux/prctl.h


def test_a_process_tells_of_itself() -> None:
    me = proc.look(os.getpid())
    assert me is not None
    assert (me.pid, me.parent, me.uid) == (os.getpid(), os.getppid(), os.geteuid())
    assert proc.state_of(os.getpid()) in "RS"


def test_what_has_ended_tells_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert proc.look(process.pid) is None
    assert proc.state_of(process.pid) == ""
    assert proc.open_files(process.pid) == set()


def test_open_files_are_known_by_their_inodes(tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "file"), "w") as file:  # noqa: PTH118
        status = os.fstat(file.fileno())
        assert (status.st_dev, status.st_ino) in proc.open_files(os.getpid())


def test_a_starter_without_a_child_has_no_cast() -> None:
    assert Cast.of(os.getpid(), [os.getppid()]) is None


@pytest.mark.parametrize(
    "name", [b"\rUid:\t0\t0", b"x\nPPid:\t0", b") R 1 1 (", b"\xff\x85\x0c", b""]
)
def test_a_name_is_taken_for_nothing_else(name: bytes) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        text = ctypes.create_string_buffer(name)
        ctypes.CDLL(None).prctl(PR_SET_NAME, text, 0, 0, 0)
        os.write(tell, b".")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(told, 1)
        found = proc.look(child)
        assert found is not None
        assert (found.parent, found.uid) == (os.getpid(), os.geteuid())
        assert proc.state_of(child) in "RS"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)
