"""System calls that Python does not wrap, seen to work."""

import errno
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from servers.kernel import syscalls
from servers.kernel.syscalls import Capabilities, capability_mask
from tests.servers.forked import in_child
from tests.servers.live import needs_root

pytestmark = needs_root


def status(field: str) -> str:
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))


def test_blocked_signals_are_read_as_a_file() -> None:
    def read_two() -> list[int]:
        chosen = (signal.SIGTERM, signal.SIGCHLD)
        signal.pthread_sigmask(signal.SIG_BLOCK, chosen)
        descriptor = syscalls.signalfd(chosen)
        for number in (*chosen, signal.SIGWINCH):  # the last one is not asked for
            os.kill(os.getpid(), number)
        return syscalls.read_signals(descriptor)

    assert sorted(in_child(read_two)) == [signal.SIGTERM, signal.SIGCHLD]


def test_capability_sets_are_what_the_kernel_says() -> None:
    sets = syscalls.capget()
    assert [sets.effective, sets.permitted, sets.inheritable] == [
        int(status(field), 16) for field in ("CapEff", "CapPrm", "CapInh")
    ]


def test_capset_and_capget_agree() -> None:
    # CAP_CHECKPOINT_RESTORE, 40, is in the second word.
    high = [n for n in (40, 39, 38) if syscalls.capget().permitted >> n & 1][:1]
    target = Capabilities(
        capability_mask(syscalls.CAP_SETUID),
        capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID, *high),
        capability_mask(syscalls.CAP_SETGID, *high),
    )

    def change() -> tuple[Capabilities, int]:
        syscalls.capset(target)
        return syscalls.capget(), int(status("CapPrm"), 16)

    assert in_child(change) == (target, target.permitted)


def test_capability_that_is_not_permitted_cannot_be_raised() -> None:
    def change() -> int:
        syscalls.capset(Capabilities())
        try:
            syscalls.capset(Capabilities(1, 1))
        except OSError as error:
            return error.errno or 0
        return 0

    assert in_child(change) == errno.EPERM


def test_bounding_set_is_reduced_to_what_is_kept() -> None:
    keep = capability_mask(syscalls.CAP_SETUID, syscalls.CAP_KILL)

    def drop() -> int:
        syscalls.drop_bounding_set(keep)
        return int(status("CapBnd"), 16)

    assert in_child(drop) == keep


def test_prctl_reports_errors() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        syscalls.prctl(syscalls.PR_CAPBSET_READ, 1000)
    assert syscalls.prctl(syscalls.PR_CAPBSET_READ, syscalls.CAP_SETUID) in (0, 1)


def test_name_is_what_ps_shows() -> None:
    def rename() -> str:
        syscalls.set_name("a name of 21 letters!")
        return Path("/proc/self/comm").read_text()

    assert in_child(rename) == "a name of 21 le\n"


