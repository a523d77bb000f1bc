"""How often each tenant is asked for: all alike, or by Zipf's law. Drawn beforehand, by a seed.

The popularity of web sites follows Zipf's law with an exponent of 0.6 to 1.0 (Breslau et al.,
"Web Caching and Zipf-like Distributions", INFOCOM 1999).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workloads.errors import WorkloadError

_STEEPEST, _HALVINGS = 10.0, 40

DRAWS = 65_536
"""How many choices are drawn; a longer load goes through them again."""


@dataclass(frozen=True)
class Popularity:
    """Zipf's law: the tenant of rank r is asked for as often as r ** -exponent; 0 is uniform."""

    exponent: float


UNIFORM = Popularity(0.0)


def parse(text: str) -> Popularity:
    """Read `uniform` or `zipf:S`, S being the exponent. Raises `WorkloadError`."""
    if text == "uniform":
        return UNIFORM
    name, _, number = text.partition(":")
    try:
        exponent = float(number)
    except ValueError:
        exponent = math.nan
    if name != "zipf" or not 0 < exponent <= 10:
        raise WorkloadError(
            f"unknown popularity {text!r}",
            hint="write uniform, or zipf:S with an exponent S above 0 and up to 10, such as zipf:1",
        )
    return Popularity(exponent)


def draw(popularity: Popularity, tenants: int, seed: int, size: int = DRAWS) -> NDArray[np.intp]:
    """Return `size` indices of tenants, each from 0 to `tenants` - 1.

    Which tenants are the popular ones is drawn too, so that the order in which tenants were made
    has no influence.
    """
    generator = np.random.default_rng(seed)
    weights = np.arange(1, tenants + 1, dtype=np.float64) ** -popularity.exponent
    ranks = generator.choice(tenants, size=size, p=weights / weights.sum())
    return generator.permutation(tenants)[ranks]


def fitted_exponent(counts: NDArray[np.intp]) -> float | None:
    """Return the exponent of Zipf's law that fits best to how often tenants were asked for.

    By maximum likelihood, with the tenants ranked by these very counts; None for fewer than three
    tenants. The derivative falls as the exponent grows, so halving finds where it is 0.
    """
    ranked = np.sort(counts[counts > 0])[::-1]
    if len(ranked) < 3:
        return None
    logs = np.log(np.arange(1, len(ranked) + 1))
    seen = float((ranked * logs).sum() / ranked.sum())
    low, high = 0.0, _STEEPEST
    for _ in range(_HALVINGS):
        exponent = (low + high) / 2
        weights = np.exp(-exponent * logs)
        expected = float((weights * logs).sum() / weights.sum())
        low, high = (exponent, high) if expected > seen else (low, exponent)
    return (low + high) / 2
