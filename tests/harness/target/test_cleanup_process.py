"""The cleanup process removes what it was told of, as soon as nobody holds its stream."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.host import cgroup
from harness.profile import tracefs
from harness.profile.tracefs import NoTracing
from harness.target import cleanup_process
from harness.target.cleanup_process import (
    CGROUP,
    DIRECTORY,
    INSTANCE,
    Record,
    read_records,
    record_of,
)
from tests.harness.live import PATIENCE, needs_root


def sweep(*records: Record, files: Sequence[int] = ()) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-IS", cleanup_process.__file__],
        input=b"".join(record.written() for record in records),
        capture_output=True,
        check=True,
        timeout=PATIENCE,
        pass_fds=files,
    )


def test_directories_go_and_what_they_point_to_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "gone" / "deep").mkdir(parents=True)
    (tmp_path / "gone" / "link").symlink_to(kept)
    never_there = Record(DIRECTORY, 1, 2, os.fsencode(tmp_path / "never there"))
    done = sweep(record_of(DIRECTORY, tmp_path / "gone"), never_there)
    assert list(tmp_path.iterdir()) == [kept]
    assert list(kept.iterdir()) == [kept / "file"]
    assert done.stdout == done.stderr == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_a_terminal_sends_does_not_end_it(tmp_path: Path, number: signal.Signals) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    # Sent while it still starts, before it ignores anything: so from inside, once it does.
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "import cleanup_process as cleanup\n"
        "ignore = signal.signal\n"
        "def then_send(number, action):\n"
        "    ignore(number, action)\n"
        "    if number == int(sys.argv[2]): os.kill(os.getpid(), number)\n"
        "signal.signal = then_send\n"
        "cleanup.main()\n"
    )
    folder = str(Path(cleanup_process.__file__).parent)
    command = [sys.executable, "-c", code, folder, str(int(number))]
    record = record_of(DIRECTORY, gone).written()
    subprocess.run(command, input=record, check=True, timeout=PATIENCE)
    assert not gone.exists()


def test_an_instance_of_tracing_goes() -> None:
    try:
        mount = tracefs.attach()
    except NoTracing as error:
        pytest.skip(str(error))
    instance = tracefs.path_of(mount) / "instances" / f"isobench-cleanup-test-{os.getpid()}"
    instance.mkdir()
    sweep(Record(INSTANCE, 0, 0, os.fsencode(instance)), files=[mount])
    assert not instance.exists()
    os.close(mount)


def test_a_cgroup_goes_with_all_that_is_in_it() -> None:
    group = cgroup.create("cleanup-test")
    if group.path is None:
        pytest.skip("this host lets us make no cgroup")
    with subprocess.Popen(["sleep", "1000"]) as process:
        (group.path / "cgroup.procs").write_text(str(process.pid))
        sweep(record_of(CGROUP, group.path))
    assert process.returncode == -signal.SIGKILL
    assert not group.path.exists()


def test_where_the_kernel_cannot_kill_a_cgroup_it_is_done_one_by_one(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        (tmp_path / "cgroup.procs").write_text(f"{process.pid}\n{2**22 + 1}\n")
        (tmp_path / "cgroup.kill").mkdir()
        cleanup_process.kill_all(str(tmp_path))
    assert process.returncode == -signal.SIGKILL


def test_a_line_break_in_a_path_does_not_name_another_directory(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    gone = tmp_path / f"gone\n{precious}"
    gone.mkdir(parents=True)
    sweep(record_of(DIRECTORY, gone))
    assert precious.exists()
    assert not gone.exists()


def test_what_has_taken_the_name_of_a_directory_stays(tmp_path: Path) -> None:
    made, kept = tmp_path / "made", tmp_path / "kept"
    made.mkdir()
    record = record_of(DIRECTORY, made)
    made.rename(kept)
    made.mkdir()
    (made / "file").touch()
    sweep(record)
    assert (made / "file").exists()
    (made / "file").unlink()
    made.rmdir()
    made.symlink_to(kept)
    sweep(record)
    assert kept.exists()


def test_a_directory_is_no_cgroup_for_having_its_files(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    with subprocess.Popen(["sleep", "1000"]) as process:
        (made / "cgroup.procs").write_text(f"{process.pid}\n")
        sweep(record_of(DIRECTORY, made))
        assert process.poll() is None
        process.kill()
    assert not made.exists()


def test_records_are_read_as_they_were_written_and_a_broken_one_is_left_out() -> None:
    records = [Record(DIRECTORY, 1, 2, b"/a b\n\xff'"), Record(CGROUP, 3, 4, b"/c")]
    text = b"".join(record.written() for record in records)
    assert list(read_records(text)) == records
    assert list(read_records(text[:-1])) == records[:1]
    assert list(read_records(b"")) == []


def test_directories_go_however_deep_they_are() -> None:
    """Scripts may make them so deep that no path reaches their end, and no recursion either."""
    made = Path(tempfile.mkdtemp(dir="/dev/shm"))
    here = os.open(made, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 20, dir_fd=here)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        deeper = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    sweep(record_of(DIRECTORY, made))
    assert not made.exists()


@needs_root
def test_what_is_mounted_in_a_directory_stays(tmp_path: Path) -> None:
    precious, made = tmp_path / "precious", tmp_path / "made"
    precious.mkdir()
    (precious / "file").touch()
    (made / "a" / "b").mkdir(parents=True)
    (made / "c").mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import cleanup_process as cleanup\n"
        "cleanup.sweep([cleanup.record_of(cleanup.DIRECTORY, sys.argv[2])])\n"
    )
    binds = 'mount --bind "$1" "$2/a/b" && mount --bind "$1" "$2/c" && shift 2 && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", binds, "sh", str(precious), str(made)]
    command += [sys.executable, "-c", code, str(Path(cleanup_process.__file__).parent), str(made)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    assert (precious / "file").exists()
