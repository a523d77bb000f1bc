"""What is kept of what clients and scripts choose has an end, in bytes."""

import sys
import tracemalloc

import pytest

from servers.remembered import Bounded, Remembered, size_of


def test_what_is_known_is_not_made_again() -> None:
    asked = []

    def function(argument: int) -> str:
        asked.append(argument)
        return str(argument)

    results = Remembered(function)
    assert [results[1], results[1], results[2]] == ["1", "1", "2"]
    assert asked == [1, 2]


def test_the_first_to_come_is_the_first_to_go() -> None:
    kept = Bounded[int, str](10_000)
    for number in range(12):
        kept.keep(number, "", 1000)
    assert list(kept) == list(range(5, 12))
    assert kept.size <= 10_000


def test_what_takes_a_quarter_of_the_room_is_not_kept() -> None:
    kept = Bounded[int, str](10_000)
    kept.keep(1, "short", 100)
    kept.keep(1, "long", 2_500)
    assert not kept
    assert kept.size == 0


def test_a_key_that_is_kept_again_counts_once() -> None:
    kept = Bounded[int, str](10_000)
    for _ in range(100):
        kept.keep(1, "", 2_000)
    assert kept.size < 3_000


def test_an_account_that_was_interrupted_does_not_keep_all_out() -> None:
    kept = Bounded[int, str](10_000)
    kept.size = 10**9
    for number in range(3):
        kept.keep(number, "", 100)
    assert list(kept) == [1, 2]


@pytest.mark.parametrize("length", [0, 100, 10_000, 1_000_000])
def test_the_memory_of_results_has_an_end(length: int) -> None:
    results = Remembered[bytes, tuple[bytes, ...]](lambda key: (key[1:], key[2:]))
    tracemalloc.start()
    try:
        for number in range(3000 if length < 10_000 else 50):
            assert results[b"%d" % number + b"x" * length]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 400 * 1024


def test_the_size_of_code_is_that_of_all_its_parts() -> None:
    source = "\n".join(
        f"def f{n}(a={n}.5):\n    return {n}.25, 'text number {n}', (1, {n})" for n in range(300)
    )
    tracemalloc.start()
    try:
        code = compile(source, "a.py", "exec", dont_inherit=True)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / 2 < size_of(code) < 3 * held


def test_the_size_of_what_is_deep_needs_no_stack() -> None:
    deep: tuple[object, ...] = ()
    for _ in range(10 * sys.getrecursionlimit()):
        deep = (deep,)
    assert size_of(deep) > 10 * sys.getrecursionlimit()
