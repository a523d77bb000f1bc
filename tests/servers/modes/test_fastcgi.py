"""What is special to `fastcgi`: whose workers there are, how many, who gets one, and their ends."""

import fcntl
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.front.starters.front_starter import Gone
from servers.interpreter.embedded import ScriptTimeout
from servers.kernel.syscalls import CAP_KILL, CAP_SETGID, CAP_SETUID, capability_mask
from servers.modes.fastcgi import TenantWorkers
from servers.modes.fastcgi.starter import (
    ANSWER,
    ASK,
    ASKING,
    DISCARDING,
    ENROLLING,
    NUMBER,
    RELEASED,
    WITHDRAWING,
)
from servers.modes.fastcgi.table import NOBODY, Table
from servers.sites import Site
from tests.servers.live import (
    FIRST_UID,
    PATIENCE,
    WWW,
    Server,
    Sites,
    name_of,
    needs_root,
    read_reply,
    request,
    status_of,
    where_readable,
)

OK = "print('Content-Type: text/plain\\n')\n"
A, B, C = "t0001", "t0002", "t0003"
TENANTS = 20


@pytest.fixture(scope="module")
def sites(reachable: Path) -> Sites:
    made = Sites(reachable, count=TENANTS)
    for tenant in made.tenants:
        made.put("pid.py", f"import os\n{OK}print(os.getpid(), end='')", tenant=tenant.name)
    return made


def serving(sites: Sites, *options: str, workers: int = 1, seconds: str = "20") -> Server:
    arguments = [word for option in options for word in ("--option", option)]
    return Server("fastcgi", sites, *arguments, "--script-seconds", seconds, workers=workers)


def processes(server: Server) -> dict[int, int]:
    """Return the processes of tenants that live, and the uid of each."""
    found = {}
    for pid in server.everybody():
        status = status_of(pid)
        if status and status["State"][0] not in "ZX":
            uid = int(status["Uid"].split()[0])
            if uid >= FIRST_UID:
                found[pid] = uid
    return found


def starter_of(server: Server) -> int:
    (pid,) = (pid for pid in server.everybody() if name_of(pid) == "starter")
    return pid


def worker_of(server: Server, tenant: str) -> str:
    """Ask for a script that tells its process id, as its pid namespace has it."""
    reply = server.get("/pid.py", tenant)
    assert reply.status == 200, server.log()
    return reply.text


# Who they are


@needs_root
def test_nobody_has_more_power_than_needed(sites: Sites) -> None:
    with serving(sites, workers=2) as server:
        worker_of(server, A)
        (tenant_worker,) = processes(server)
        starter = starter_of(server)
        needed = capability_mask(CAP_SETUID, CAP_SETGID, CAP_KILL)
        for pid, uid, mask in [
            (starter, 0, needed),
            (tenant_worker, FIRST_UID, 0),
            *((front, WWW.uid, 0) for front in server.workers()),
        ]:
            status = status_of(pid)
            assert status["Uid"].split() == status["Gid"].split() == [str(uid)] * 4
            assert status["Groups"] == ""
            assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == mask
        for pid in (starter, tenant_worker):
            assert int(status_of(pid)["CapBnd"], 16) == needed
            assert status_of(pid)["NoNewPrivs"] == "1"


@needs_root
def test_content_has_no_descriptor_but_its_own_channel(sites: Sites) -> None:
    with serving(sites) as server:
        worker_of(server, B)
        sites.put("asleep.py", "import time; time.sleep(1000)")
        with server.connect() as connection:
            connection.sendall(request("/asleep.py"))
            server.wait_for(lambda: FIRST_UID in processes(server).values())
            (pid,) = (pid for pid, uid in processes(server).items() if uid == FIRST_UID)
            server.wait_for(lambda: name_of(pid) == "tenant worker")
            open_ones = {
                path.name: str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()
            }
            assert sorted(open_ones) == ["0", "1", "2", "3"]
            assert "memfd" not in Path(f"/proc/{pid}/maps").read_text()
            assert open_ones["0"] == open_ones["1"] == "/dev/null"
            assert open_ones["3"].startswith("socket:")


