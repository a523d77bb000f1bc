"""The contract of a real product beside a mode, checked on each one that this host has."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import pytest

from servers import modes, peers
from servers.errors import Unavailable
from servers.peer import Peer
from tests.servers.live import FIRST_UID, PATIENCE, PYTHON, ROOT, WWW, needs_root
from workloads import catalog, tenants
from workloads.catalog import Workload
from workloads.proof import Identity, Proof
from workloads.tenants import Tenant

pytestmark = needs_root

# What a script of tenant t0001 says of a file, by the language of the script.
_READERS = {
    "py": '#!{python} -IS\nprint("Content-Type: text/plain\\n\\nit says", open("{path}").read())\n',
    "php": '<?php echo "it says ", file_get_contents("{path}");\n',
    "pl": 'print "Content-Type: text/plain\\n\\n"; open(my $file, "<", "{path}") or die;'
    'print "it says ", <$file>;\n',
}
_MALFORMED = (
    b"\x00\x01\x02\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /hello HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\nContent-Length: 3\r\n\r\nabc",
)


def ready_made(name: str) -> type[Peer]:
    """Return a peer, or skip the test with what this host lacks."""
    kind = peers.load(name)
    try:
        kind.check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")
    return kind


@dataclass
class Running:
    """A product on sites of three tenants."""

    name: str
    kind: type[Peer]
    process: subprocess.Popen[str]
    sites: Path
    tenants: Sequence[Tenant]
    port: int

    def expected(self, tenant: Tenant) -> Proof:
        who = WWW if self.kind.runs_as == "server" else tenant.identity
        groups = (who.gid,) if self.kind.in_own_group else ()
        return Proof(tenant.name, Identity(who.uid, who.gid, groups))

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body of a reply; the status is 0 where there is none."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(request)
            with client.makefile("rb") as stream:
                return _reply(stream)

    def problem(self, workload: Workload, tenant: Tenant) -> str | None:
        status, body = self.ask(workload.request(tenant.name, "close"))
        return workload.check(self.expected(tenant))(status, body)

    def hello(self) -> Workload:
        return catalog.find("hello").written_in(self.kind.language)


def _reply(stream: IO[bytes]) -> tuple[int, bytes]:
    """Return a reply, whose body may be chunked or last until the connection ends."""
    first = stream.readline()
    if not first:
        return 0, b""
    chunked = False
    while (line := stream.readline().strip().lower()) != b"":
        chunked |= line == b"transfer-encoding: chunked"
    body = b""
    while chunked and (size := int(stream.readline(), 16)):
        body += stream.read(size)
        stream.readline()
    return int(first[9:12]), body if chunked else stream.read()


def _command(*arguments: str) -> tuple[list[str], dict[str, str]]:
    import httptools

    folder = Path(httptools.__file__).parents[1]
    command = [PYTHON, "-S", "-s", "-P", "-m", "servers.peer_main", *arguments]
    return command, {"PYTHONPATH": f"{ROOT}:{folder}", "PATH": os.environ["PATH"]}


def _start(name: str, directory: Path) -> Running:
    kind = ready_made(name)
    sites = directory / "sites"
    settled = tenants.create(
        sites,
        count=3,
        www=WWW,
        first_uid=FIRST_UID,
        interpreter=f"{PYTHON} -IS",
        workloads=catalog.scripts(kind.language),
    )
    suffix = catalog.SUFFIXES[kind.language]
    reader = _READERS[suffix[1:]].format(python=PYTHON, path=sites / "t0002" / "config.secret")
    _put(settled[0], f"reader{suffix}", reader)
    process, port = _launch(name, sites, directory)
    return Running(name, kind, process, sites, settled, port)


def _put(tenant: Tenant, name: str, text: str) -> None:
    path = tenant.site / name
    path.write_text(text)
    os.chown(path, tenant.uid, WWW.gid)
    path.chmod(0o750)


def _launch(name: str, sites: Path, directory: Path) -> tuple[subprocess.Popen[str], int]:
    private = directory / "private"
    private.mkdir(mode=0o711, exist_ok=True)
    command, environment = _command(
        *(name, "--sites", str(sites), "--private", str(private)),
        *("--www", f"{WWW.uid}:{WWW.gid}", "--port", "0", "--control"),
    )
    with open(directory / "log", "w") as log:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    word = json.loads(process.stdout.readline())
    assert word["ready"], word
    return process, word["port"]


def _end(running: Running) -> None:
    for stream in (running.process.stdin, running.process.stdout):
        assert stream is not None
        stream.close()
    running.process.wait(PATIENCE)


@pytest.fixture(scope="module", params=peers.names())
def product(request: pytest.FixtureRequest, reachable: Path) -> Iterator[Running]:
    directory = reachable / request.param
    directory.mkdir()
    running = _start(request.param, directory)
    yield running
    _end(running)


def test_every_script_of_its_language_runs_with_the_right_identity(product: Running) -> None:
    for workload in catalog.scripts(product.kind.language):
        assert product.problem(workload, product.tenants[1]) is None, workload.name


def test_tenants_take_turns_for_23_requests(product: Running) -> None:
    hello = product.hello()
    found = [product.problem(hello, product.tenants[number % 3]) for number in range(23)]
    assert found == [None] * 23


def test_a_neighbours_file_is_open_where_the_product_leaves_it_open(product: Running) -> None:
    secret = (product.sites / "t0002" / "config.secret").read_text().strip()
    reader = f"/reader{catalog.SUFFIXES[product.kind.language]}"
    request = f"GET {reader} HTTP/1.1\r\nHost: t0001.localhost\r\nConnection: close\r\n\r\n"
    _, body = product.ask(request.encode())
    is_open = product.kind.runs_as == "server" and "open_basedir" not in product.kind.precedent
    assert (secret.encode() in body) is is_open, body


def test_a_malformed_request_harms_nobody(product: Running) -> None:
    for request in _MALFORMED:
        with socket.create_connection(("127.0.0.1", product.port), PATIENCE) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as stream:
                status = _first_status(stream)
        assert status == 0 or 400 <= status < 600, (request, status)
    assert product.problem(product.hello(), product.tenants[0]) is None


def _first_status(stream: IO[bytes]) -> int:
    try:
        line = stream.readline()
    except ConnectionResetError:
        return 0
    return int(line[9:12]) if line.startswith(b"HTTP/") else 400 if b"Bad Request" in line else 0


def test_a_host_of_nobody_is_not_found(product: Running) -> None:
    path = product.hello().path
    request = f"GET {path} HTTP/1.1\r\nHost: t0009.localhost\r\nConnection: close\r\n\r\n"
    assert product.ask(request.encode())[0] == 404


def test_the_wrapper_writes_to_no_log_of_the_hosts(product: Running) -> None:
    if not product.kind.wants_suexec:
        pytest.skip("it has no wrapper")
    log = Path("/var/log/apache2/suexec.log")
    before = log.stat().st_size if log.exists() else None
    assert product.problem(product.hello(), product.tenants[0]) is None
    assert (log.stat().st_size if log.exists() else None) == before


def test_it_tells_what_it_has_used(product: Running) -> None:
    assert product.process.stdin is not None
    assert product.process.stdout is not None
    product.process.stdin.write("usage\n")
    product.process.stdin.flush()
    usage = json.loads(product.process.stdout.readline())
    assert usage["served"] is None
    assert usage["processes_made"] > 0
    assert usage["page_faults"] > 0


def traces() -> set[str]:
    """Return what products leave on a host where nothing ends it."""
    patterns = ("/tmp/peer*", "/tmp/passenger*", "/dev/shm/ShM.*", "/var/tmp/passenger*")
    found = {str(path) for one in patterns for path in Path("/").glob(one[1:])}
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return found | {line for line in mounts if " /tmp/peer" in line or "suexec" in line}


# One of each kind: a single server, one with daemons beside it, one with a master of its own.
@pytest.mark.parametrize("whom", ["the product", "its watcher"])
@pytest.mark.parametrize(
    "name", ["apache-fcgid", "apache-passenger", "apache-php", "nginx-fpm", "nginx-uwsgi"]
)
def test_nothing_is_left_after_sigkill(name: str, whom: str, reachable: Path) -> None:
    directory = reachable / f"{name}-{whom.replace(' ', '-')}"
    directory.mkdir()
    before = traces()
    running = _start(name, directory)
    try:
        assert running.problem(running.hello(), running.tenants[0]) is None
        below = psutil.Process(running.process.pid).children(recursive=True)
        master = below[0].children()[0]
        os.kill(running.process.pid if whom == "its watcher" else master.pid, signal.SIGKILL)
        running.process.wait(PATIENCE)
    finally:
        _end(running)
    gone, left = psutil.wait_procs(below, timeout=PATIENCE)
    assert len(gone) > 2
    assert not left
    assert traces() == before
    assert list((directory / "private").iterdir()) == [] or whom == "its watcher"


@pytest.mark.parametrize("name", peers.names())
def test_each_stands_beside_a_mode_and_says_what_it_needs(name: str) -> None:
    kind = peers.load(name)
    assert kind.beside in modes.names()
    assert kind.precedent
    assert kind.__doc__
    assert all(need.package or not kind.packed for need in kind.needs)


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    kind = peers.load("apache-php")

    class Missing(kind):  # type: ignore[valid-type, misc]  # a class that is found by its name
        needs = tuple(need._replace(pattern="/nonexistent/*") for need in kind.needs)

    with pytest.raises(Unavailable) as caught:
        Missing.check()
    assert caught.value.hint == (
        "apt-get install --no-install-recommends apache2 libapache2-mod-php"
    )


def test_a_module_that_no_package_has_is_asked_for() -> None:
    kind = peers.load("apache-ruid2")
    if all(need.found() for need in kind.needs):
        pytest.skip("this host has mod_ruid2")
    with pytest.raises(Unavailable) as caught:
        kind.check()
    assert "apt-get" in caught.value.hint or "--module FILE" in caught.value.hint


def test_without_an_identity_it_refuses_to_serve_as_root(tmp_path: Path) -> None:
    ready_made("apache-cgi")
    command, environment = _command("apache-cgi", "--sites", str(tmp_path), "--control")
    ended = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["reason"].startswith("as root, the server needs an identity")
