"""How long a load is, which rates are looked at, and what is refused."""

from __future__ import annotations

import json

import pytest

from harness.errors import IsobenchError
from harness.slo import effort
from harness.slo.effort import Effort

STUDY = Effort("p99 < 50ms", seconds=1.0, seed=3)


@pytest.mark.parametrize(("rate", "seconds"), [(5000, 1.0), (500, 2.0), (50, 3.0)])
def test_a_load_is_long_enough_for_the_quantile_as_far_as_it_may_be(
    rate: float, seconds: float
) -> None:
    assert STUDY.load_s(rate) == seconds


def test_a_load_is_long_beside_the_limit() -> None:
    assert Effort("p99 < 2s").load_s(5000) == 10.0


def test_each_load_has_ten_requests_at_least() -> None:
    assert STUDY.load_s(STUDY.least_rate) * STUDY.least_rate == pytest.approx(10)


def test_each_block_has_all_targets_in_an_order_of_its_own() -> None:
    names = [f"t{number}" for number in range(9)]
    made = list(effort.searches(STUDY, names))
    blocks = [[target for block, target in made if block == number] for number in range(1, 6)]
    assert sum(map(len, blocks)) == len(made) == 45
    assert all(sorted(block) == names for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
    assert made == list(effort.searches(STUDY, names))


def test_a_study_is_read_back_from_run_json() -> None:
    study = effort.of("p99 < 50ms", quick=True, rate_per_tenant=0.5, blocks=None, seed=4)
    assert (study.blocks, study.seconds, study.rate_per_tenant) == (2, 0.5, 0.5)
    assert Effort.from_json(json.loads(json.dumps(study.to_json()))) == study
    with pytest.raises(IsobenchError, match="resumed"):
        Effort.from_json({"promise": "p99 < 50ms", "unheard_of": 1})


@pytest.mark.parametrize(
    ("given", "option"),
    [({"seconds": 0}, "--seconds"), ({"rate_per_tenant": -1}, "--rate-per-tenant"),
     ({"budget_s": 0}, "--budget"), ({"blocks": 0}, "--blocks")],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(given: dict[str, float], option: str) -> None:
    with pytest.raises(IsobenchError, match=option):
        effort.of("p99 < 50ms", quick=False, **given)
