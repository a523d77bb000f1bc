"""Whole logs: tenants, counts, and that nothing of a visitor is kept."""

import gzip
import json
from collections import Counter
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from workloads.access_log import line as lines
from workloads.access_log import survey
from workloads.access_log.mapping import Mapping, Rule
from workloads.access_log.summary import Summary
from workloads.access_log.survey import Read
from workloads.access_log.synthetic import Visit, line, visits
from workloads.access_log.trace import WORKLOAD_BITS
from workloads.errors import WorkloadError

VISITS = list(visits(requests=600, hosts=20, seconds=300, seed=3))
PAGES = [visit for visit in VISITS if ".css" not in visit.request and ".png" not in visit.request]


def write(path: Path, made: list[Visit], *others: bytes) -> Path:
    path.write_bytes(b"".join(line(visit).encode() + b"\n" for visit in made) + b"".join(others))
    return path


def read(
    path: Path, *rules: str, by: str = "host", most: int = 100, default: str = "hello"
) -> Read:
    return survey.read(path, Mapping([Rule.read(rule) for rule in rules], default), by, most)


def tenants_of(found: Read) -> Counter[int]:
    return Counter((found.trace.array[1] >> WORKLOAD_BITS).tolist())


def test_hosts_are_numbered_by_how_popular_they_are(tmp_path: Path) -> None:
    found = read(write(tmp_path / "log", VISITS))
    popular = Counter(visit.host for visit in PAGES)
    assert found.summary.requests == len(PAGES)
    assert found.summary.static == len(VISITS) - len(PAGES)
    assert found.summary.hosts == found.summary.tenants == len(popular)
    counts = [count for _, count in popular.most_common()]
    assert [tenants_of(found)[number] for number in range(len(popular))] == counts
    assert found.summary.top_share == pytest.approx(counts[0] / len(PAGES))
    assert found.summary.exponent == pytest.approx(1.0, abs=0.25)


def test_only_the_most_popular_hosts_become_tenants(tmp_path: Path) -> None:
    found = read(write(tmp_path / "log", VISITS), most=3)
    most = [count for _, count in Counter(visit.host for visit in PAGES).most_common(3)]
    assert (found.summary.tenants, found.summary.requests) == (3, sum(most))
    assert found.summary.left_out == len(PAGES) - sum(most)
    assert found.summary.hosts > 3
    assert set(tenants_of(found)) == {0, 1, 2}


def test_gzip_makes_no_difference_but_of_the_digest(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "log", VISITS))
    (tmp_path / "log.gz").write_bytes(gzip.compress((tmp_path / "log").read_bytes()))
    packed = read(tmp_path / "log.gz")
    assert packed.trace.sha256 == plain.trace.sha256
    assert packed.summary.sha256 != plain.summary.sha256
    same = {"sha256": "", "bytes": 0}
    assert replace(packed.summary, **same) == replace(plain.summary, **same)  # type: ignore[arg-type]


def test_lines_out_of_order_are_sorted_and_counted(tmp_path: Path) -> None:
    in_order = read(write(tmp_path / "log", PAGES))
    apart = [*PAGES[300:], *PAGES[:300]]
    found = read(write(tmp_path / "shuffled", apart))
    assert in_order.summary.out_of_order == 0
    assert found.summary.out_of_order > 250
    assert (np.diff(found.trace.array[0]) >= 0).all()
    assert found.summary.span_s == in_order.summary.span_s
    assert np.array_equal(found.trace.array[0], in_order.trace.array[0])


def test_malformed_lines_are_counted_and_the_first_three_named(tmp_path: Path) -> None:
    bad = b"a line of something else\n"
    path = write(tmp_path / "log", VISITS, bad, b'x - - [secret 192.0.2.99 "\n', bad, bad)
    found = read(path).summary
    assert (found.lines, found.malformed) == (len(VISITS) + 4, 4)
    assert found.first_malformed == tuple((len(VISITS) + n, lines.NO_TIME) for n in (1, 2, 3))


def test_other_methods_and_failures_count_as_requests_of_the_page(tmp_path: Path) -> None:
    first = VISITS[0]
    made = [
        replace(first, request="PUT /a HTTP/1.1"),
        replace(first, status=404),
        replace(first, status=503),
        replace(first, request="-", status=408),
        replace(first, request="POST /a HTTP/1.1"),
    ]
    found = read(write(tmp_path / "log", made)).summary
    assert (found.other_methods, found.failed, found.without_page) == (1, 2, 1)
    assert found.requests == 4