@needs_root
def test_a_program_that_a_script_starts_does_not_get_the_channel(sites: Sites) -> None:
    with serving(sites) as server:
        reply = server.run(f"{OK}import os; os.system('ls /proc/self/fd > data/open')")
        assert reply.status == 200
        assert (sites.root / A / "data" / "open").read_text().split() == ["0", "1", "2", "3"]


@needs_root
def test_root_has_no_worker(sites: Sites) -> None:
    own = sites.root / "owned"
    own.mkdir()
    try:
        (own / "hello.py").write_text(OK)
        with serving(sites) as server:
            assert server.get(tenant="owned").status == 403
            assert server.get(tenant=A).status == 200
    finally:
        (own / "hello.py").unlink()
        own.rmdir()


# Who gets which


@needs_root
def test_a_worker_stays_with_its_tenant(sites: Sites) -> None:
    with serving(sites) as server:
        first = {tenant: worker_of(server, tenant) for tenant in (A, B, C)}
        assert len(set(first.values())) == 3
        assert {tenant: worker_of(server, tenant) for tenant in (C, A, B)} == first
        assert sorted(processes(server).values()) == [FIRST_UID, FIRST_UID + 1, FIRST_UID + 2]


@needs_root
def test_fronts_share_a_tenants_workers(sites: Sites) -> None:
    """Whichever front accepts: a worker given back by one serves the others."""
    with serving(sites, "bound=4", workers=4) as server:
        for _ in range(20):
            for tenant in (A, B):
                worker_of(server, tenant)
        assert max(Counter(processes(server).values()).values()) <= 4


@needs_root
def test_the_least_recently_used_is_evicted(sites: Sites) -> None:
    with serving(sites, "bound=2") as server:
        first = {tenant: worker_of(server, tenant) for tenant in (A, B, A)}
        worker_of(server, C)
        assert worker_of(server, A) == first[A]
        assert worker_of(server, B) != first[B]
        assert len(processes(server)) == 2


@needs_root
@pytest.mark.parametrize("bound", [1, 4])
def test_no_request_is_lost_to_eviction(sites: Sites, bound: int) -> None:
    """Twenty tenants, eight fronts, and far too few places."""
    names = [tenant.name for tenant in sites.tenants] * 20
    with serving(sites, f"bound={bound}", workers=8) as server, ThreadPoolExecutor(12) as threads:
        replies = threads.map(lambda name: server.get(tenant=name), names)
        most = 0
        for name, reply in zip(names, replies, strict=True):
            assert (reply.status, f"tenant={name} " in reply.text) == (200, True), server.log()
            most = max(most, len(processes(server)))
        assert most <= bound


@needs_root
def test_eviction_under_keep_alive_loses_nothing(sites: Sites) -> None:
    def ask_all(server: Server) -> None:
        with server.connect() as connection, connection.makefile("rb") as stream:
            for tenant in sites.tenants * 5:
                connection.sendall(request(tenant=tenant.name, headers=""))
                assert f"tenant={tenant.name} uid={tenant.uid} " in read_reply(stream).text

    with serving(sites, "bound=4", workers=4) as server, ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(ask_all, server) for _ in range(4)]:
            done.result()


TOGETHER = f"""
import os, time
open(f"data/here-{{os.getpid()}}", "w").close()
while len([n for n in os.listdir("data") if n.startswith("here")]) < 3: time.sleep(0.01)
{OK}
"""


@needs_root
def test_one_tenant_can_use_several_workers_at_once(sites: Sites) -> None:
    """Each of three scripts waits for the other two."""
    sites.put("together.py", TOGETHER)
    with serving(sites, workers=3) as server, ThreadPoolExecutor(3) as threads:
        replies = list(threads.map(server.get, ["/together.py"] * 3))
        assert [reply.status for reply in replies] == [200] * 3
        assert Counter(processes(server).values()) == {FIRST_UID: 3}


