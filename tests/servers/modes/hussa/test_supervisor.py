"""What a supervisor grants, and that it is as good as its filter says."""

import errno
import os
import time
from pathlib import Path

import pytest

from servers.kernel import seccomp
from servers.kernel.seccomp import ALLOW, NOTIFY, Rule
from servers.modes.hussa import supervisor
from servers.modes.hussa.supervisor import SignedCall, Supervisor
from tests.servers.forked import in_child
from tests.servers.live import needs_root

WORKER, SECRET, ROOT, TENANT = 77, (11, 22), 0, 46001
SETRESUID, SETRESGID, CAPSET = (
    seccomp.number_of(name) for name in ("setresuid", "setresgid", "capset")
)


@pytest.mark.parametrize(
    ("thread", "call", "registers", "granted"),
    [
        (WORKER, SETRESUID, (TENANT, TENANT, TENANT, 0, *SECRET), True),
        (WORKER, SETRESGID, (TENANT, TENANT, TENANT, 99, *SECRET), True),
        (WORKER, CAPSET, (0x7FFF0000, 0x7FFF0040, 0, 0, *SECRET), True),
        (WORKER, CAPSET, (0x7FFF0000, 0x7FFF0040, 0, 0, 0, 0), False),
        (WORKER, SETRESUID, (TENANT, TENANT, TENANT, 0, 11, 23), False),
        (WORKER, SETRESUID, (TENANT, TENANT, TENANT, 0, 22, 11), False),
        (WORKER + 1, SETRESUID, (TENANT, TENANT, TENANT, 0, *SECRET), False),
        (WORKER, SETRESUID, (ROOT, ROOT, ROOT, 0, *SECRET), False),
        (WORKER, SETRESGID, (ROOT, ROOT, ROOT, 0, *SECRET), False),
        (WORKER, SETRESUID, (1 << 32, 1 << 32, 1 << 32, 0, *SECRET), False),
        (WORKER, SETRESUID, (TENANT, TENANT, TENANT + 1, 0, *SECRET), False),
        (WORKER, SETRESUID, (2**64 - 1, TENANT, 2**64 - 1, 0, *SECRET), False),
    ],
)
def test_what_is_granted(thread: int, call: int, registers: tuple[int, ...], granted: bool) -> None:
    assert Supervisor(-1, WORKER, SECRET).grants(thread, call, registers) is granted


def test_secrets_differ() -> None:
    assert len({supervisor.new_secret() for _ in range(100)}) == 100


def refused(call: SignedCall, *arguments: int) -> int:
    try:
        call(*arguments)
    except OSError as error:
        return error.errno or 0
    return 0


@needs_root
def test_signed_calls_pass_and_others_do_not() -> None:
    program = seccomp.compile_filter(ALLOW, [Rule("setresuid", NOTIFY)])

    def under_supervision() -> tuple[list[int], tuple[int, ...]]:
        secret = supervisor.new_secret()
        supervisor.supervise(program, secret)
        signed = SignedCall("setresuid", secret)
        forged = SignedCall("setresuid", (secret[0], secret[1] ^ 1))
        outcomes = [
            refused(forged, TENANT, TENANT, TENANT),
            refused(signed, ROOT, ROOT, ROOT),
            in_child(lambda: refused(signed, TENANT, TENANT, TENANT)),
            refused(signed, TENANT, TENANT, TENANT),
        ]
        return outcomes, os.getresuid()

    outcomes, uids = in_child(under_supervision)
    assert outcomes == [errno.EPERM, errno.EPERM, errno.EPERM, 0]
    assert uids == (TENANT, TENANT, TENANT)


@needs_root
def test_supervisor_ends_with_its_worker_and_leaves_orphans_refused(tmp_path: Path) -> None:
    """Also while a child of the worker lives on, which keeps the filter in use."""
    program = seccomp.compile_filter(ALLOW, [Rule("setresuid", NOTIFY)])
    result = tmp_path / "result"

    def leave_a_child() -> None:
        secret = supervisor.new_secret()
        supervisor.supervise(program, secret)
        worker = os.getpid()
        if os.fork() == 0:
            signed = SignedCall("setresuid", secret)
            while os.getppid() == worker or refused(signed, *[TENANT] * 3) == errno.EPERM:
                time.sleep(0.01)
            result.write_text(errno.errorcode.get(refused(signed, *[TENANT] * 3), "granted"))
            os._exit(0)

    in_child(leave_a_child)
    # which has returned when the orphan, too, has closed the pipe that it inherited
    assert result.read_text() == "ENOSYS"
