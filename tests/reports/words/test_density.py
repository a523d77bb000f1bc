"""What a report says of many tenants."""

import io
import math

import pandas as pd
import pytest
from rich.console import Console

from harness.results.analysis.tenant_cost import tenant_costs
from harness.results.rows import ColdStartRow, DensityRow
from reports.words import density as words


def study() -> pd.DataFrame:
    rows = [
        DensityRow(
            target=target,
            tenants=count,
            popularity=popularity,
            requests_per_second=1000.0,
            p50_ms=2.0,
            p99_ms=23.4,
            memory_mib=20 + each * count,
            processes=5,
            startup_s=0.5,
            active_tenants=count,
            available_mib=20_000.0,
        )
        for target, each in (("dso", 0.0), ("router", 2.0))
        for count in (1, 10, 100, 1000)
        for popularity in ("uniform", "zipf:1")
    ]
    rows.append(DensityRow(target="cgi", tenants=1, popularity="uniform", note="it broke"))
    return pd.DataFrame([vars(row) for row in rows])


NO_STARTS = pd.DataFrame(columns=list(ColdStartRow.__dataclass_fields__))


def test_a_sentence_says_what_fits_at_which_p99_and_what_one_more_costs() -> None:
    dso, router = words.sentences(study(), NO_STARTS)
    assert dso == (
        "`dso`: 1,000 tenants fit in 20 MiB at p99 below 24 ms; the cost of one more active "
        "tenant is too small to measure."
    )
    assert router == (
        "`router`: 1,000 tenants fit in 2 GiB at p99 below 24 ms; one more active tenant costs "
        "2 MiB (2 to 2), so about 9,900 fit on this host."
    )


def test_two_numbers_of_tenants_are_too_few_for_the_cost_of_one_more() -> None:
    two = study()
    two = two[(two["tenants"] >= 100) & (two["popularity"] == "uniform")]
    router = words.sentences(two, NO_STARTS)[1]
    assert router.endswith(
        "; more numbers of tenants are needed to tell what one more active tenant costs."
    )


def test_what_was_left_out_is_named_with_its_reason() -> None:
    assert words.left_out(study(), NO_STARTS) == ["cgi with 1 tenant, uniform: it broke"]


def test_a_target_without_numbers_has_no_cost() -> None:
    assert [cost.target for cost in tenant_costs(study())] == ["dso", "router"]


def test_the_table_divides_memory_among_tenants() -> None:
    last = [row for row in words.rows_of(study()) if row[0] == "router"][-1]
    assert last[:4] == ("router", "1,000", "1,000", "zipf:1")
    assert last[7:10] == ("2,020", "2.02", "2.02")


def test_cold_starts_are_told_for_each_state_and_page_cache() -> None:
    row = ColdStartRow(
        target="router",
        state="evicted",
        page_cache="cold",
        requests=30,
        p50_ms=12.34,
        p99_ms=40.0,
        low_ms=11.0,
        high_ms=14.0,
    )
    starts = pd.DataFrame([vars(row)])
    (sentence,) = words.sentences(study().iloc[:0], starts)
    assert sentence == (
        "`router` first answers after 12.3 ms (p99 40) when evicted, page cache cold."
    )
    assert words.cold_table(starts).iloc[0].tolist() == [
        *("router", "evicted", "cold", "30", "12.3", "11 to 14", "40", "")
    ]


def test_a_line_is_not_trusted_far_beyond_what_was_measured() -> None:
    few = study()
    few = few[few["tenants"] < 1000]
    few.loc[few["target"] == "router", "memory_mib"] = 20 + few["active_tenants"] / 1000
    told = words.sentences(few, NO_STARTS)[1]
    assert told.endswith("so memory sets no limit below 10,000.")


def test_a_cold_request_found_no_compiled_script_or_no_worker() -> None:
    rows = study().iloc[:2].copy()
    rows["requests"] = 1000
    rows["code_cache_hit_rate"] = [0.98, None]
    rows["worker_starts"] = [None, 5]
    cold = words.COLUMNS.index("cold")
    assert [row[cold] for row in words.rows_of(rows)] == ["2.0%", "0.5%"]


def fpm() -> pd.DataFrame:
    """Workers that each have memory for every pool, and more tenants than could be woken."""
    return pd.DataFrame(
        [
            vars(
                DensityRow(
                    target="nginx-fpm",
                    tenants=tenants,
                    popularity="uniform",
                    requests_per_second=50.0,
                    p50_ms=20.0,
                    p99_ms=300.0,
                    memory_mib=20 + active * (0.7 + tenants / 1000),
                    active_tenants=active,
                    idle_memory_mib=20.0,
                    available_mib=20_000.0,
                    requests=50,
                    worker_starts=starts,
                )
            )
            for tenants, active, starts in ((10, 10, 0), (100, 100, 0), (1000, 400, 40))
        ]
    )


def test_nothing_is_extrapolated_where_an_active_tenant_costs_more_the_more_there_are() -> None:
    (told,) = words.sentences(fpm(), NO_STARTS)
    assert told == (
        "`nginx-fpm`: 1,000 tenants, 400 of them active, fit in 700 MiB at p99 below 310 ms, where "
        "80% of the requests started a worker; an active tenant costs 1.7 MiB among 1,000 tenants "
        "and 0.8 MiB among 100, so how many fit cannot be extrapolated."
    )


def test_the_terminals_table_leaves_figures_out_rather_than_cut_names() -> None:
    written = io.StringIO()
    console = Console(file=written, width=72)
    console.print(words.terminal_table(fpm(), console.width))
    heading, *rows = written.getvalue().splitlines()
    assert "start s" not in heading
    assert "active" not in heading
    assert heading.split()[-2:] == ["MiB", "processes"]
    assert all(row.startswith("nginx-fpm ") for row in rows)


def test_evicted_workers_do_not_flatten_the_cost_of_a_tenant() -> None:
    bounded = study()
    bounded = bounded[bounded["target"] == "router"]
    last = bounded["tenants"] == 1000
    bounded.loc[last, ["memory_mib", "evictions"]] = [300.0, 50]
    (cost,) = tenant_costs(bounded)
    assert cost.line is not None
    assert cost.line.slope.mid == pytest.approx(2.0)


def test_no_line_is_drawn_to_where_it_does_not_lead() -> None:
    (cost,) = tenant_costs(fpm())
    assert cost.growth is not None
    assert math.isinf(cost.most_tenants)
