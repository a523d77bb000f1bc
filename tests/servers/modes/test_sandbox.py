"""What each layer stops. Each test has its control: without the layer the same script succeeds."""

import errno
import os
import resource
import signal
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, c_int, c_size_t
from pathlib import Path
from typing import NamedTuple

import pytest

from servers import host_checks
from servers.errors import Unavailable
from servers.front.startup.containment import make_visible
from servers.kernel import confinement, seccomp, syscalls
from servers.kernel.credentials import Identity
from servers.mode import Limits, Setting
from servers.modes import sandbox
from servers.modes.sandbox import walls
from tests.servers.forked import in_child
from tests.servers.live import WWW, Server, Sites, children, command_line, needs_root, status_of

pytestmark = needs_root

HEADER = "print('Content-Type: text/plain\\n')\n"


def without(sites: Sites, *layers: str) -> Server:
    """Return a sandbox server that leaves out these layers."""
    options = [word for layer in layers for word in ("--option", f"{layer}=off")]
    return Server("sandbox", sites, *options)


@pytest.fixture(scope="module")
def server(shared_sites: Sites) -> Iterator[Server]:
    with Server("sandbox", shared_sites, "--script-seconds", "2") as running:
        yield running


def outcome(server: Server, source: str) -> str:
    """Return what a script prints, or the name of the exception that it ends with."""
    lines = textwrap.indent(textwrap.dedent(source), "    ")
    guarded = f"{HEADER}try:\n{lines}\nexcept BaseException as e:\n    print(type(e).__name__)\n"
    reply = server.run(guarded)
    assert reply.status == 200, server.log()
    return reply.text.strip()


# Layers


class Attempt(NamedTuple):
    """A script that prints "done" where nothing stops it."""

    source: str
    needs_off: tuple[str, ...]  # the layers that stop it, of which one alone is enough
    layer: str  # the one that the test is about
    stopped: str  # what it prints then


IN_C = "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n"
ATTEMPTS = {
    "sees the neighbour's site": Attempt(
        "import os; print('done' if os.path.lexists('{neighbour}') else 'absent')",
        ("mount",), "mount", "absent",
    ),
    "reads the host's passwd": Attempt(
        "open('/etc/passwd'); print('done')",
        ("mount", "landlock"), "mount", "FileNotFoundError",
    ),
    "reads it past the mounts": Attempt(
        "open('/etc/passwd'); print('done')",
        ("mount", "landlock"), "landlock", "PermissionError",
    ),
    "sees another process": Attempt(
        "import os; print('done' if os.path.exists('/proc/{master}/stat') or "
        "sum(map(str.isdigit, os.listdir('/proc'))) > 1 else 'alone')",
        ("pid",), "pid", "alone",
    ),
    "reaches the server's port": Attempt(
        "import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('done')",
        ("net", "landlock"), "net", "OSError",
    ),
    "reaches it past the network": Attempt(
        "import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('done')",
        ("net", "landlock"), "landlock", "PermissionError",
    ),
    "learns the host's name": Attempt(
        "import os; print('done' if os.uname().nodename == '{host}' else os.uname().nodename)",
        ("uts",), "uts", "sandbox",
    ),
    "attaches to shared memory": Attempt(
        IN_C + "c.shmat.restype = ctypes.c_void_p\n"
        "print('done' if c.shmat({memory}, None, 0o10000) != 2**64 - 1 else ctypes.get_errno())",
        ("ipc", "seccomp"), "ipc", str(errno.EINVAL),
    ),
    "attaches to it past the namespace": Attempt(
        IN_C + "c.shmat.restype = ctypes.c_void_p\n"
        "print('done' if c.shmat({memory}, None, 0o10000) != 2**64 - 1 else ctypes.get_errno())",
        ("ipc", "seccomp"), "seccomp", str(errno.EPERM),
    ),
    "makes a user namespace": Attempt(
        IN_C + f"print('done' if c.unshare({syscalls.CLONE_NEWUSER}) == 0 else ctypes.get_errno())",
        ("seccomp",), "seccomp", str(errno.EPERM),
    ),
    "clones into a namespace": Attempt(
        IN_C + "child = c.syscall(ctypes.c_long({clone}), "
        f"{syscalls.CLONE_NEWUSER | signal.SIGCHLD}, 0, 0, 0, 0)\n"
        "if child == 0: os._exit(0)\n"
        "print('done' if child > 0 else ctypes.get_errno())",
        ("seccomp",), "seccomp", str(errno.EPERM),
    ),
    "lets itself be traced": Attempt(
        IN_C + "print('done' if c.ptrace(0, 0, None, None) == 0 else ctypes.get_errno())",
        ("seccomp",), "seccomp", str(errno.EPERM),
    ),
    "opens a netlink socket": Attempt(
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); print('done')",
        ("seccomp",), "seccomp", "PermissionError",
    ),
    "takes a gigabyte": Attempt(
        "bytearray(2**30); print('done')",
        ("rlimits",), "rlimits", "MemoryError",
    ),
    "makes a large file": Attempt(
        "import os; f = open('data/large', 'w'); os.unlink('data/large'); f.truncate(2**27); "
        "print('done')",
        ("rlimits",), "rlimits", "OSError",
    ),
    "opens a thousand files": Attempt(
        "import os\nfor _ in range(1000): os.open('/dev/null', 0)\nprint('done')",
        ("rlimits",), "rlimits", "OSError",
    ),
    "starts a hundred processes": Attempt(
        """
        import os, time
        for _ in range(100):
            if os.fork() == 0:
                time.sleep(1000)
        print("done")
        """,
        ("rlimits",), "rlimits", "BlockingIOError",
    ),
}  # fmt: skip


