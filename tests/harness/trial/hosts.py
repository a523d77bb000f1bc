"""Hosts in network namespaces, joined by veth pairs; all ends with the processes that hold it."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLONE_NEWNET = 0x40000000  # linux/sched.h


@dataclass(frozen=True)
class Host:
    """A network namespace, held by a process."""

    pid: int

    def command(self, *words: str | Path) -> list[str]:
        """Return a command that runs on this host."""
        return ["nsenter", "-t", str(self.pid), "-n", *map(str, words)]

    def call(self, *words: str) -> None:
        """Run a command on this host to its end."""
        subprocess.run(self.command(*words), check=True, capture_output=True)

    @contextmanager
    def isobench(self, log: Path, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run isobench on this host; end it afterwards."""
        command = self.command(sys.executable, "-m", "harness", *words)
        with (
            open(log, "wb") as output,
            subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be on this host: this thread, and what it starts (setns(2))."""
        with open("/proc/self/ns/net") as before, open(f"/proc/{self.pid}/ns/net") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def hosts(count: int) -> Iterator[Sequence[Host]]:
    """Make hosts; host i reaches host j over its device eth{j}, see `address`."""
    with ExitStack() as stack:
        made = [_host(stack) for _ in range(count)]
        for i in range(count):
            for j in range(i + 1, count):
                _join(made, i, j)
        yield made


def _host(stack: ExitStack) -> Host:
    process = stack.enter_context(
        subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return Host(process.pid)


def address(of: int, seen_from: int) -> str:
    """Return the address of a host on the link from another."""
    low, high = sorted((of, seen_from))
    return f"10.77.{10 * low + high}.{of + 1}"


def _join(made: Sequence[Host], i: int, j: int) -> None:
    words = f"ip link add eth{j} netns {made[i].pid} type veth peer name eth{i} netns {made[j].pid}"
    subprocess.run(words.split(), check=True)
    for own, other in ((i, j), (j, i)):
        made[own].call("ip", "address", "add", f"{address(own, other)}/24", "dev", f"eth{other}")
        made[own].call("ip", "link", "set", f"eth{other}", "up")


def obstacle() -> str | None:
    """Return why there can be no hosts here, None where there can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if missing := [name for name in ("ip", "nsenter", "unshare", "tc") if not shutil.which(name)]:
        return f"there is no {missing[0]}"
    text = "ip link add va type veth peer name vb && tc qdisc add dev va root "
    text += "tbf rate 1mbit burst 4kb latency 10ms"
    tried = subprocess.run(["unshare", "-n", "sh", "-c", text], capture_output=True, check=False)
    return tried.stderr.decode() if tried.returncode else None