@needs_root
def test_a_tenants_own_limit(sites: Sites) -> None:
    with serving(sites, "per_tenant=2", workers=6) as server, ThreadPoolExecutor(6) as threads:
        names = [A, A, A, B] * 30
        replies = threads.map(lambda name: server.get("/pid.py", name), names)
        workers: dict[str, set[str]] = {A: set(), B: set()}
        for name, reply in zip(names, replies, strict=True):
            assert reply.status == 200
            workers[name].add(reply.text)
        assert len(workers[A]) <= 2
        assert len(workers[B]) <= 2


@needs_root
def test_a_front_that_waits_for_its_client_keeps_no_worker(sites: Sites) -> None:
    with (
        serving(sites, "bound=1", workers=2) as server,
        server.connect() as idle,
        idle.makefile("rb") as stream,
    ):
        idle.sendall(request(tenant=A, headers=""))
        assert read_reply(stream).status == 200
        begun = time.monotonic()
        assert server.get(tenant=B).status == 200
        assert time.monotonic() - begun < 10  # the client's time, which ends a connection too
        idle.sendall(request(tenant=A))
        assert f"tenant={A} " in read_reply(stream).text


@needs_root
def test_nobody_starves_at_a_bound_of_one(sites: Sites) -> None:
    """One tenant's clients ask without a pause; another's get their turn among them."""
    with serving(sites, "bound=1", workers=4) as server, ThreadPoolExecutor(3) as threads:
        stop = False

        def hammer() -> int:
            answered = 0
            while not stop:
                assert server.get(tenant=A).status == 200
                answered += 1
            return answered

        hammering = [threads.submit(hammer) for _ in range(3)]
        try:
            assert {server.get(tenant=B).status for _ in range(20)} == {200}
        finally:
            stop = True
        assert all(done.result() for done in hammering)


# Sizes


@needs_root
def test_the_largest_body_and_answer(sites: Sites) -> None:
    with serving(sites) as server:
        sites.put(
            "echo.py",
            f"import sys\nbody = sys.stdin.buffer.read()\n{OK}print(len(body), body[-3:])",
        )
        body = bytes(8 * 1024 * 1024 - 3) + b"end"
        reply = server.ask(request("/echo.py", method="POST", body=body))
        assert reply.text == f"{len(body)} b'end'\n"
        reply = server.run(f"{OK}print('x' * (16 * 1024 * 1024 - 100))")
        assert (reply.status, len(reply.body)) == (200, 16 * 1024 * 1024 - 99)


@needs_root
def test_a_slow_client_does_not_hold_a_worker(sites: Sites) -> None:
    with serving(sites, "bound=1", workers=2) as server:
        sites.put("large.py", f"{OK}print('x' * (16 * 1024 * 1024 - 100))")
        with server.connect() as slow, slow.makefile("rb") as stream:
            slow.sendall(request("/large.py"))
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            assert server.get(tenant=B).status == 200
            assert len(stream.read()) > 16 * 1024 * 1024 - 100


# Ends


@needs_root
def test_idle_workers_end(sites: Sites) -> None:
    with serving(sites, "idle=1") as server:
        first = worker_of(server, A), worker_of(server, B)
        assert len(processes(server)) == 2
        server.wait_for(lambda: not processes(server))
        assert worker_of(server, B) not in first
        assert worker_of(server, A) not in first


@needs_root
@pytest.mark.parametrize(
    "end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()", "os.closerange(3, 100)"]
)
def test_a_worker_that_dies_in_a_request_is_replaced(sites: Sites, end: str) -> None:
    with serving(sites, "bound=1") as server:
        before = worker_of(server, A)
        for _ in range(3):
            assert server.run(f"import os; {end}").status == 500
        assert worker_of(server, A) != before
        assert len(processes(server)) == 1


