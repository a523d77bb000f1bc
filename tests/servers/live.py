"""A real server on sites of its own, and what a test wants to ask of it."""

import atexit
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httptools
import pytest

from servers import modes
from servers.kernel.process_table import descendants
from servers.mode import RunsAs
from workloads import credential, tenants
from workloads.addresses import address_of
from workloads.credential import Stamper
from workloads.proof import Identity

ROOT = Path(__file__).parents[2]
PYTHON: str = getattr(sys, "_base_executable", sys.executable)
FIRST_UID = 46_001 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""The first tenant's uid: of each process that tests, another. No run of isobench looks there."""
WWW = Identity(FIRST_UID - 1, FIRST_UID - 1, ())
NS_GET_PARENT = 0xB702  # linux/nsfs.h
PATIENCE = 45.0
"""Seconds after which an answer that does not come fails the test. Scripts sleep for longer."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other identities")


class Sites:
    """Tenants' sites where every uid can reach them, and what is put into them."""

    def __init__(self, directory: Path, *, owner: Identity | None = None, count: int = 2) -> None:
        """Make the sites in `directory`; `owner` is an ordinary user to own all, and to serve."""
        self.root = directory / "sites"
        self.interpreter = f"{PYTHON} -IS"
        self.www = owner or WWW
        self.tenants = tenants.create(
            self.root,
            count=count,
            www=self.www,
            first_uid=owner.uid if owner else FIRST_UID,
            interpreter=self.interpreter,
        )
        if owner:
            for path in [self.root, *self.root.rglob("*")]:
                os.chown(path, owner.uid, owner.gid)

    def put(self, name: str, source: str, mode: int = 0o750, tenant: str = "t0001") -> Path:
        """Write a script below its `#!` line, as hosting practice has it: owned by tenant:www."""
        path = self.root / tenant / name
        path.write_text(f"#!{self.interpreter}\n{textwrap.dedent(source)}")
        os.chown(path, path.parent.stat().st_uid, self.www.gid)
        path.chmod(mode)
        return path

    def identity(self, tenant: str) -> Identity:
        """Return who a tenant is; the first one for a name that no tenant has."""
        known = {tenant.name: tenant.identity for tenant in self.tenants}
        return known.get(tenant, self.tenants[0].identity)

    def secret(self, tenant: str) -> str:
        return (self.root / tenant / "config.secret").read_text()


@dataclass(frozen=True)
class Reply:
    """A response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def read_reply(stream: IO[bytes], method: str = "GET") -> Reply:
    """Read one response from a connection; its status is 0 where the connection just ended."""
    first = stream.readline()
    if not first:
        return Reply(0, {}, b"")
    headers = {}
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
    return Reply(int(first[9:12]), headers, stream.read(length))


def request(
    target: str = "/hello.py",
    tenant: str = "t0001",
    method: str = "GET",
    body: bytes = b"",
    headers: str = "Connection: close\r\n",
) -> bytes:
    """Return the bytes of a request."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {target} HTTP/1.1\r\nHost: {tenant}.localhost\r\n{length}{headers}\r\n"
    return head.encode() + body


def _tenant_in(data: bytes) -> str:
    """Return the tenant that a request is for, as far as one can tell; else the first one."""
    host = re.search(rb"^Host: (t\d+)\.", data, re.MULTILINE)
    return host[1].decode() if host else "t0001"


_WHERE_READABLE = """
import os, sys
from pathlib import Path
from servers.kernel import syscalls as linux
from servers.front.startup import containment
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
containment.make_visible(
    [Path(entry) for entry in (sys.base_prefix, *os.environ["PYTHONPATH"].split(":"))]
)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def where_readable(*command: str) -> tuple[str, ...]:
    """Return the start of a command line: `command` where every uid can read the interpreter.

    For servers that may not arrange that themselves, on hosts whose interpreter is root's own.
    """
    return PYTHON, "-S", "-c", _WHERE_READABLE, *command


def key_for(mode: str, path: Path) -> tuple[str, ...]:
    """Return the arguments that give a mode its key, in a new file, if it goes by the client."""
    if mode not in modes.names() or modes.load(mode).runs_as is not RunsAs.CLIENT:
        return ()
    return "--credential-key", str(credential.make_key(path))


@cache
def _programs() -> Path:
    """Return where the servers of this process's tests keep what they compile, until it ends."""
    directory = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="isobench-test-programs-"))
    atexit.register(_remove, directory, os.getpid())
    return directory


