"""What is varied by the seed, and what is not."""

from __future__ import annotations

import os
import subprocess

from harness.target.randomization import PADDING, draw, size


def test_the_seed_decides() -> None:
    assert draw(7, 1, "001/dso") == draw(7, 1, "001/dso")
    assert draw(7, 1, "001/dso") != draw(8, 1, "001/dso")


def test_a_block_shares_all_but_the_port() -> None:
    one, other = draw(7, 1, "001/dso"), draw(7, 1, "001/cgi")
    assert one.environment() == other.environment()
    assert one.order(range(50)) == other.order(range(50))
    assert one.ports != other.ports


def test_blocks_differ() -> None:
    setups = [draw(7, block, "x") for block in range(1, 31)]
    assert len({setup.hash_seed for setup in setups}) == 30
    assert len({setup.padding for setup in setups}) > 25
    assert len({tuple(setup.order("abcdefgh")) for setup in setups}) > 25


def test_every_tenant_keeps_its_place_in_some_order() -> None:
    assert sorted(draw(7, 3, "x").order("abcdef")) == list("abcdef")


def test_ports_are_out_of_the_way() -> None:
    assert all(1024 < port < 32_768 for port in draw(1, 1, "x").ports)


def test_size_is_what_a_process_gets() -> None:
    environment = {"PATH": os.environ["PATH"], **draw(7, 2, "x").environment()}
    result = subprocess.run(
        ["/bin/cat", "/proc/self/environ"], env=environment, capture_output=True, check=True
    )
    assert size(environment) == len(result.stdout)
    assert len(environment[PADDING]) == draw(7, 2, "x").padding