@needs_root
def test_a_worker_that_dies_between_requests_is_replaced(sites: Sites) -> None:
    with serving(sites) as server:
        for _ in range(3):
            worker_of(server, A)
            (pid,) = processes(server)
            os.kill(pid, signal.SIGKILL)
            worker_of(server, A)


@needs_root
def test_a_child_that_keeps_the_channel_does_not_hold_up_the_answer(sites: Sites) -> None:
    with serving(sites) as server:
        begun = time.monotonic()
        reply = server.run("import os, time\nif os.fork() == 0: time.sleep(1000)\nos._exit(0)")
        assert reply.status == 500
        assert time.monotonic() - begun < 10
        server.wait_for(lambda: not processes(server))


@needs_root
def test_what_a_worker_has_started_ends_with_it(sites: Sites) -> None:
    with serving(sites, "bound=1") as server:
        reply = server.run(f"""
            import subprocess as s
            s.Popen(["/bin/sleep", "1000"], stdout=s.DEVNULL)
            {OK}
        """)
        assert reply.status == 200
        assert len(processes(server)) == 2
        assert server.get(tenant=B).status == 200
        server.wait_for(lambda: list(processes(server).values()) == [FIRST_UID + 1])


NEVER = {
    "busy": "while True: pass",
    "asleep": "import time; time.sleep(1000)",
    "half": "import os, time; os.write(3, b'A' + bytes(20)); time.sleep(1000)",
    "ignoring": "import signal, time\nfor n in range(1, 32):\n  if n not in (9, 19):\n"
    "    signal.signal(n, signal.SIG_IGN)\ntime.sleep(1000)",
}


@needs_root
@pytest.mark.parametrize("source", NEVER.values(), ids=NEVER)
def test_a_script_that_never_ends_is_killed(sites: Sites, source: str) -> None:
    with serving(sites, "bound=1", seconds="1") as server:
        sites.put("case.py", source)
        answer = server.exchange(request("/case.py"))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.startswith((b"HTTP/1.1 504", b"HTTP/1.1 500"))
        server.wait_for(lambda: not processes(server))
        assert server.get().status == 200


@needs_root
def test_a_script_that_never_ends_after_its_client_has_gone(sites: Sites) -> None:
    with serving(sites, "bound=1", seconds="1") as server:
        sites.put("asleep.py", "import time; time.sleep(1000)")
        with server.connect() as connection:
            connection.sendall(request("/asleep.py"))
            server.wait_for(lambda: len(processes(server)) == 1)
        assert server.get(tenant=B).status == 200


@needs_root
def test_the_time_limit_holds_for_those_who_wait_for_a_worker(sites: Sites) -> None:
    with (
        serving(sites, "bound=1", workers=3, seconds="1") as server,
        ThreadPoolExecutor(3) as threads,
    ):
        sites.put("asleep.py", "import time; time.sleep(1000)")
        asked = ["/asleep.py"] * 3
        for _ in range(2):
            assert [reply.status for reply in threads.map(server.get, asked)] == [504] * 3
        assert server.get(tenant=B).status == 200


@needs_root
def test_a_front_that_dies_takes_its_worker_with_it(sites: Sites) -> None:
    with serving(sites, "bound=1") as server:
        sites.put("asleep.py", "import time; time.sleep(1000)")
        with server.connect() as connection:
            connection.sendall(request("/asleep.py"))
            server.wait_for(lambda: len(processes(server)) == 1)
            (hung,) = processes(server)
            (front,) = server.workers()
            os.kill(front, signal.SIGKILL)
            server.wait_for(lambda: hung not in processes(server))
        server.wait_for(lambda: server.workers() not in ([], [front]))
        assert server.get().status == 200


