"""What a server counts beside requests: scripts compiled, tenants' workers started and ended."""

import pytest

from servers import modes
from tests.servers.live import Server, Sites, needs_root, request

EXECUTED = {"cgi", "suexec"}
"""Modes in which an interpreter of its own compiles the script for each request."""


@needs_root
@pytest.mark.parametrize("mode", modes.names())
def test_a_script_is_compiled_or_a_worker_started_once_a_tenant(
    mode: str, shared_sites: Sites
) -> None:
    with Server(mode, shared_sites, workers=1) as server:
        for tenant in ("t0001", "t0001", "t0002", "t0002"):
            assert server.ask(request(tenant=tenant)).status == 200
        usage = server.usage()
    counted = usage["compiled"], usage.get("worker_starts"), usage.get("evictions")
    if mode in EXECUTED:
        assert counted == (None, None, None)
    else:
        assert counted in ((2, None, None), (None, 2, 0))


@needs_root
def test_without_a_code_cache_each_request_compiles(shared_sites: Sites) -> None:
    with Server("dso", shared_sites, "--no-code-cache", workers=1) as server:
        for _ in range(3):
            assert server.ask(request()).status == 200
        assert server.usage()["compiled"] == 3


@needs_root
@pytest.mark.parametrize("mode", ["fastcgi", "router"])
def test_a_worker_that_makes_room_is_an_eviction(mode: str, shared_sites: Sites) -> None:
    with Server(mode, shared_sites, "--option", "bound=1", workers=1) as server:
        for tenant in ("t0001", "t0002", "t0001"):
            assert server.ask(request(tenant=tenant)).status == 200
        server.wait_for(lambda: server.usage()["evictions"] == 2)
        assert server.usage()["worker_starts"] == 3
