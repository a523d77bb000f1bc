"""The figures of many tenants."""

import pandas as pd
import pytest

from harness.results.rows import DensityRow
from reports.figures.density import curves


@pytest.mark.parametrize("popularities", [("uniform", "zipf:1"), ("zipf:1",)])
def test_the_legend_names_each_target_once(popularities: tuple[str, ...]) -> None:
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
    (legend,) = curves(pd.DataFrame([vars(row) for row in rows])).legends
    assert [text.get_text() for text in legend.get_texts()] == ["dso", "router"]