def shared_memory_of(server: Server) -> int:
    """Make a System V shared memory segment that everybody may read, where the server has its own.

    It ends with the server.
    """

    def make() -> int:
        library = CDLL(None, use_errno=True)
        ipc_private = 0
        with open(f"/proc/{server.master}/ns/ipc") as namespace:
            assert library.setns(namespace.fileno(), syscalls.CLONE_NEWIPC) == 0
        return int(library.shmget(ipc_private, c_size_t(4096), c_int(0o1666)))

    number = in_child(make)
    assert number >= 0
    return number


def tried(attempt: Attempt, server: Server) -> str:
    source = attempt.source.format(
        neighbour=server.sites.root / "t0002",
        master=server.master,
        port=server.port,
        host=os.uname().nodename,
        memory=shared_memory_of(server) if "{memory}" in attempt.source else 0,
        clone=seccomp.number_of("clone"),
    )
    return outcome(server, source)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_layer_stops_an_attempt_and_no_other_does(name: str, shared_sites: Sites) -> None:
    attempt = ATTEMPTS[name]
    others = [layer for layer in attempt.needs_off if layer != attempt.layer]
    with without(shared_sites, *others) as confined:
        assert tried(attempt, confined) == attempt.stopped
    with without(shared_sites, *attempt.needs_off) as open_:
        assert tried(attempt, open_) == "done"


@pytest.mark.parametrize("name", ATTEMPTS)
def test_all_layers_together_stop_every_attempt(name: str, server: Server) -> None:
    assert tried(ATTEMPTS[name], server) != "done"


# What there is to see, and what stays


def test_root_holds_the_system_the_interpreter_and_one_site(server: Server) -> None:
    neighbours, devices, found = (
        outcome(server, f"import os; print(*sorted(os.listdir({path})))").split()
        for path in ("'..'", "'/dev'", "'/'")
    )
    assert neighbours == ["t0001"]
    assert set(devices) - {"fd", "stdin", "stdout", "stderr", "shm"} == set(confinement.DEVICES)
    assert set(found) <= {
        *("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr"),
        server.sites.root.parts[1],
        Path(sys.base_prefix).parts[1],
    }


def test_private_directory_and_other_mounts_are_gone(server: Server) -> None:
    mounts = outcome(server, "print(open('/proc/self/mountinfo').read())")
    assert f"{server.sites.root}/t0001 " in mounts
    assert "t0002" not in mounts
    assert str(server.private) not in mounts


def test_nothing_but_the_site_and_tmp_can_be_written(server: Server) -> None:
    source = """
        import os
        for path in ("/", "/usr", "/etc", "/dev", "/proc", "..", ".", "/tmp", "/dev/shm"):
            try:
                open(f"{path}/new", "w").close()
                os.unlink(f"{path}/new")
                print(path)
            except OSError:
                pass
    """
    shm = [] if str(server.sites.root).startswith("/dev/shm") else ["/dev/shm"]
    assert outcome(server, source).split() == [".", "/tmp", *shm]


@pytest.mark.parametrize("layers", [(), ("mount",)])
def test_tmp_is_each_requests_own(sites: Sites, layers: tuple[str, ...]) -> None:
    trace = f"/tmp/isobench-trace-{os.getpid()}"
    try:
        with without(sites, *layers) as server:
            assert outcome(server, f"open('{trace}', 'x').close()") == ""
            again = outcome(server, f"open('{trace}', 'x').close()")
        assert again == ("FileExistsError" if layers else "")
        assert Path(trace).exists() is bool(layers)
    finally:
        Path(trace).unlink(missing_ok=True)