def test_paths_become_workloads(tmp_path: Path) -> None:
    found = read(
        write(tmp_path / "log", VISITS), "/shop/*=page:5ms", "/index.php=drop", "*.css=sqlite"
    )
    by_path = Counter(visit.request.split()[1].partition("?")[0] for visit in VISITS)
    assert dict(found.summary.workloads) == {
        "hello": by_path["/"] + by_path["/api/items/7"],
        "page:5ms": by_path["/shop/cart"],
        "sqlite": by_path["/style.css"],
    }
    assert found.summary.dropped == by_path["/index.php"]
    again = read(tmp_path / "log", "/nowhere=upload", "/shop/*=page:5ms").summary
    assert [name for name, _ in again.workloads] == ["hello", "page:5ms"]
    numbers = Counter((found.trace.array[1] & 255).tolist())
    assert [numbers[number] for number in range(3)] == [n for _, n in found.summary.workloads]


def test_without_virtual_hosts_tenants_are_told_apart_by_path_or_not_at_all(tmp_path: Path) -> None:
    plain = write(tmp_path / "log", [replace(visit, host=None) for visit in PAGES])
    segments = Counter(visit.request.split()[1].split("/")[1].partition("?")[0] for visit in PAGES)
    by_path = read(plain, by="path").summary
    assert by_path.tenants == len(segments)
    as_one = read(plain, by="one").summary
    assert (as_one.tenants, as_one.requests, as_one.top_share) == (1, len(PAGES), 1.0)
    assert as_one.exponent is None
    with pytest.raises(WorkloadError, match="no virtual host") as caught:
        read(plain)
    assert "--replay-tenants path" in caught.value.hint


def test_rates_and_gaps_are_those_of_the_log(tmp_path: Path) -> None:
    first = VISITS[0]
    at = [0, 0, 0, 1, 9]
    made = [replace(first, at=first.at + timedelta(seconds=second)) for second in at]
    made = [replace(visit, request="GET / HTTP/1.1") for visit in made]
    found = read(write(tmp_path / "log", made)).summary
    assert (found.span_s, found.mean_per_second) == (10.0, 0.5)
    assert (found.peak_per_second, found.longest_gap_s) == (3, 8.0)


def test_nothing_of_a_visitor_or_a_name_is_in_what_is_kept(tmp_path: Path) -> None:
    secret = [
        replace(
            visit,
            host=f"{visit.host}.tell-tale",
            address="203.0.113.77",
            user="telltale",
            request="GET /telltale/page?token=telltale HTTP/1.1",
            referer="http://telltale/",
            agent="telltale",
        )
        for visit in PAGES
    ]
    found = read(write(tmp_path / "log", secret, b"telltale 203.0.113.77 ?token=telltale\n"))
    kept = repr(asdict(found.summary)).encode() + found.trace.to_bytes()
    for trace in (b"telltale", b"tell-tale", b"203.0.113.77", b"token"):
        assert trace not in kept


def test_a_summary_survives_json(tmp_path: Path) -> None:
    found = read(write(tmp_path / "log", VISITS, b"bad\n"), "/shop/*=sqlite").summary
    assert Summary.from_json(json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a diary\nof mine\n", "2 of 2 lines are malformed"),
        (gzip.compress(b"", mtime=0), "0 of 0 lines"),
        (b"x" * 300_000, "1 of 1 lines are malformed, most often: longer than"),
        (b"word\n" * 20_000, "10,000 of 10,000 lines"),
        (line(replace(VISITS[0], request="GET /a.css HTTP/1.1")).encode(), "1 are of static files"),
    ],
    ids=("prose", "nothing", "long line", "words", "static"),
)
def test_what_is_no_log_or_leaves_nothing_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(WorkloadError, match=reason) as caught:
        read(tmp_path / "log")
    assert caught.value.hint


def test_hosts_beyond_a_bound_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MOST_HOSTS", 2)
    found = read(write(tmp_path / "log", PAGES)).summary
    assert found.hosts == 2
    assert found.requests + found.left_out == len(PAGES)
