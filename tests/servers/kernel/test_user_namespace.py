"""A user namespace of chosen ids: what a process can become in there, and what not."""

import errno
import os
from pathlib import Path

import pytest

from servers.kernel import syscalls
from servers.kernel.credentials import Identity, become, drop_for_good
from servers.kernel.user_namespace import enter, fits, ranges
from tests.servers.forked import in_child
from tests.servers.live import needs_root

IDS = (46000, 46001, 46003)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((), []),
        ((5,), [(5, 1)]),
        ((7, 5, 6, 6), [(5, 3)]),
        ((1, 3, 4, 9), [(1, 1), (3, 2), (9, 1)]),
        (range(46000, 47000), [(46000, 1000)]),
    ],
)
def test_consecutive_ids_are_one_range(ids: tuple[int, ...], expected: list[object]) -> None:
    assert ranges(ids) == expected


def refusal(number: int) -> int | None:
    """Return the errno with which the kernel refuses uid `number`, None if it does not."""
    try:
        os.setresuid(number, number, number)
    except OSError as error:
        return error.errno
    return None


@needs_root
def test_only_the_chosen_ids_exist() -> None:
    def inside() -> tuple[str, int, list[int | None]]:
        enter(IDS, IDS)
        map_text = " ".join(Path("/proc/self/uid_map").read_text().split())
        root = Path("/").stat().st_uid
        return map_text, root, [refusal(number) for number in (0, 1, 46002, 46004, 46003)]

    mapped, root, refusals = in_child(inside)
    assert mapped == "46000 46000 2 46003 46003 1"
    assert root == 65534  # "nobody": there is no root (user_namespaces(7))
    assert refusals == [errno.EINVAL] * 4 + [None]


@needs_root
def test_who_has_all_capabilities_in_there_has_none_outside() -> None:
    def inside() -> int:
        enter(IDS, IDS)
        become(Identity(46000, 46000))
        effective = syscalls.capget().effective
        with pytest.raises(PermissionError):
            os.kill(os.getppid(), 0)  # the test's own process, which is root's
        os.chroot("/")  # its own affair
        return effective

    assert in_child(inside) >> syscalls.CAP_SETUID & 1


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@needs_root
def test_a_refusal_comes_back_and_leaves_nothing() -> None:
    def without_privilege() -> tuple[int | None, set[str]]:
        drop_for_good(Identity(46000, 46000))
        before = descriptors()
        with pytest.raises(OSError) as refusal:  # noqa: PT011 - the errno is looked at
            enter(IDS, IDS)
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, 0)
        return refusal.value.errno, descriptors() ^ before

    number, difference = in_child(without_privilege)
    assert number in (errno.EPERM, errno.EACCES)
    assert difference == set()


@needs_root
@pytest.mark.parametrize("first", [10, 46000])
def test_what_fits_is_what_the_kernel_takes(first: int) -> None:
    """Low numbers run into the limit of lines, high ones into that of bytes."""

    def scattered(number: int) -> range:
        return range(first, first + 2 * number, 2)

    most = max(number for number in range(400) if fits(scattered(number)))

    def refusal_of(number: int) -> int | None:
        try:
            enter(scattered(number), scattered(number))
        except OSError as error:
            return error.errno
        return None

    assert in_child(lambda: refusal_of(most)) is None
    assert in_child(lambda: refusal_of(most + 1)) == errno.EINVAL