@needs_root
def test_without_its_starter_the_server_stops(sites: Sites) -> None:
    server = serving(sites, workers=2)
    server.exit_status = 2
    with server:
        worker_of(server, A)
        os.kill(starter_of(server), signal.SIGKILL)
        assert server.process.wait(PATIENCE) == 2
        assert "the starter of tenants' workers has ended" in server.log()


@needs_root
def test_nothing_outlives_a_killed_master_even_without_namespaces(sites: Sites) -> None:
    no_namespaces = where_readable("setpriv", "--bounding-set", "-sys_admin")
    server = Server("fastcgi", sites, workers=2, prefix=no_namespaces)
    server.exit_status = -signal.SIGKILL
    with server:
        assert not server.contained
        assert {server.get(tenant=tenant).status for tenant in (A, B, C)} == {200}
        server.process.kill()


@needs_root
def test_a_worker_that_says_too_much_is_not_believed_again(sites: Sites) -> None:
    """A second answer, ready before the next request, would be taken for the answer to that."""
    with serving(sites) as server:
        before = worker_of(server, A)
        forged = "import os\nfrom servers.interpreter.child import message\n"
        reply = server.run(f"{forged}os.write(3, message(b'A', b'Content-Type: a/b\\n\\n') * 2)")
        assert reply.status == 500
        assert worker_of(server, A) != before
        assert "sent a malformed answer" in server.log()


# A front alone, against a starter that the test plays


class Played:
    """A front's workers, and the starter's end of the line."""

    def __init__(self) -> None:
        self.ours, self.line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.settimeout(PATIENCE)
        self.table = Table(slots=4)
        self.number = self.table.enroll() + 1
        self.workers = TenantWorkers(self.ours, self.table, output_limit=1000)
        assert self.heard() == NUMBER.pack(ENROLLING, self.number)

    def heard(self) -> bytes:
        return self.line.recv(512)

    def hears_nothing(self) -> bool:
        self.line.setblocking(False)
        try:
            self.line.recv(512)
        except BlockingIOError:
            self.line.settimeout(PATIENCE)
            return True
        return False

    def grant(self, number: int, slot: int = 0, serial: int = 7) -> socket.socket:
        """Grant a worker that the test plays as well; return its end of the channel."""
        front, worker = socket.socketpair()
        with front:
            self.table.serials[slot] = serial
            self.table.give(slot, self.number)
            answer = ANSWER.pack(number, slot, serial, 0)
            socket.send_fds(self.line, [answer], [front.fileno()])
        return worker

    def close(self) -> None:
        for slot in tuple(self.workers._in_slot):
            self.workers._forget(slot)


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    with made.ours, made.line:
        yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("t0001", tmp_path)


def asked(site: Site, number: int) -> bytes:
    return ASK.pack(ASKING, number, site.owner.uid) + b"t0001"


def run(played: Played, site: Site) -> bytes:
    try:
        return played.workers.run(site, {b"A": b"b"}, b"")
    finally:
        played.workers.finish()


ANSWERED = b"A" + (2).to_bytes(8, "little") + bytes(8) + b"hi"


def test_a_worker_once_granted_is_claimed_without_a_word(played: Played, site: Site) -> None:
    with played.grant(1) as worker:
        for _ in range(3):
            worker.sendall(ANSWERED)
            assert run(played, site) == b"hi"
            assert played.table.owners[0] == NOBODY
        assert played.heard() == asked(site, 1)
        assert played.hears_nothing()


@pytest.mark.parametrize("change", ["owners", "wanted", "serials"])
def test_a_worker_that_is_not_ours_to_claim_is_asked_for(
    played: Played, site: Site, change: str
) -> None:
    """Another has it, others wait for it, or another worker is in its slot."""
    with played.grant(1) as worker:
        worker.sendall(ANSWERED)
        run(played, site)
    assert played.heard() == asked(site, 1)
    getattr(played.table, change)[0] = 99
    with played.grant(2, slot=1, serial=8) as other:
        other.sendall(ANSWERED)
        assert run(played, site) == b"hi"
    assert played.heard() == asked(site, 2)


