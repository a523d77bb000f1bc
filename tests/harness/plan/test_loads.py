"""How loads are written, and which there are not."""

import pytest

from harness.errors import IsobenchError
from harness.plan.loads import Closed, Open, Replay, parse_load, workers_for
from harness.results.conditions import is_log, is_open, is_portion
from workloads.access_log.summary import Summary


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


LOG = Summary(
    sha256="ab" * 32, bytes=9000, lines=90, malformed=2, first_malformed=((3, "no time"),),
    without_page=1, static=5, dropped=0, left_out=2, requests=80, other_methods=0, failed=4,
    out_of_order=3, hosts=7, tenants=5, top_share=0.5, exponent=None, span_s=40.0,
    mean_per_second=2.0, peak_per_second=9, longest_gap_s=4.0, workloads=(("hello", 80),),
)  # fmt: skip
REPLAY = Replay(rate=20.0, speed=10.0, period_s=40, trace="1a2b3c4d5e", log=LOG)


def test_a_replayed_log_is_an_open_load_that_its_trace_and_speed_tell_from_others() -> None:
    assert str(REPLAY) == "open:log:10x:1a2b3c4d"
    assert is_log(str(REPLAY))
    assert is_open(str(REPLAY))
    assert not is_portion(str(REPLAY))
    assert REPLAY.fits(4.0)
    assert not REPLAY.fits(3.9)