def test_script_is_the_first_process_and_can_fork(server: Server) -> None:
    source = """
        import os, threading
        thread = threading.Thread(target=lambda: print(os.getpid()))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            os._exit(os.getppid())
        print(child > 1, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert outcome(server, source).split() == ["1", "True", "1"]


def test_programs_and_the_standard_library_work(server: Server) -> None:
    source = """
        import asyncio, shutil, socket, subprocess, tempfile
        from concurrent.futures import ThreadPoolExecutor
        print(subprocess.run(["/bin/echo", "program"], capture_output=True, text=True).stdout)
        print(*ThreadPoolExecutor().map(abs, [-1, -2]))
        asyncio.run(asyncio.sleep(0))
        left, right = socket.socketpair()
        left.send(b"pair")
        print(right.recv(9).decode())
        with tempfile.TemporaryDirectory() as name:
            shutil.copy("hello.py", name)
    """
    assert outcome(server, source).split() == ["program", "1", "2", "pair"]


def test_clone3_is_refused_so_that_libraries_fall_back(server: Server) -> None:
    number = seccomp.number_of("clone3")
    source = f"{IN_C}c.syscall(ctypes.c_long({number}), None, 0)\nprint(ctypes.get_errno())"
    assert int(outcome(server, source)) == errno.ENOSYS


def test_hostile_signals_stay_inside(server: Server) -> None:
    """With all processes of one's uid, of a session or of a number; the worker is none of them."""
    source = "import os\nfor pid in (-1, 0, 2, 3, 4): \n  try: os.kill(pid, 9)\n  except OSError: 0"
    before = server.workers()
    outcome(server, source)
    assert server.workers() == before


# The worker


def test_worker_is_www_and_has_power_over_its_own_namespace_only(server: Server) -> None:
    (worker,) = server.workers()
    fields = status_of(worker)
    assert fields["Uid"].split() == [str(WWW.uid)] * 4
    assert fields["Gid"].split() == [str(WWW.gid)] * 4
    assert (
        int(fields["CapEff"], 16)
        == int(fields["CapBnd"], 16)
        == syscalls.capability_mask(
            syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL, syscalls.CAP_SYS_ADMIN
        )
    )
    ours = Path("/proc/self/ns/user").stat().st_ino
    assert Path(f"/proc/{worker}/ns/user").stat().st_ino != ours
    uid_map = Path(f"/proc/{worker}/uid_map").read_text()
    mapped = [int(line.split()[0]) for line in uid_map.splitlines()]
    assert 0 not in mapped
    root = os.listdir(f"/proc/{worker}/root")  # noqa: PTH208
    assert not {"var", "run", "sys", "home"} & set(root)


def test_processes_are_counted_through_the_nested_namespaces(server: Server) -> None:
    before = server.usage()["processes_made"]
    for _ in range(5):
        assert server.get().status == 200
    assert server.usage()["processes_made"] == before + 5


# Ends


@pytest.mark.parametrize("layers", [(), ("pid",)])
def test_daemon_ends_with_its_request(sites: Sites, layers: tuple[str, ...]) -> None:
    with without(sites, *layers) as server:
        outcome(server, "import subprocess as s; s.Popen(['sleep', '99'], start_new_session=True)")
        server.wait_for(  # which may end after the answer
            lambda: any("sleep\0" in command_line(p) for p in server.everybody()) is bool(layers)
        )


def test_time_limit_ends_all_of_the_namespace(server: Server) -> None:
    reply = server.run("import os\nfor _ in range(3): os.fork()\nwhile True: pass")
    assert reply.status == 504
    server.wait_for(lambda: not any(children(pid) for pid in server.workers()))
    assert set(server.everybody()) == {server.master, *server.workers()}
    assert server.get().status == 200


def test_tenants_do_not_use_up_each_others_processes(sites: Sites) -> None:
    """Nor does a tenant whose requests run at once: a worker's namespace has its own count."""
    bomb = "import os, time\nfor _ in range(40):\n  if os.fork() == 0: time.sleep(60)\n"
    sites.put("bomb.py", f"{bomb}time.sleep(0.5)\n{HEADER}")
    with Server("sandbox", sites, workers=2) as server, ThreadPoolExecutor() as pool:
        replies = list(pool.map(server.get, ["/bomb.py"] * 2))
        assert [reply.status for reply in replies] == [200, 200], server.log()


