"""What a tenant's permanent worker costs: measured in real servers."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from harness.costs import workers
from harness.costs.samples import Missing, Sample
from harness.target.run_resources import RunResources
from harness.target.server import Site
from harness.target.sites import settle
from harness.target.targets import choose, with_kept_workers

HOSTS = ("t0001.localhost", "t0002.localhost")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="workers become tenants")


@pytest.fixture(scope="module")
def resources() -> Iterator[RunResources]:
    with RunResources() as made:
        yield made


@pytest.fixture(scope="module")
def site(resources: RunResources) -> Site:
    return settle(resources, len(HOSTS), None)


def test_modes_say_which_of_their_targets_keep_workers() -> None:
    names = {target.name for target in with_kept_workers()}
    assert names >= {"fastcgi", "router", "router:walls=off"}


@needs_root
@pytest.mark.parametrize("name", ["fastcgi", "router:walls=off"])
def test_a_worker_takes_time_and_memory(resources: RunResources, site: Site, name: str) -> None:
    (target,) = choose([name])
    (sample,) = workers.one_round(target, site, resources.processes, HOSTS, 1)
    assert isinstance(sample, Sample)
    assert (sample.subject.name, sample.repetitions) == (name, len(HOSTS))
    assert sample.value_us > 0
    assert sample.facts.memory_mib is not None
    assert 0 < sample.facts.memory_mib < 100


@needs_root
def test_a_host_without_the_means_is_reported(resources: RunResources, site: Site) -> None:
    (target,) = choose(["fastcgi"])
    site = replace(site, www_uid=0, www_gid=0)
    (missing,) = workers.one_round(target, site, resources.processes, HOSTS, 1)
    assert isinstance(missing, Missing)
    assert missing.name == "workers of fastcgi"


@needs_root
def test_a_tenant_that_is_not_served_is_reported(resources: RunResources, site: Site) -> None:
    (target,) = choose(["fastcgi"])
    (missing,) = workers.one_round(target, site, resources.processes, ["nobody.localhost"], 1)
    assert isinstance(missing, Missing)
    assert "404" in missing.reason
