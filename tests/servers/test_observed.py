"""A server that counts its requests: what it counts, in modes of every kind of worker."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.metrics.tally import TallyReader
from tests.servers.live import Server, Sites, needs_root, request

EVERY_KIND = (
    *("dso", "harache:fork=connection", "suid2", "suid2:worker_start=exec", "fastcgi"),
    *("router", "router:front=python", "address"),
)
"""Workers that stay, fork a child, serve once or are executed; fronts; addresses of their own."""


def started(target: str, sites: Sites, file: Path, workers: int = 2) -> Server:
    mode, _, factors = target.partition(":")
    options = [word for one in filter(None, factors.split("+")) for word in ("--option", one)]
    return Server(mode, sites, "--metrics", str(file), *options, workers=workers)


@needs_root
@pytest.mark.parametrize("target", EVERY_KIND)
def test_requests_are_counted_by_tenant_and_status(
    target: str, sites: Sites, tmp_path: Path
) -> None:
    sites.put("fails.py", "1 / 0\n")
    with started(target, sites, tmp_path / "tally") as server:
        for _ in range(3):
            assert server.get().status == 200
        assert server.get(tenant="t0002").status == 200
        assert server.get("/fails.py").status == 500
        assert server.get("/missing.py").status == 404
        server.exchange(b"no request\r\n\r\n")
        tally = TallyReader(tmp_path / "tally", server.ready["metrics"])
        # A worker counts once its answer is on the way.
        server.wait_for(lambda: tally.counts()[:, :4].sum() >= 7)
        server.wait_for(lambda: tally.head().get("workers", 0) > 0)
        first, second, none = tally.counts().tolist()
        head = tally.head()
    assert first[:4] == [3, 0, 1, 1]
    assert second[:4] == [1, 0, 0, 0]
    assert none[:4] == [0, 0, 1, 0]
    assert [sum(cell[5:]) for cell in (first, second, none)] == [5, 1, 0]
    assert first[4] > 0
    is_one = target.startswith(("router", "address"))
    assert head["workers"] == (1 if is_one else 2)
    has_tenants_workers = target.startswith(("address", "fastcgi", "router"))
    assert ("tenant_worker_starts" in head) == has_tenants_workers


@needs_root
def test_workers_that_end_and_workers_that_are_busy_are_noted(sites: Sites, tmp_path: Path) -> None:
    sites.put("ends.py", "import os\nos._exit(1)\n")
    sites.put("waits.py", "import sys\nsys.stdin.read()\nimport time\ntime.sleep(60)\n")
    with started("dso", sites, tmp_path / "tally") as server:
        tally = TallyReader(tmp_path / "tally", server.ready["metrics"])
        server.exchange(request("/ends.py"))
        server.wait_for(lambda: tally.head().get("workers_replaced") == 1)
        with server.connect() as client:
            client.sendall(request("/waits.py"))
            server.wait_for(lambda: tally.head()["workers_busy"] == 1)


@needs_root
@pytest.mark.parametrize("front", ["c", "python"])
def test_a_front_notes_its_tenants_workers(front: str, sites: Sites, tmp_path: Path) -> None:
    sites.put("waits.py", "import time\ntime.sleep(60)\n")
    with started(f"router:front={front}", sites, tmp_path / "tally") as server:
        tally = TallyReader(tmp_path / "tally", server.ready["metrics"])
        with server.connect() as client:
            client.sendall(request("/waits.py"))
            server.wait_for(lambda: tally.head().get("tenant_workers_busy") == 1)
        assert tally.head()["tenant_workers"] == 1


@needs_root
@pytest.mark.parametrize("front", ["c", "python"])
def test_a_worker_with_a_request_ahead_is_one_busy_worker(
    front: str, sites: Sites, tmp_path: Path
) -> None:
    sites.put(
        "slow.py",
        "import sys, time\nif sys.stdin.read(): time.sleep(2)\n"
        "print('Content-Type: text/plain\\n')\n",
    )
    target = f"router:front={front}+per_tenant=1"
    with started(target, sites, tmp_path / "tally") as server:
        tally = TallyReader(tmp_path / "tally", server.ready["metrics"])
        for _ in range(20):  # the tenant is known to be quick
            server.exchange(request("/slow.py"))
        with server.connect() as first, server.connect() as second, server.connect() as third:
            for client in (first, second, third):
                client.sendall(request("/slow.py", method="POST", body=b"x"))
            server.wait_for(lambda: tally.head().get("tenant_workers_busy", 0) > 0)
            assert tally.head()["tenant_workers_busy"] == tally.head()["tenant_workers"] == 1


@needs_root
def test_no_script_finds_the_file(sites: Sites, tmp_path: Path) -> None:
    source = (
        "import os\n"
        "print('Content-Type: text/plain\\n')\n"
        "for name in os.listdir('/proc/self/fd'):\n"
        "    try: print(os.readlink('/proc/self/fd/' + name))\n"
        "    except OSError: pass\n"
    )
    for target in ("dso", "suid2:worker_start=exec"):
        with started(target, sites, tmp_path / "tally") as server:
            reply = server.run(source)
            assert reply.status == 200
            assert "tally" not in reply.text


@needs_root
@pytest.mark.parametrize("target", ["harache", "fastcgi", "router:front=python"])
def test_no_script_in_a_process_of_its_tenant_can_falsify_the_counts(
    target: str, sites: Sites, tmp_path: Path
) -> None:
    source = "print('Content-Type: text/plain\\n')\nprint(open('/proc/self/maps').read())\n"
    with started(target, sites, tmp_path / "tally") as server:
        reply = server.run(source)
        assert "[stack]" in reply.text
        assert "tally" not in reply.text


@needs_root
def test_a_file_that_cannot_be_made_is_refused(sites: Sites, tmp_path: Path) -> None:
    server = started("dso", sites, tmp_path / "missing" / "tally")
    server.close()
    assert server.ready["ready"] is False
    assert "cannot count in" in server.ready["reason"]


def test_a_server_that_is_not_observed_loads_nothing_for_it() -> None:
    source = (
        "import sys; from servers import modes, server_main\n"
        "for name in modes.names(): modes.load(name)\n"
        "print(*(name for name in sys.modules if 'observing' in name or 'tally' in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
