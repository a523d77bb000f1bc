"""Paths and the workloads that stand for them."""

import pytest

from workloads.access_log.mapping import DROPPED, STATIC, Mapping, Rule
from workloads.errors import WorkloadError


def mapping(*rules: str, default: str = "hello") -> Mapping:
    return Mapping([Rule.read(rule) for rule in rules], default)


def test_without_a_rule_pages_are_the_default_and_static_files_are_dropped() -> None:
    plain = mapping()
    assert plain.workloads == ("hello",)
    assert [plain.of(b"GET", path) for path in (b"/", b"/a.php", b"/a.css/b", b"/css")] == [0] * 4
    for path in (b"/a.css", b"/x/Logo.PNG", b"/robots.txt", b"/a\nb.jpeg", b"/f.woff2"):
        assert plain.of(b"GET", path) == STATIC


def test_the_first_rule_that_matches_decides() -> None:
    made = mapping("/shop/*=page:5ms", "/shop/cart=sqlite", "*.css|*.js=template", "/status=drop")
    assert made.workloads == ("hello", "page:5ms", "sqlite", "template")
    assert made.of(b"GET", b"/shop/cart") == 1
    assert made.of(b"GET", b"/x.js") == 3
    assert made.of(b"GET", b"/status") == DROPPED
    assert made.of(b"GET", b"/statusx") == 0


def test_a_rule_may_be_for_one_method() -> None:
    made = mapping("post *=upload", "/a=b=sqlite")
    assert made.of(b"POST", b"/any") == 1
    assert made.of(b"GET", b"/any") == 0
    assert made.of(b"GET", b"/a=b") == 2


def test_a_workload_that_several_rules_name_is_one() -> None:
    made = mapping("/a=page:5000us", "/b=page:5ms", "/c=hello")
    assert made.workloads == ("hello", "page:5ms")
    assert made.of(b"GET", b"/c") == 0


@pytest.mark.parametrize("text", ["", "hello", "=hello", "|=hello", "a b c=hello", "1 /=hello"])
def test_what_maps_nothing_is_refused(text: str) -> None:
    with pytest.raises(WorkloadError, match="is not a rule of --map") as caught:
        Rule.read(text)
    assert "PATTERN=WORKLOAD" in caught.value.hint


def test_unknown_and_too_many_workloads_are_refused() -> None:
    with pytest.raises(WorkloadError, match="unknown workload 'shop'"):
        Rule.read("/a=shop")
    with pytest.raises(WorkloadError, match="too many workloads in one load: 17"):
        mapping(*(f"/{number}=page:{number}ms" for number in range(1, 17)))
