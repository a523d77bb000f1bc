"""The waterfall: bars to scale, panels by magnitude, a matrix of all."""

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.phase_groups import GROUPS, ORDER, OTHER, group_of
from reports.figures.waterfall import bars, magnitudes, waterfall
from tests.reports.profiled import PHASES, PROFILES


@pytest.fixture(scope="module")
def drawn() -> Figure:
    return waterfall(PHASES, PROFILES)


def widths(panel: Axes) -> list[float]:
    return [patch.get_width() for patch in panel.patches]  # type: ignore[attr-defined]


def test_bars_are_as_long_as_their_phases_took(drawn: Figure) -> None:
    quick = bars(PHASES, PROFILES)[0]
    assert quick.target == "dso"
    assert widths(drawn.axes[0])[: len(quick.phases)] == quick.phases["median_us"].tolist()


def test_targets_of_one_magnitude_share_a_panel(drawn: Figure) -> None:
    panels = magnitudes(bars(PHASES, PROFILES))
    assert [[bar.target for bar in panel] for panel in panels] == [["dso", "ruid2"], ["suid2"]]
    assert len(drawn.axes) == len(panels) + 1


def test_what_follows_the_answer_is_pale_and_said(drawn: Figure) -> None:
    suid2 = bars(PHASES, PROFILES)[-1]
    assert suid2.label == "1.5 ms, then 900 µs"
    pale = [patch for patch in drawn.axes[1].patches if patch.get_alpha() != 1]
    assert [patch.get_x() for patch in pale] == [1500, 1900]  # type: ignore[attr-defined]


def test_the_matrix_names_every_group_that_took_time(drawn: Figure) -> None:
    matrix = drawn.axes[-1]
    texts = [text.get_text() for text in matrix.texts]
    assert "75 µs" in texts
    assert len(matrix.get_xticks()) == len({group_of(phase) for phase in PHASES["phase"]})


def test_it_can_be_written(drawn: Figure) -> None:
    assert style.to_svg(drawn).startswith("<?xml")


def test_each_phase_is_in_one_group_and_a_new_one_in_the_last() -> None:
    every = [phase for phases in GROUPS.values() for phase in phases]
    assert len(every) == len(set(every))
    assert group_of("handle") == OTHER == ORDER[-1]


def test_every_phase_of_a_timeline_has_a_group() -> None:
    from servers import modes

    for timeline in (modes.load(name).timeline() for name in modes.names()):
        for step in timeline.request + timeline.afterwards:
            assert group_of(step.phase) != OTHER, step


def test_an_empty_cell_stays_empty(drawn: Figure) -> None:
    filled = sum(len(set(own["phase"].map(group_of))) for _, own in PHASES.groupby("target"))
    assert len(drawn.axes[-1].texts) == filled
    assert isinstance(PROFILES, pd.DataFrame)
