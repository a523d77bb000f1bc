"""How loads are written, and which there are not."""

import pytest

from harness.errors import IsobenchError
from harness.plan.loads import Closed, Open, parse_load, workers_for


def test_a_pool_is_as_large_as_the_loads_ask_for() -> None:
    assert workers_for([Closed(2), Closed(12)]) == 12
    assert workers_for([Open(50)]) == workers_for([]) == 8
    assert workers_for([Closed(2), Open(50)]) == 8


def test_loads() -> None:
    assert parse_load("closed:8") == Closed(8)
    assert str(Closed(8)) == "closed:8"


@pytest.mark.parametrize(
    ("text", "load"),
    [
        ("open:500", Open(500.0)),
        ("open:500:uniform", Open(500.0, "uniform")),
        ("open:0.25", Open(0.25)),
        ("open:1000000", Open(1e6)),
    ],
)
def test_open_loads(text: str, load: Open) -> None:
    assert parse_load(text) == load
    assert str(load) == text
    assert parse_load("open:500:poisson") == Open(500.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open:0", "cannot be offered"),
        ("open:1000001", "cannot be offered"),
        ("open:500:weekly", "unknown schedule 'weekly'"),
        ("open:", "is not a load"),
        ("open:-5", "is not a load"),
        ("open:1e3", "is not a load"),
        ("open:nan", "is not a load"),
        ("open:500:", "is not a load"),
    ],
)
def test_what_cannot_be_offered(text: str, reason: str) -> None:
    with pytest.raises(IsobenchError, match=reason) as caught:
        parse_load(text)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "8", "closed:", "closed:0", "closed:-1", "closed:8 ", "half"])
def test_what_is_no_load(text: str) -> None:
    with pytest.raises(IsobenchError, match="is not a load") as caught:
        parse_load(text)
    assert "closed:N" in caught.value.hint
