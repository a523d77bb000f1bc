"""Cold starts: where there is a page cache, and what a row says."""

from pathlib import Path

import pytest

from harness.density.cold import COLD, EVICTED, drop_from_page_cache, in_memory_only, row_of

MOUNTS = """\
21 1 0:19 / / rw - ext4 /dev/vda rw
22 21 0:20 / /dev/shm rw,nosuid - tmpfs tmpfs rw
23 22 0:21 / /dev/shm/disk rw shared:1 - ext4 /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "is_in_memory"),
    [
        ("/var/tmp/x", False),
        ("/dev/shm/x", True),
        ("/dev/shm", True),
        ("/dev/shmem", False),
        ("/dev/shm/disk/x", False),
    ],
)
def test_the_file_system_nearest_to_a_path_decides(path: str, is_in_memory: bool) -> None:
    assert in_memory_only(Path(path), MOUNTS) is is_in_memory


def test_a_tenants_files_are_dropped_and_stay_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("hello.py", "data/app.db"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("/etc/passwd")
    drop_from_page_cache(tmp_path)
    assert (tmp_path / "data" / "app.db").read_text() == "data/app.db"


def test_a_row_has_the_distribution_and_the_interval_of_its_median() -> None:
    row = row_of("dso", EVICTED, COLD, [float(n) for n in range(1, 101)], "")
    assert (row.requests, row.p50_ms) == (100, 50.5)
    assert row.p99_ms == pytest.approx(99.01)
    assert row.low_ms is not None
    assert row.high_ms is not None
    assert row.low_ms < 50.5 < row.high_ms


def test_a_row_without_times_says_why() -> None:
    row = row_of("dso", EVICTED, COLD, [], "no disk")
    assert (row.requests, row.p50_ms, row.note) == (0, None, "no disk")
