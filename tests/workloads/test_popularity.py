"""Who is asked how often."""

import numpy as np
import pytest

from workloads.errors import WorkloadError
from workloads.popularity import UNIFORM, Popularity, draw, fitted_exponent, parse


def test_parse() -> None:
    assert parse("uniform") == UNIFORM
    assert parse("zipf:0.9") == Popularity(0.9)


@pytest.mark.parametrize("text", ["", "zipf", "zipf:", "zipf:-1", "zipf:nan", "normal:1", "zipf:0"])
def test_unknown_popularity(text: str) -> None:
    with pytest.raises(WorkloadError, match="unknown popularity") as caught:
        parse(text)
    assert "zipf:1" in caught.value.hint


def test_uniform_asks_all_alike() -> None:
    counts = np.bincount(draw(UNIFORM, 10, seed=1), minlength=10)
    assert counts.min() > 0.9 * counts.max()


def test_zipf_halves_from_the_first_rank_to_the_second() -> None:
    counts = np.sort(np.bincount(draw(Popularity(1.0), 50, seed=1), minlength=50))[::-1]
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.1)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.2)


def test_the_seed_decides_alone() -> None:
    first, again, other = (draw(Popularity(1.0), 50, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert np.bincount(first).argmax() != np.bincount(other).argmax()


def test_one_tenant() -> None:
    assert set(draw(Popularity(1.0), 1, seed=0)) == {0}


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.5])
def test_a_fitted_exponent_is_that_of_the_law(exponent: float) -> None:
    ranks = np.arange(1, 201, dtype=np.float64)
    counts = np.round(1e7 * ranks**-exponent / (ranks**-exponent).sum()).astype(np.intp)
    assert fitted_exponent(counts[::-1]) == pytest.approx(exponent, abs=0.01)


def test_two_tenants_show_no_law() -> None:
    assert fitted_exponent(np.array([5, 3, 0])) is None
