"""What isolation costs a page, from trials whose costs are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from harness.results.analysis.page_cost import PAGES_US, PageCosts, page_costs, share
from harness.results.rows import TrialRow
from tests.harness.folders import ROW

OVERHEADS: Mapping[str, float] = {"dso": 60.0, "harache": 1_400.0, "suexec": 14_000.0}


def row(block: int, target: str, workload: str, cpu_us: float, **changes: object) -> TrialRow:
    return replace(
        ROW,
        trial=f"{block}/{target}/{workload}/{changes.get('connection', 'close')}",
        block=block,
        target=target,
        workload=workload,
        server_cpu_us_per_request=cpu_us,
        requests_per_second=1e6 / cpu_us,
        **changes,  # type: ignore[arg-type]
    )


def trials(
    *, pages_us: Sequence[int] = (), slower: float = 1.0, blocks: int = 5, scatter: float = 0.02
) -> pd.DataFrame:
    """Return trials whose host has a speed of its own in each; `slower` is harache's script."""
    random = np.random.default_rng(3)
    rows = []
    for block in range(1, blocks + 1):
        for target, overhead in OVERHEADS.items():
            speeds = iter(random.lognormal(0, scatter, len(pages_us) + 1))
            rows.append(row(block, target, "hello", overhead * float(next(speeds))))
            for page in pages_us:
                own = page * (slower if target == "harache" else 1.0)
                rows.append(
                    row(block, target, f"page:{page}us", (own + overhead) * float(next(speeds)))
                )
    return pd.DataFrame([asdict(one) for one in rows])


def only(found: Sequence[PageCosts]) -> PageCosts:
    (one,) = found
    return one


def test_the_formula() -> None:
    assert share(50_000, 60, 1_400) == pytest.approx(50_060 / 51_400)
    assert share(0, 60, 600) == pytest.approx(0.1)


def test_each_target_has_its_share_for_each_page_the_cheapest_first() -> None:
    costs = only(page_costs(trials())).costs
    assert [cost.target for cost in costs] == list(OVERHEADS)
    for cost in costs:
        overhead = OVERHEADS[cost.target]
        assert cost.overhead_us.mid == pytest.approx(overhead, rel=0.03)
        for page, one in zip(PAGES_US, cost.shares, strict=True):
            assert one.mid == pytest.approx((page + 60) / (page + overhead), rel=0.02)
            assert one.low <= one.mid <= one.high


def test_the_baselines_own_share_is_all() -> None:
    assert {one.mid for one in only(page_costs(trials())).costs[0].shares} == {1.0}


def test_a_page_that_was_measured_stands_beside_its_prediction() -> None:
    checks = only(page_costs(trials(pages_us=[20_000, 5_000]))).checks
    names = [(check.workload, check.target) for check in checks]
    assert names == [(f"page:{us}us", t) for us in (5000, 20_000) for t in ("harache", "suexec")]
    for check in checks:
        page = int(check.workload[5:-2])
        assert check.took_us.mid == pytest.approx(page, rel=0.05)
        assert check.predicted.mid == pytest.approx(
            (page + 60) / (page + OVERHEADS[check.target]), rel=0.05
        )
        assert check.by_cpu.mid == pytest.approx(check.predicted.mid, rel=0.05)
        assert check.holds
    pages = only(page_costs(trials(pages_us=[20_000, 5_000])))
    assert pages.check("suexec", 20_000) == checks[-1]
    assert pages.check("suexec", 50_000) is None


def test_a_mode_that_makes_scripts_slower_is_found_out() -> None:
    checks = {c.target: c for c in only(page_costs(trials(pages_us=[5_000], slower=1.5))).checks}
    assert checks["harache"].ratio.mid < 0.8
    assert (checks["harache"].holds, checks["harache"].sure) == (False, True)
    assert checks["suexec"].holds


def test_what_scatters_is_not_sure() -> None:
    checks = only(page_costs(trials(pages_us=[5_000], scatter=0.2))).checks
    assert not any(check.sure for check in checks)
    (one, other) = only(page_costs(trials(pages_us=[5_000], blocks=1))).checks
    assert [one.sure, other.sure] == [False, False]


def test_another_connection_is_another_condition() -> None:
    frame = trials(pages_us=[5_000])
    frame.loc[frame["workload"] == "hello", "connection"] = "keep-alive"
    found = only(page_costs(frame))
    assert (found.condition.connection, found.checks) == ("keep-alive", ())


@pytest.mark.parametrize("kept", ["harache", "dso"])
def test_without_the_baseline_or_another_nothing_is_said(kept: str) -> None:
    frame = trials()
    assert page_costs(frame[frame["target"] == kept]) == []


def test_void_trials_and_open_loads_say_nothing() -> None:
    frame = trials()
    assert page_costs(frame.assign(verdict="void: wrong identity")) == []
    assert page_costs(frame.assign(load="open:100")) == []
    assert page_costs(frame.iloc[:0]) == []
