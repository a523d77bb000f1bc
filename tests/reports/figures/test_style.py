"""How every figure looks: a look for each target, and files that are the same each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.results.folder import ResultsFolder
from reports.figures import style, throughput

MakeFolder = Callable[..., Path]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=25, unique=True))
def test_each_target_has_a_look_of_its_own(names: list[str]) -> None:
    looks = style.looks(names)
    assert set(looks) == set(names)
    assert len({(look.colour, look.dash) for look in looks.values()}) == len(names)
    if len(names) <= len(style.COLOURS):
        assert len({look.colour for look in looks.values()}) == len(names)


def test_looks_do_not_depend_on_order() -> None:
    assert style.looks(["dso", "cgi", "dso"]) == style.looks(["cgi", "dso"])


def test_the_same_svg_each_time(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(blocks=2)).summary()
    one, two = (style.to_svg(throughput.cpu(summary)) for _ in range(2))
    assert one == two
    assert "<text" not in one


def test_few_decades_have_ticks_within_them_and_many_have_not() -> None:
    assert {20.0, 50.0} <= set(style.log_ticks((10, 1000)).tick_values(10, 1000))
    assert not {20.0, 50.0} & set(style.log_ticks((10, 1e6)).tick_values(10, 1e6))


def test_a_long_name_is_cut_with_a_mark() -> None:
    assert style.short_name("x" * 28) == "x" * 28
    assert style.short_name("x" * 29) == "x" * 27 + "\N{HORIZONTAL ELLIPSIS}"
