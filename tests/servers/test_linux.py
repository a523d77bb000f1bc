"""System calls that Python does not wrap, seen to work."""

import errno
import os
from pathlib import Path

import pytest

from servers import linux
from servers.linux import Capabilities, capability_mask
from tests.servers.forked import in_child
from tests.servers.live import needs_root

pytestmark = needs_root


def status(field: str) -> str:
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:"))


def test_capability_sets_are_what_the_kernel_says() -> None:
    sets = linux.capget()
    assert [sets.effective, sets.permitted, sets.inheritable] == [
        int(status(field), 16) for field in ("CapEff", "CapPrm", "CapInh")
    ]


def test_capset_and_capget_agree() -> None:
    # CAP_CHECKPOINT_RESTORE, 40, is in the second word.
    high = [n for n in (40, 39, 38) if linux.capget().permitted >> n & 1][:1]
    target = Capabilities(
        capability_mask(linux.CAP_SETUID),
        capability_mask(linux.CAP_SETUID, linux.CAP_SETGID, *high),
        capability_mask(linux.CAP_SETGID, *high),
    )

    def change() -> tuple[Capabilities, int]:
        linux.capset(target)
        return linux.capget(), int(status("CapPrm"), 16)

    assert in_child(change) == (target, target.permitted)


def test_capability_that_is_not_permitted_cannot_be_raised() -> None:
    def change() -> int:
        linux.capset(Capabilities())
        try:
            linux.capset(Capabilities(1, 1))
        except OSError as error:
            return error.errno or 0
        return 0

    assert in_child(change) == errno.EPERM


def test_bounding_set_is_reduced_to_what_is_kept() -> None:
    keep = capability_mask(linux.CAP_SETUID, linux.CAP_KILL)

    def drop() -> int:
        linux.drop_bounding_set(keep)
        return int(status("CapBnd"), 16)

    assert in_child(drop) == keep


def test_prctl_reports_errors() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        linux.prctl(linux.PR_CAPBSET_READ, 1000)
    assert linux.prctl(linux.PR_CAPBSET_READ, linux.CAP_SETUID) in (0, 1)


def test_new_namespace_hides_its_mounts(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()

    def mount() -> list[str]:
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("isobench", str(tmp_path), "tmpfs", 0, "size=64k")
        return [path.name for path in tmp_path.iterdir()]

    assert in_child(mount) == []
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_mount_reports_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        linux.mount("none", str(tmp_path / "missing"), "tmpfs", 0)


@pytest.mark.skipif(linux.landlock_abi() == 0, reason="this kernel has no Landlock")
def test_landlock_allows_only_what_the_rules_say(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "single").write_text("single")
    read = linux.LANDLOCK_ACCESS_FS_READ_FILE | linux.LANDLOCK_ACCESS_FS_READ_DIR
    rules = [
        (str(tmp_path / "open"), read),
        (str(tmp_path / "single"), read),
        (str(tmp_path / "missing"), read),
    ]

    def confined() -> dict[str, bool]:
        linux.landlock_restrict(linux.LANDLOCK_ACCESS_FS_ABI_1, rules)
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
