"""Each mechanism serves as `dso` does, and does one thing more."""

import re

import pytest

from harness.results.analysis.mechanism_cost import INGREDIENTS, needed
from servers import mechanisms, modes
from tests.servers.live import WWW, Server, Sites, needs_root
from tests.servers.test_main import command

RECIPES = {
    name: recipe for name in modes.names() if (recipe := modes.load(name).recipe) is not None
}


@needs_root
@pytest.mark.parametrize("mechanism", mechanisms.names())
def test_a_mechanism_answers_as_dso_does(mechanism: str, sites: Sites) -> None:
    with Server("dso", sites, "--mechanism", mechanism) as server:
        for tenant in ("t0001", "t0002", "t0001"):
            reply = server.get(tenant=tenant)
            assert reply.status == 200, server.log()
            assert re.search(f"tenant={tenant} uid={WWW.uid} gid={WWW.gid}", reply.text)
        assert server.log() == ""


def pid_in(server: Server) -> int:
    reply = server.run('import os; print(f"Content-Type: text/plain\\n\\n{os.getpid()}")')
    return int(reply.text)


@needs_root
@pytest.mark.parametrize(("mechanism", "alike"), [("fork", True), ("child", False)])
def test_a_script_runs_in_the_worker_or_in_a_child_each(
    mechanism: str, alike: bool, sites: Sites
) -> None:
    with Server("dso", sites, "--mechanism", mechanism) as server:
        assert (pid_in(server) == pid_in(server)) is alike


@needs_root
def test_a_tenants_process_is_kept_and_its_own(sites: Sites) -> None:
    source = 'import os; print(f"Content-Type: text/plain\\n\\n{os.getpid()}")'
    with Server("dso", sites, "--mechanism", "tenant_process") as server:
        first, other, again = (
            server.run(source, tenant=tenant).text for tenant in ("t0001", "t0002", "t0001")
        )
    assert first == again != other


@needs_root
def test_a_worker_is_replaced_after_each_request(sites: Sites) -> None:
    with Server("dso", sites, "--mechanism", "replacement") as server:
        worker = server.workers()
        server.get()
        server.wait_for(lambda: server.workers() not in (worker, []))


@needs_root
def test_an_unknown_mechanism_is_refused() -> None:
    ended = command("dso", "--mechanism", "levitation")
    assert ended.status == 2
    assert "unknown mechanism 'levitation'" in ended.stderr


def test_every_ingredient_of_a_recipe_can_be_measured() -> None:
    """But dso, to which all others are set, and what no mechanism stands for."""
    assert {*modes.names()} - {*RECIPES} == {"dso", "groundhog"}
    assert {name for recipe in RECIPES.values() for name in recipe} == {*INGREDIENTS}
    assert {*needed(RECIPES.values())} == {*mechanisms.names()}


def test_mechanisms_are_no_modes() -> None:
    assert not {*mechanisms.names()} & {*modes.names()}
