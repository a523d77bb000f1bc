"""What stamping costs, found by interleaving two servers."""

import pytest

from harness.host.cores import divide, usable_cpus
from harness.trial.beside import stamping_overhead
from harness.trial.beside.stamping_overhead import Comparison
from tests.harness.live import needs_root


@needs_root
def test_the_cost_is_a_share_with_an_interval() -> None:
    cores = divide(usable_cpus(), {})
    cost = stamping_overhead.cost(Comparison(blocks=3, seconds=0.2), cores, seed=1)
    assert cost.low <= cost.mid <= cost.high < 1


def test_the_subject_and_its_rival_differ_in_their_stamps_alone() -> None:
    plan = stamping_overhead._plan(stamping_overhead.QUICK, seed=1)
    assert plan.workers == 1
    assert plan.slice_s is not None
    assert [str(load) for load in plan.loads] == ["closed:1"]
    assert len(list(plan.trials())) == pytest.approx(2 * stamping_overhead.QUICK.blocks)