def _remove(directory: Path, maker: int) -> None:
    if os.getpid() == maker:  # and not a child that a test has forked
        shutil.rmtree(directory, ignore_errors=True)


class Server:
    """A server in a process of its own, started as the harness starts one.

    As a context manager it is stopped at the end, and shown to have left nothing behind. A test
    that ends it in another way says with which `exit_status`.
    """

    exit_status = 0
    keeps_to_one_tenant = False
    """Whether a connection serves the tenant of its first request only."""

    def __init__(
        self,
        mode: str,
        sites: Sites,
        *arguments: str,
        workers: int = 1,
        prefix: tuple[str, ...] = (),
        checkout: Path = ROOT,
    ) -> None:
        """Start `mode`; `prefix` is a command that starts the server, such as `where_readable`."""
        self.mode = mode
        self.sites = sites
        self.private = Path(tempfile.mkdtemp(dir=sites.root.parent))
        self.private.chmod(0o711)
        os.chown(self.private, *((0, 0) if sites.www == WWW else (sites.www.uid, sites.www.gid)))
        self._log = self.private.with_suffix(".log")
        packages = Path(httptools.__file__).parents[1]
        key = self.private.with_suffix(".key")
        kept = () if sites.www != WWW else ("--programs", str(_programs()))
        arguments = (*key_for(mode, key), *kept, *arguments)
        self.key = credential.read_key(key) if key.exists() else None
        command = [
            *prefix, PYTHON, *("-S", "-s", "-P", "-m", "servers", mode),
            *("--sites", str(sites.root), "--private", str(self.private)),
            *("--www", f"{sites.www.uid}:{sites.www.gid}"),
            *("--port", "0", "--workers", str(workers), "--control"), *arguments,
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=checkout,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{checkout}:{packages}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")

    def __enter__(self) -> Self:
        if not self.ready.get("ready"):
            self.close()
            pytest.fail(f"the server did not start: {self.ready}\n{self.log()}")
        self.port: int = self.ready["port"]
        self.contained: bool = self.ready["own_pid_namespace"]
        self.master = children(self.process.pid)[0]
        # Kept open, or another server's namespace could get its number as soon as it is gone.
        self._held = os.open(f"/proc/{self.master}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._namespace = os.fstat(self._held).st_ino
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException) -> None:
        processes = self.everybody()
        status = self.stop()
        try:
            if kind is None:
                assert status == self.exit_status, self.log()
                self._assert_nothing_left(processes)
        finally:
            os.close(self._held)

    def _assert_nothing_left(self, processes: list[int]) -> None:
        """Show that of `processes`, and of what their pid namespace held, there is none."""
        self.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
        assert not (self.contained and self.everybody())
        # One that is killed outright leaves its empty directory to whoever named the place.
        left = self.private.rglob("*") if self.exit_status < 0 else self.private.iterdir()
        assert [path for path in left if self.exit_status >= 0 or not path.is_dir()] == []
        assert str(self.private) not in Path("/proc/self/mountinfo").read_text()

    def _is_inside(self, pid: int) -> bool:
        try:
            return self._namespace in _namespaces(pid)
        except OSError:
            return False

    # Asking

    def connect(self, tenant: str = "t0001") -> socket.socket:
        """Connect, as the tenant where the mode goes by the client's identity."""
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        try:
            if self.key is not None:
                stamper = Stamper(self.key, "127.0.0.1", self.port)
                stamper.stamp(connection, self.sites.identity(tenant))
            connection.connect((self.host_of(tenant), self.port))
        except BaseException:
            connection.close()
            raise
        return connection

    def host_of(self, tenant: str) -> str:
        """Return the address at which the mode is asked for a tenant's scripts."""
        if self.mode not in modes.names() or not modes.load(self.mode).own_addresses:
            return "127.0.0.1"
        return address_of(self.sites.identity(tenant).uid)

    def exchange(self, data: bytes) -> bytes:
        """Send `data` and return all that comes until the server closes the connection."""
        with self.connect(_tenant_in(data)) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def ask(self, data: bytes, method: str = "GET") -> Reply:
        """Send `data` and return one response."""
        with self.connect(_tenant_in(data)) as connection:
            connection.sendall(data)
            return read_reply(connection.makefile("rb"), method)

    def get(self, target: str = "/hello.py", tenant: str = "t0001") -> Reply:
        return self.ask(request(target, tenant))

    def assert_serves(self, times: int = 1) -> None:
        """Show that it answers both tenants, so many times each."""
        for tenant in ("t0001", "t0002") * times:
            reply = self.get(tenant=tenant)
            assert (reply.status, f"tenant={tenant} " in reply.text) == (200, True), self.log()

    def run(self, source: str, tenant: str = "t0001", name: str = "case.py") -> Reply:
        """Put a script into a tenant's site and ask for it."""
        self.sites.put(name, source, tenant=tenant)
        return self.get(f"/{name}", tenant)

    def command(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def usage(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        self.command("usage\n")
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def workers(self) -> list[int]:
        """Return the master's children that serve.

        Not those that scripts left to it, nor what a mode has set beside them under its own name.
        """
        return [
            pid
            for pid in children(self.master)
            if name_of(pid) == "front"  # a program of its own
            or ("servers.server_main" in command_line(pid) and name_of(pid) == name_of(self.master))
        ]

    def zygotes(self) -> list[int]:
        """Return what stands below the workers to be forked for scripts, and runs none itself."""
        below = [pid for worker in self.workers() for pid in children(worker)]
        return [pid for pid in below if "zygote.main()" in command_line(pid)]

    def tenants_workers(self) -> list[int]:
        """Return the permanent workers of tenants."""
        return [pid for pid in self.everybody() if name_of(pid) == "tenant worker"]

    def scripts(self) -> list[int]:
        """Return the processes below the workers that run scripts, or have run one."""
        below = [pid for worker in self.workers() for pid in descendants(worker)]
        return sorted({*below} - {*self.zygotes()})

    def everybody(self) -> list[int]:
        """Return the process ids of all that the server started, as the host counts them."""
        if not self.contained:
            return descendants(self.process.pid)
        return [pid for pid in all_processes() if self._is_inside(pid)]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for a change in the server. Fails when it does not come."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; the log:\n{self.log()}"
            time.sleep(0.02)

    # Ending

    def stop(self) -> int:
        """End the control stream, which stops the server, and return the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.close()

    def close(self) -> int:
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()


def all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _namespaces(pid: int) -> list[int]:
    """Return the inodes of a process's pid namespace and of those that this one is in.

    They tell one from another (namespaces(7)).
    """
    found = []
    descriptor = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
    while descriptor >= 0:
        found.append(os.fstat(descriptor).st_ino)
        try:
            parent = fcntl.ioctl(descriptor, NS_GET_PARENT)
        except PermissionError:  # it is ours, or beyond our sight
            parent = -1
        os.close(descriptor)
        descriptor = parent
    return found


def command_line(pid: int) -> str:
    """Return the arguments of a process, NUL between them; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def name_of(pid: int) -> str:
    """Return the name that ps shows of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def state_of(pid: int) -> str:
    """Return the letter that ps shows of a process's state; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status (proc_pid_status(5)); none when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return sorted(map(int, text.split()))
