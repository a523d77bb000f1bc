"""The lean process itself: what it obeys, what it takes for an attack, and what it tells."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from servers.interpreter.child import LENGTH, REFUSED, Job, write
from servers.interpreter.context import Stage
from servers.interpreter.forked import Answer, read_answer
from servers.modes.zygote import program, zygote_process
from tests.servers.live import FIRST_UID, PATIENCE, PYTHON, ROOT, Sites, needs_root

LIMIT = 100_000
# As `python -I -S -c PROGRAM LIMIT`, with descriptor 3 for the front's messages.
PROGRAM = program()
HEADER = "print('Content-Type: text/plain\\n')\n"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Front:
    """What a front has of its zygote, and can do to it, however ill it means."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(PATIENCE)
        with theirs, log.open("wb") as errors:
            place = f'exec 3<&{theirs.fileno()}; exec {PYTHON} -I -S -B -c "$0" {LIMIT}'
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", place, PROGRAM],
                pass_fds=(theirs.fileno(),),
                stderr=errors,
                env={},
            )
        assert self.control.recv(10) == zygote_process.READY

    def send(self, message: bytes, *descriptors: int) -> None:
        socket.send_fds(self.control, [message], descriptors)

    def run(self, site: Path, uid: int = FIRST_UID) -> Answer:
        """Ask for the site's a.py, and take the answer."""
        mine, theirs = socket.socketpair()
        mine.settimeout(PATIENCE)
        with mine:
            with theirs:
                self.send(zygote_process.run_message(uid, uid), theirs.fileno())
            mine.sendall(
                zygote_process.pack(Job(os.fsencode(site / "a.py"), os.fsencode(site), {}))
            )
            mine.setblocking(True)
            return read_answer(mine.fileno(), LIMIT)

    def children(self) -> list[str]:
        pid = self.process.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    def last_words(self) -> str:
        """Wait for the zygote's end, and return what it wrote to its log."""
        self.process.wait(PATIENCE)
        return self._log.read_text()

    def close(self) -> None:
        self.control.close()
        self.process.wait(PATIENCE)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with closing(Front(tmp_path / "log")) as made:
        yield made


@needs_root
def test_a_child_is_the_tenant_and_ends_at_the_next_message(front: Front, sites: Sites) -> None:
    sites.put("a.py", f"{HEADER}import os; print(os.getresuid(), os.getresgid(), os.getgroups())")
    for _ in range(2):
        answer = front.run(sites.root / "t0001")
        ids = (FIRST_UID,) * 3
        assert answer.output == f"Content-Type: text/plain\n\n{ids} {ids} []\n".encode()
    front.send(zygote_process.END)
    wait_for(lambda: front.children() == [])


@needs_root
@pytest.mark.parametrize(
    "message",
    [
        pytest.param(zygote_process.run_message(0, FIRST_UID), id="root"),
        pytest.param(zygote_process.run_message(FIRST_UID, 0), id="root's group"),
        pytest.param(zygote_process.run_message(2**32 - 1, FIRST_UID), id="-1"),
        pytest.param(zygote_process.run_message(FIRST_UID, FIRST_UID)[:-1], id="too short"),
        pytest.param(zygote_process.run_message(FIRST_UID, FIRST_UID) + b"\0", id="too long"),
        pytest.param(zygote_process.END * 2, id="two ends"),
        pytest.param(b"X", id="unknown"),
        pytest.param(os.urandom(4096), id="random"),
    ],
)
def test_an_unexpected_message_ends_the_zygote(front: Front, message: bytes) -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        front.send(message, theirs.fileno())
        assert "BadMessage" in front.last_words()
        assert front.process.returncode == 1


