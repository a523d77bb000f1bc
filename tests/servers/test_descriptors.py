"""A low limit of open files (ulimit -n) stops no mode with many workers; scripts keep it."""

import resource
from pathlib import Path

import pytest

from tests.servers.live import Server, Sites, needs_root

TENANTS = 40
USUAL = 48
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
HIGHEST = 4600 if HARD == resource.RLIM_INFINITY else min(4600, HARD)
SCRIPT = """import resource
print('Content-Type: text/plain\\n')
print(*resource.getrlimit(resource.RLIMIT_NOFILE), end='')
"""


@pytest.fixture(scope="module")
def many_sites(reachable: Path) -> Sites:
    made = Sites(reachable, count=TENANTS)
    for tenant in made.tenants:
        made.put("limit.py", SCRIPT, tenant=tenant.name)
    return made


@needs_root
@pytest.mark.parametrize(
    ("mode", "factors"), [("fastcgi", ()), ("router", ("walls=off",)), ("address", ("walls=off",))]
)
def test_each_tenant_has_a_worker_and_the_usual_limit(
    mode: str, factors: tuple[str, ...], many_sites: Sites
) -> None:
    """The soft limit that a login has is often low, the hard one seldom."""
    arguments = [word for factor in factors for word in ("--option", factor)]
    prefix = ("prlimit", f"--nofile={USUAL}:{HIGHEST}")
    with Server(mode, many_sites, *arguments, prefix=prefix) as server:
        for tenant in many_sites.tenants:
            reply = server.get("/limit.py", tenant=tenant.name)
            assert (reply.status, reply.text) == (200, f"{USUAL} {HIGHEST}")
        assert server.usage()["worker_starts"] == TENANTS


@needs_root
@pytest.mark.parametrize("mode", ["fastcgi", "router"])
def test_a_low_hard_limit_lowers_the_bound(mode: str, many_sites: Sites) -> None:
    prefix = ("prlimit", f"--nofile={USUAL}:128")
    with Server(mode, many_sites, prefix=prefix) as server:
        for tenant in many_sites.tenants:
            assert server.get("/limit.py", tenant=tenant.name).status == 200
        assert server.usage()["worker_starts"] == TENANTS
        server.wait_for(lambda: server.usage()["evictions"] > 0)
