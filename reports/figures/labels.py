"""Where names go in a panel full of points: beside their points, and over nothing.

Strategy
========

Everything that is in the way is made of boxes in pixels: markers, names already placed, and lines,
as small boxes along them. Each name tries a fixed set of places around its point, near ones first,
and takes the cheapest; what a place costs is what it covers, how far it is, and what the leader
from the point to the name crosses. Then each name tries again with all others in place, a few times
(the greedy start and descent of Christensen, Marks and Shieber, "An empirical study of algorithms
for point-feature label placement", 1995). Nothing is random: the same points give the same figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_ANGLES = 24
# In heights of a name.
_DISTANCES = (0.9, 1.3, 1.8, 2.5, 3.3, 4.3, 5.5, 7.0, 9.0, 11.5)
_ROUNDS = 4
_ALONG = 9
"""Points along a leader that are looked at."""
_COVERS_NAME, _COVERS_POINT, _COVERS_LINE, _OUTSIDE = 1000.0, 400.0, 150.0, 2000.0
_LEADER_UNDER_NAME, _LEADER_OVER_POINT, _NAME_OVER_LEADER = 120.0, 40.0, 60.0


@dataclass(frozen=True)
class Box:
    """A rectangle; `y` grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Tell whether two have an area in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    @property
    def middle(self) -> tuple[float, float]:
        """The point in the middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    line: Sequence[tuple[float, float]],
    room: Box,
    radius: float,
) -> list[Box]:
    """Return the box of each name. All numbers are pixels.

    `sizes` are widths and heights of the names, `line` the corners of a line that no name should
    cover, `radius` that of the markers.
    """
    if not points:
        return []
    markers = _around(np.array(points, dtype=float), radius)
    drawn = _around(_along(line, radius), 1.0)
    tried = [_candidates(point, size, radius) for point, size in zip(points, sizes, strict=True)]
    alone = [
        _cost_alone(boxes, point, markers, drawn, room, sizes[0][1])
        for boxes, point in zip(tried, points, strict=True)
    ]
    leaders = [_leaders(boxes, point) for boxes, point in zip(tried, points, strict=True)]
    chosen: dict[int, int] = {}
    # The most crowded first: it has the fewest places.
    order = sorted(range(len(points)), key=lambda index: -float(np.median(alone[index])))
    for _ in range(_ROUNDS):
        for index in order:
            others = [(one, at) for one, at in chosen.items() if one != index]
            cost = alone[index] + _cost_among(tried, leaders, index, others)
            chosen[index] = int(np.argmin(cost))
    return [Box(*tried[index][chosen[index]].tolist()) for index in range(len(points))]


def _candidates(point: tuple[float, float], size: tuple[float, float], radius: float) -> Floats:
    """Return boxes around a point, (n, 4): on ovals, so that a wide name stays near."""
    width, height = size
    angles = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
    found = []
    for distance in _DISTANCES:
        away = radius + distance * height - height / 2
        x = point[0] + np.cos(angles) * (away + width / 2)
        y = point[1] + np.sin(angles) * (away + height / 2)
        found.append(
            np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
        )
    return np.concatenate(found)


def _cost_alone(
    boxes: Floats,
    point: tuple[float, float],
    markers: Floats,
    drawn: Floats,
    room: Box,
    height: float,
) -> Floats:
    outside = (
        (boxes[:, 0] < room.left)
        | (boxes[:, 1] < room.bottom)
        | (boxes[:, 2] > room.right)
        | (boxes[:, 3] > room.top)
    )
    nearest = np.stack(_nearest(boxes, point), axis=1)
    far = np.hypot(nearest[:, 0] - point[0], nearest[:, 1] - point[1]) / height
    own = np.hypot(*(_middles(markers) - np.array(point)).T) < 0.5
    crossed = _inside(_leaders(boxes, point), markers[~own]).any(axis=1).sum(axis=-1)
    cost = (
        _OUTSIDE * outside
        + _COVERS_POINT * _overlaps(boxes, markers).sum(axis=1)
        + _COVERS_LINE * _overlaps(boxes, drawn).any(axis=1)
        + _LEADER_OVER_POINT * crossed
        + far**1.5
    )
    return np.asarray(cost, dtype=float)


def _cost_among(
    tried: Sequence[Floats],
    leaders: Sequence[Floats],
    index: int,
    others: Sequence[tuple[int, int]],
) -> Floats:
    """Return what each place of one name costs for the sake of the names that are placed."""
    boxes = tried[index]
    if not others:
        return np.zeros(len(boxes))
    names = np.stack([tried[one][at] for one, at in others])
    theirs = np.concatenate([leaders[one][at] for one, at in others])
    under = _inside(leaders[index], names).any(axis=1).sum(axis=-1)
    over = _overlaps(boxes, _around(theirs, 0.5)).any(axis=1)
    covers = _overlaps(boxes, names).sum(axis=1)
    cost = _COVERS_NAME * covers + _LEADER_UNDER_NAME * under + _NAME_OVER_LEADER * over
    return np.asarray(cost, dtype=float)


def _around(points: Floats, radius: float) -> Floats:
    return np.concatenate([points - radius, points + radius], axis=1)


def _along(line: Sequence[tuple[float, float]], step: float) -> Floats:
    """Return points along a line, no further apart than `step`."""
    parts = [np.empty((0, 2))]
    for start, end in itertools.pairwise(line):
        number = max(int(np.hypot(end[0] - start[0], end[1] - start[1]) / step), 1) + 1
        parts.append(np.linspace(start, end, number))
    return np.concatenate(parts)


def _leaders(boxes: Floats, point: tuple[float, float]) -> Floats:
    """Return points of the leader to each box, (n, _ALONG, 2), without its two ends."""
    ends = np.stack(_nearest(boxes, point), axis=1)
    shares = np.linspace(0, 1, _ALONG + 2)[1:-1]
    start = np.array(point)
    return np.asarray(start + shares[None, :, None] * (ends[:, None, :] - start))


def _nearest(boxes: Floats, point: tuple[float, float]) -> tuple[Floats, Floats]:
    x = np.clip(point[0], boxes[:, 0], boxes[:, 2])
    y = np.clip(point[1], boxes[:, 1], boxes[:, 3])
    return x, y


def _middles(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def _overlaps(boxes: Floats, others: Floats) -> Floats:
    """Tell which of n boxes overlap which of m: (n, m)."""
    return np.asarray(
        (boxes[:, None, 0] < others[None, :, 2])
        & (others[None, :, 0] < boxes[:, None, 2])
        & (boxes[:, None, 1] < others[None, :, 3])
        & (others[None, :, 1] < boxes[:, None, 3])
    )


def _inside(points: Floats, boxes: Floats) -> Floats:
    """Tell which of n times k points are in which of m boxes: (n, k, m)."""
    x, y = points[..., 0, None], points[..., 1, None]
    return np.asarray((x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3]))