def test_script_does_not_run_with_a_layer_missing(sites: Sites) -> None:
    """The site that is to be mounted is not there; another layer has the same way out."""
    site = sites.root / "t0001"
    with Server("sandbox", sites) as server:
        assert server.get().status == 200
        moved = site.rename(sites.root / "elsewhere")
        reply = server.get()
        moved.rename(site)
        assert (reply.status, "layer mount" in reply.text) == (500, True)
        assert "its sandbox cannot have the layer mount: No such file" in server.log()
        assert server.get().status == 200


@pytest.mark.parametrize(
    ("number", "failure"), [(errno.ENOSPC, walls.LayerFailed), (errno.EAGAIN, BlockingIOError)]
)
def test_namespaces_that_cannot_be_had_are_no_fault_of_the_script(
    number: int, failure: type[Exception], sites: Sites, reachable: Path
) -> None:
    def fork() -> int:
        raise OSError(number, os.strerror(number))

    refused = walls.Walls(mode(sites, reachable).setting, frozenset(), {})
    refused.fork = fork
    with pytest.raises(failure):
        refused.make_child()


def test_site_of_root_is_nobodys_to_run(sites: Sites) -> None:
    for path in (sites.root / "t0001", sites.root / "t0001" / "hello.py"):
        os.chown(path, 0, -1)
    with Server("sandbox", sites) as server:
        assert server.get().status == 403
        assert server.get(tenant="t0002").status == 200


# The check of the host


def mode(sites: Sites, private: Path, **options: str) -> sandbox.Mode:
    www = Identity(WWW.uid, WWW.gid)
    return sandbox.Mode(Setting(str(sites.root), www, str(private), options=options))


def test_check_passes_here_and_changes_nothing(sites: Sites, reachable: Path) -> None:
    def check() -> tuple[str, str]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        make_visible([Path(sys.base_prefix)])
        before = Path("/proc/self/mountinfo").read_text()
        mode(sites, reachable).check_host()
        mode(sites, reachable, mount="off", pid="off").check_host()
        return before, Path("/proc/self/mountinfo").read_text()

    before, after = in_child(check)
    assert before == after


@pytest.mark.parametrize("layer", ["mount", "pid", "ipc", "uts", "net"])
def test_check_names_the_namespace_that_is_refused(
    layer: str, sites: Sites, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unshare = syscalls.unshare

    def refuse(flags: int) -> None:
        if flags == walls.NAMESPACES[layer]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        unshare(flags)

    monkeypatch.setattr(syscalls, "unshare", refuse)
    with pytest.raises(Unavailable, match=f"layer {layer} .* No space left") as raised:
        mode(sites, reachable).check_host()
    assert f"sandbox:{layer}=off" in raised.value.hint


@pytest.mark.parametrize(("layer", "stub"), [("landlock", "landlock_abi")])
def test_check_names_what_the_kernel_lacks(
    layer: str, stub: str, sites: Sites, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, stub, lambda: 0)
    with pytest.raises(Unavailable, match=layer):
        mode(sites, reachable).check_host()
    mode(sites, reachable, landlock="off").check_host()


def test_check_tells_which_layer_fails_in_the_end(
    sites: Sites, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise PermissionError(errno.EPERM, "not in this container")

    monkeypatch.setattr(syscalls, "pivot_root", refuse)
    with pytest.raises(Unavailable, match="layer mount: not in this container"):
        mode(sites, reachable).check_host()


def test_check_asks_for_identities(
    sites: Sites, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Setting) -> None:
        raise Unavailable("no", "none")

    monkeypatch.setattr(host_checks, "other_identities", refuse)
    with pytest.raises(Unavailable, match="no"):
        mode(sites, reachable).check_host()


# Limits


def test_limits_are_what_a_script_finds(server: Server) -> None:
    found = outcome(server, "import resource as r\nfor n in range(16): print(n, *r.getrlimit(n))")
    words = [line.split() for line in found.splitlines()]
    limits = {int(kind): int(soft) for kind, soft, _ in words}
    for kind, amount in walls.resource_limits(2.0).items():
        assert limits[kind] == amount


def test_cpu_limit_comes_after_the_time_limit() -> None:
    for seconds in (0.001, 1.0, 2.5, Limits().script):
        assert walls.resource_limits(seconds)[resource.RLIMIT_CPU] >= seconds + 1


def test_limits_above_the_present_hard_one_are_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    present = {resource.RLIMIT_NPROC: 10, resource.RLIMIT_AS: -1}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (0, present[kind]))
    wanted = {resource.RLIMIT_NPROC: 64, resource.RLIMIT_AS: 512}
    assert dict(walls.feasible(wanted)) == {
        resource.RLIMIT_NPROC: 10,
        resource.RLIMIT_AS: 512,
    }