def test_a_worker_that_is_wanted_is_released_before_the_response(
    played: Played, site: Site
) -> None:
    with played.grant(1) as worker:
        played.table.wanted[0] = 1
        worker.sendall(ANSWERED)
        assert played.workers.run(site, {b"A": b"b"}, b"") == b"hi"
        assert [played.heard(), played.heard()] == [asked(site, 1), RELEASED]
        assert played.table.owners[0] == NOBODY
        played.workers.finish()


def test_a_worker_that_has_become_wanted_as_it_was_released_is_reported(
    played: Played, site: Site
) -> None:
    with played.grant(1) as worker:
        worker.sendall(ANSWERED)
        played.workers.run(site, {b"A": b"b"}, b"")
        played.table.wanted[0] = 1
        played.workers.finish()
        assert [played.heard(), played.heard()] == [asked(site, 1), RELEASED]


def test_a_late_grant_is_not_taken_for_another(played: Played, site: Site) -> None:
    """The time was up while the front waited; what it asked for then comes after all."""
    with pytest.raises(ScriptTimeout), time_up():
        run(played, site)
    assert [played.heard(), played.heard()] == [asked(site, 1), WITHDRAWING]
    with played.grant(1) as late, played.grant(2, slot=1, serial=8) as worker:
        worker.sendall(ANSWERED)
        assert run(played, site) == b"hi"
        assert late.recv(1) == b""


def test_time_that_is_up_amid_a_claim_leaves_no_lock(played: Played, site: Site) -> None:
    with played.grant(1) as worker:
        worker.sendall(ANSWERED)
        run(played, site)
        other = os.fork()
        if other == 0:
            played.table.lock()
            time.sleep(1000)
        try:
            wait_until_locked(played.table)
            with pytest.raises(ScriptTimeout), time_up():
                run(played, site)
        finally:
            os.kill(other, signal.SIGKILL)  # the kernel releases its lock
            os.waitpid(other, 0)
        worker.sendall(ANSWERED)
        assert run(played, site) == b"hi"


def wait_until_locked(table: Table) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            fcntl.lockf(table._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except BlockingIOError:
            return
        table.unlock()
        time.sleep(0.01)


@contextmanager
def time_up() -> Iterator[None]:
    """Have the master say that the time is up, in the place of whatever waits."""

    def raise_it(*_: object) -> None:
        raise ScriptTimeout

    before = signal.signal(signal.SIGALRM, raise_it)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_worker_that_hangs_is_discarded(played: Played, site: Site) -> None:
    with played.grant(1) as worker:
        worker.sendall(ANSWERED + b"?")
        with pytest.raises(Exception, match="malformed answer"):
            run(played, site)
        assert [played.heard(), played.heard()] == [asked(site, 1), NUMBER.pack(DISCARDING, 0)]
        assert played.table.owners[0] == played.number  # until the starter has seen to it


def test_channels_of_workers_that_are_no_more_are_closed(played: Played, site: Site) -> None:
    """As soon as another worker in the same slot is granted, so that there is a bound on them."""
    for number in range(1, 4):
        with played.grant(number, serial=number) as worker:
            worker.sendall(ANSWERED)
            assert run(played, site) == b"hi"
            played.table.serials[0] = 0
    assert len(played.workers._in_slot) == 1


@pytest.mark.parametrize("error", [1, 11])
def test_a_refusal_is_an_error_of_the_system(played: Played, site: Site, error: int) -> None:
    played.line.send(ANSWER.pack(1, 0, 0, error))
    with pytest.raises(OSError, match=re.escape(os.strerror(error))):
        run(played, site)


def test_without_a_starter_nothing_is_served(played: Played, site: Site) -> None:
    played.line.close()
    with pytest.raises(Gone):
        run(played, site)
