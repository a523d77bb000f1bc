"""Names stand beside their points, over nothing."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from reports.figures.labels import Box, place

ROOM = Box(0, 0, 600, 300)
RADIUS = 4.0


def crowd(number: int) -> list[tuple[float, float]]:
    """Return points as figures have them: most in a few clusters, some of them in one place."""
    random = np.random.default_rng(4)
    centres = [(90, 250), (250, 240), (400, 150), (520, 60)]
    found = []
    for index in range(number):
        x, y = centres[index % len(centres)]
        found.append((x + float(random.normal(0, 25)), y + float(random.choice([-9, 0, 0, 9]))))
    return found


@pytest.mark.parametrize("number", [1, 15, 30])
def test_no_name_covers_another_a_point_or_the_line(number: int) -> None:
    points = crowd(number)
    line = [(20.0, 290.0), (300.0, 200.0), (590.0, 20.0)]
    boxes = place(points, [(70.0 + index, 10.0) for index in range(number)], line, ROOM, RADIUS)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for x, y in points:
        marker = Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
        assert not any(box.overlaps(marker) for box in boxes)
    for (x0, y0), (x1, y1) in pairwise(line):
        for share in np.linspace(0, 1, 200):
            x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
            assert not any(box.overlaps(Box(x, y, x, y)) for box in boxes)
    for box in boxes:
        assert box.left >= ROOM.left
        assert box.right <= ROOM.right
        assert box.bottom >= ROOM.bottom
        assert box.top <= ROOM.top


def test_a_lonely_name_is_near_its_point() -> None:
    (box,) = place([(300.0, 150.0)], [(80.0, 10.0)], [], ROOM, RADIUS)
    x, y = box.middle
    assert abs(x - 300) < 60
    assert abs(y - 150) < 20


def test_the_same_points_give_the_same_places_and_none_gives_none() -> None:
    points, sizes = crowd(12), [(60.0, 10.0)] * 12
    assert place(points, sizes, [], ROOM, RADIUS) == place(points, sizes, [], ROOM, RADIUS)
    assert place([], [], [], ROOM, RADIUS) == []