def test_new_namespace_hides_its_mounts(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()

    def mount() -> list[str]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("isobench", str(tmp_path), "tmpfs", 0, "size=64k")
        return [path.name for path in tmp_path.iterdir()]

    assert in_child(mount) == []
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_mount_reports_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        syscalls.mount("none", str(tmp_path / "missing"), "tmpfs", 0)


@pytest.mark.skipif(syscalls.landlock_abi() == 0, reason="this kernel has no Landlock")
def test_landlock_allows_only_what_the_rules_say(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "single").write_text("single")
    read = syscalls.LANDLOCK_ACCESS_FS_READ_FILE | syscalls.LANDLOCK_ACCESS_FS_READ_DIR
    rules = [
        (str(tmp_path / "open"), read),
        (str(tmp_path / "single"), read),
        (str(tmp_path / "missing"), read),
    ]

    def confined() -> dict[str, bool]:
        syscalls.landlock_restrict(syscalls.LANDLOCK_ACCESS_FS_ABI_1, rules)
        attempts = {
            "read in open": lambda: (tmp_path / "open" / "file").read_text(),
            "read single": lambda: (tmp_path / "single").read_text(),
            "read in closed": lambda: (tmp_path / "closed" / "file").read_text(),
            "write in open": lambda: (tmp_path / "open" / "file").write_text("x"),
            "list closed": lambda: os.listdir(tmp_path / "closed"),  # noqa: PTH208
            "make in open": lambda: (tmp_path / "open" / "new").mkdir(),
        }
        return {name: succeeds(attempt) for name, attempt in attempts.items()}

    assert [name for name, done in in_child(confined).items() if done] == [
        "read in open",
        "read single",
    ]


def succeeds(attempt: "object") -> bool:
    assert callable(attempt)
    try:
        attempt()
    except PermissionError:
        return False
    return True


def test_fork_into_a_pid_namespace() -> None:
    """The child is its first process, which the C library knows, and can do what others can."""
    fork = syscalls.ForkInto(syscalls.CLONE_NEWPID)

    def numbers() -> tuple[int, int, int, int]:
        threads: list[int] = []
        thread = threading.Thread(target=lambda: threads.append(threading.get_native_id()))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            os._exit(os.getppid())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return os.getpid(), threads[0], child, status

    def both() -> list[tuple[int, int, int, int]]:
        return [in_child(numbers, fork) for _ in range(2)]

    assert in_child(both) == [(1, 2, 3, 1)] * 2


def test_fork_into_a_namespace_that_is_refused() -> None:
    def refused() -> int:
        syscalls.capset(Capabilities())
        try:
            syscalls.ForkInto(syscalls.CLONE_NEWPID)()
        except OSError as error:
            return error.errno or 0
        return 0

    assert in_child(refused) == errno.EPERM


def test_tree_of_mounts_is_copied_restricted_and_attached(tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "file").write_text("seen")

    def attach() -> tuple[str, str, list[str]]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        tree = syscalls.clone_tree(str(tmp_path / "source"))
        syscalls.restrict_tree(tree, syscalls.MOUNT_ATTR_RDONLY)
        syscalls.attach_tree(tree, str(tmp_path / "target"))
        try:
            (tmp_path / "target" / "file").write_text("changed")
        except OSError as error:
            reason = errno.errorcode[error.errno or 0]
        text = (tmp_path / "target" / "file").read_text()
        syscalls.unmount(str(tmp_path / "target"))
        return reason, text, [path.name for path in (tmp_path / "target").iterdir()]

    assert in_child(attach) == ("EROFS", "seen", [])


def test_pivot_root_leaves_nothing_of_the_old_root(tmp_path: Path) -> None:
    def pivot() -> list[str]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("isobench", str(tmp_path), "tmpfs", 0, "size=64k")
        (tmp_path / "new").mkdir()
        syscalls.pivot_root(str(tmp_path))
        return os.listdir("/")  # noqa: PTH208

    assert in_child(pivot) == ["new"]


def test_landlock_accesses_grow_with_the_version() -> None:
    bits = [
        (each.files.bit_count(), each.ports.bit_count(), each.scoped.bit_count())
        for each in map(syscalls.landlock_accesses, range(1, 8))
    ]
    assert bits == [
        *((13, 0, 0), (14, 0, 0), (15, 0, 0), (15, 2, 0), (16, 2, 0), (16, 2, 2), (16, 2, 2))
    ]


@pytest.mark.skipif(syscalls.landlock_abi() < 4, reason="this kernel's Landlock knows no ports")
def test_landlock_without_ports_refuses_tcp() -> None:
    def connect() -> int:
        accesses = syscalls.landlock_accesses(syscalls.landlock_abi())
        syscalls.landlock_restrict(accesses.files, [], accesses.ports, accesses.scoped)
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", 9))

    assert in_child(connect) == errno.EACCES


def test_errno_of_a_quick_call_is_raised() -> None:
    assert syscalls.quick_library["close"](-1) == -1
    with pytest.raises(OSError, match="Bad file descriptor") as raised:
        syscalls.raise_errno()
    assert raised.value.errno == errno.EBADF


def test_a_child_is_seen_and_left_to_be_reaped() -> None:
    def looks() -> tuple[bool, bool, bool]:
        before = syscalls.has_children()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        during = syscalls.has_children()
        os.waitpid(child, 0)
        return before, during, syscalls.has_children()

    assert in_child(looks) == (False, True, False)
