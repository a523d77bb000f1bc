"""What is special to `ruid2_drop`: the two capabilities of `ruid2`, gone before content runs."""

import json
from collections.abc import Iterator

import pytest

from servers.modes.ruid2_drop import Mode
from tests.servers.live import FIRST_UID, WWW, Server, Sites, needs_root, status_of

pytestmark = needs_root

SWITCHING = f"{1 << 6 | 1 << 7:016x}"
NOTHING = "0" * 16


@pytest.fixture(scope="module", params=Mode.options["worker_start"])
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker at a time, of either start."""
    option = ("--option", f"worker_start={request.param}")
    with Server("ruid2_drop", shared_sites, *option) as running:
        yield running


def test_worker_at_rest_is_www_and_may_become_another(server: Server) -> None:
    server.wait_for(lambda: status_of_worker(server, "CapPrm") == SWITCHING)
    assert status_of_worker(server, "CapEff") == status_of_worker(server, "CapInh") == NOTHING
    assert status_of_worker(server, "Uid") == str(WWW.uid)


def status_of_worker(server: Server, name: str) -> str:
    (worker,) = server.workers()
    return status_of(worker)[name].split()[0]


ATTEMPTS = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)
BOTH = 1 << 6 | 1 << 7

def raised(effective, permitted):
    words = (ctypes.c_uint32 * 6)(effective, permitted, 0, 0, 0, 0)
    return libc.capset(HEADER, words) == 0 or errno.errorcode[ctypes.get_errno()]

def done(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return True

status = dict(line.rstrip("\\n").split(":\\t") for line in open("/proc/self/status"))
print("Content-Type: application/json\\n")
print(json.dumps({
    "sets": [status["Cap" + name] for name in ("Inh", "Prm", "Eff", "Amb")],
    "raised": [raised(BOTH, BOTH), raised(BOTH, 0), raised(0, BOTH)],
    "changed": [
        done(os.setuid, 0),
        done(os.setuid, os.getuid() - 1),
        done(os.setresuid, -1, os.getuid() + 1, -1),
        done(os.setgid, os.getgid() - 1),
        done(os.setgroups, [os.getgid() - 1]),
    ],
    "ids": [*os.getresuid(), *os.getresgid()],
}))
"""


def test_content_cannot_raise_what_ruid2_leaves_it(server: Server) -> None:
    assert json.loads(server.run(ATTEMPTS).text) == {
        "sets": [NOTHING] * 4,
        "raised": ["EPERM"] * 3,
        "changed": ["EPERM"] * 5,
        "ids": [FIRST_UID] * 6,
    }


def test_the_same_attempts_succeed_in_ruid2(sites: Sites) -> None:
    """Or the test above would show nothing."""
    with Server("ruid2", sites) as server:
        assert json.loads(server.run(ATTEMPTS).text)["raised"][0] is True


def test_each_request_has_a_worker_of_its_own(server: Server) -> None:
    source = "import os; print(f'Content-Type: text/plain\\n\\n{os.getpid()}')"
    assert len({server.run(source).text for _ in range(4)}) == 4
