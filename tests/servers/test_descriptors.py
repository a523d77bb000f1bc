"""A low limit of open files (ulimit -n) stops no mode with many workers; scripts keep it."""

from pathlib import Path

import pytest

from tests.servers.live import Server, Sites, needs_root

TENANTS = 40
USUAL = 48
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
    arguments = [word for factor in factors for word in ("--option", factor)]
    prefix = ("prlimit", f"--nofile={USUAL}:{USUAL}")
    with Server(mode, many_sites, *arguments, prefix=prefix) as server:
        for tenant in many_sites.tenants:
            reply = server.get("/limit.py", tenant=tenant.name)
            assert (reply.status, reply.text) == (200, f"{USUAL} {USUAL}")
        assert server.usage()["worker_starts"] == TENANTS
