"""What is made of a load's outcome."""

from __future__ import annotations

import pytest

from harness.density.study import why_void


@pytest.mark.parametrize(
    ("done", "reason"),
    [
        ({"requests": 5, "errors": 0}, ""),
        ({"requests": 0, "errors": 0}, "void: no request was answered in time (--seconds)"),
        (
            {"requests": 5, "errors": 2, "evidence": {"reason": "status 503"}},
            "void: 2 wrong answers, first: status 503",
        ),
        (
            {"requests": 0, "errors": 1, "evidence": None},
            "void: 1 wrong answers, first: requests without an answer",
        ),
    ],
)
def test_a_load_that_proves_nothing_says_why(done: dict[str, object], reason: str) -> None:
    assert why_void(done) == reason
