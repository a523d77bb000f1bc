"""The sweeper removes what it was told of, as soon as nobody holds its stream."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import cgroup, sweeper, tracefs
from harness.tracefs import NoTracing
from tests.harness.live import PATIENCE


def sweep(*paths: Path, files: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-IS", sweeper.__file__],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
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
    done = sweep(tmp_path / "gone", tmp_path / "never there")
    assert list(tmp_path.iterdir()) == [kept]
    assert list(kept.iterdir()) == [kept / "file"]
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_a_terminal_sends_does_not_end_it(tmp_path: Path, number: signal.Signals) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    # Sent while it still starts, before it ignores anything: so from inside, once it does.
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1]); import sweeper\n"
        "ignore = signal.signal\n"
        "def then_send(number, action):\n"
        "    ignore(number, action)\n"
        "    if number == int(sys.argv[2]): os.kill(os.getpid(), number)\n"
        "signal.signal = then_send\n"
        "sweeper.main()\n"
    )
    folder = str(Path(sweeper.__file__).parent)
    command = [sys.executable, "-c", code, folder, str(int(number))]
    subprocess.run(command, input=f"{gone}\n", text=True, check=True, timeout=PATIENCE)
    assert not gone.exists()


def test_an_instance_of_tracing_goes() -> None:
    try:
        mount = tracefs.attach()
    except NoTracing as error:
        pytest.skip(str(error))
    instance = tracefs.path_of(mount) / "instances" / f"isobench-sweeper-test-{os.getpid()}"
    instance.mkdir()
    sweep(instance, files=[mount])
    assert not instance.exists()
    os.close(mount)


def test_a_cgroup_goes_with_all_that_is_in_it() -> None:
    group = cgroup.create("sweeper-test")
    if group.path is None:
        pytest.skip("this host lets us make no cgroup")
    with subprocess.Popen(["sleep", "1000"]) as process:
        (group.path / "cgroup.procs").write_text(str(process.pid))
        sweep(group.path)
    assert process.returncode == -signal.SIGKILL
    assert not group.path.exists()


def test_where_the_kernel_cannot_kill_a_cgroup_it_is_done_one_by_one(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        (tmp_path / "cgroup.procs").write_text(f"{process.pid}\n{2**22 + 1}\n")
        (tmp_path / "cgroup.kill").mkdir()
        sweeper.kill_all(str(tmp_path))
    assert process.returncode == -signal.SIGKILL