@needs_root
@pytest.mark.parametrize(
    ("message", "count"),
    [
        pytest.param(zygote_process.run_message(FIRST_UID, FIRST_UID), 0, id="none"),
        pytest.param(zygote_process.run_message(FIRST_UID, FIRST_UID), 2, id="two"),
        pytest.param(zygote_process.END, 1, id="one too many"),
    ],
)
def test_an_unexpected_number_of_descriptors_ends_it(
    front: Front, message: bytes, count: int
) -> None:
    with open(os.devnull) as nothing:
        front.send(message, *[nothing.fileno()] * count)
        assert "BadMessage" in front.last_words()


@needs_root
def test_the_end_of_the_front_is_the_end_of_all(front: Front, sites: Sites) -> None:
    path = sites.put("a.py", "import time; open('data/begun', 'w'); time.sleep(1000)")
    mine, theirs = socket.socketpair()
    with mine, theirs:
        front.send(zygote_process.run_message(FIRST_UID, FIRST_UID), theirs.fileno())
        theirs.close()
        mine.sendall(zygote_process.pack(Job(os.fsencode(path), os.fsencode(path.parent), {})))
        wait_for((path.parent / "data" / "begun").exists)
        front.control.close()
        assert front.last_words() == ""
        mine.settimeout(PATIENCE)
        assert mine.recv(1) == b""  # nobody holds the other end any more
    assert front.process.returncode == 0


@needs_root
def test_a_job_that_never_comes_is_a_child_that_ends(front: Front) -> None:
    mine, theirs = socket.socketpair()
    with mine:
        with theirs:
            front.send(zygote_process.run_message(FIRST_UID, FIRST_UID), theirs.fileno())
        mine.shutdown(socket.SHUT_WR)
        assert read_answer(mine.fileno(), LIMIT).output == b"its process ended before it answered"


def test_no_process_to_spare_is_told_in_the_childs_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "no process to spare")

    monkeypatch.setattr(os, "fork", refused)
    control, front = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine, theirs = socket.socketpair()
    with control, front, mine:
        with theirs:
            socket.send_fds(
                front, [zygote_process.run_message(FIRST_UID, FIRST_UID)], [theirs.fileno()]
            )
        front.close()
        before = len(list(Path("/proc/self/fd").iterdir()))
        zygote_process.Zygote(control, Stage(LIMIT)).serve()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        answer = read_answer(mine.fileno(), LIMIT)
    assert (answer.verdict, int.from_bytes(answer.output[:LENGTH], "little")) == (REFUSED, 11)


def test_a_long_answer_is_written_in_pieces() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        theirs.setblocking(True)
        if os.fork() == 0:
            write(theirs.fileno(), b"x" * 3_000_000)
            os._exit(0)
        theirs.close()
        received = 0
        while chunk := mine.recv(65536):
            received += len(chunk)
        os.wait()
    assert received == 3_000_000


def test_it_is_lean() -> None:
    """Nothing of the server is loaded but what a child needs; that is what a fork copies."""
    code = (
        "import sys; before = {*sys.modules}\n"
        "for name in ('servers', 'servers.modes', 'servers.modes.zygote'):\n"
        "    package = sys.modules[name] = type(sys)(name)\n"
        f"    package.__path__ = [{str(ROOT)!r} + '/' + name.replace('.', '/')]\n"
        "import servers.modes.zygote.zygote_process\n"
        "print(*sorted({*sys.modules} - before))"
    )
    loaded = subprocess.run(
        [PYTHON, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("servers")}
    assert ours == {"servers"} | {
        f"servers.{name}"
        for name in (
            "interpreter",
            "interpreter.frozen_heap",
            "interpreter.child",
            "interpreter.context",
            "interpreter.pinned_pages",
            "interpreter.site_imports",
            "kernel",
            "kernel.all_ids",
            "kernel.keyring",
            "kernel.reaping",
            "modes",
            "modes.zygote",
            "modes.zygote.zygote_process",
            "remembered",
        )
    }
    assert not {"typing", "re", "enum", "socket", "signal", "httptools"} & {*loaded}
