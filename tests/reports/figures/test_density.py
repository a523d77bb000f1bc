"""The figures of many tenants."""

import io

import pandas as pd
import pytest

from harness.results.rows import ColdStartRow, DensityRow
from reports.figures.density import cold_starts, curves


def study(*popularities: str) -> pd.DataFrame:
    rows = [
        DensityRow(
            target=target,
            tenants=tenants,
            popularity=popularity,
            requests_per_second=100.0,
            p50_ms=1.0,
            p99_ms=2.0,
            memory_mib=20.0,
            active_tenants=tenants,
            available_mib=1000.0,
        )
        for target in ("dso", "router")
        for tenants in (1, 10)
        for popularity in popularities
    ]
    return pd.DataFrame([vars(row) for row in rows])


@pytest.mark.parametrize("popularities", [("uniform", "zipf:1"), ("zipf:1",)])
def test_the_legend_names_each_target_once(popularities: tuple[str, ...]) -> None:
    (legend,) = curves(study(*popularities)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["dso", "router"]


def test_ticks_of_log_scales_are_numbers_as_they_are_read() -> None:
    starts = ColdStartRow(
        target="dso", state="never asked", page_cache="warm", requests=9, p50_ms=0.5, p99_ms=300.0
    )
    for figure in (curves(study("uniform")), cold_starts(pd.DataFrame([vars(starts)]))):
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg")
        assert "mathdefault" not in drawn.getvalue()
