"""An access log as the load of a run, from the option to the folder."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from harness.commands.running import traffic
from harness.commands.running.traffic import Wanted, nameless, of_folder, speed_of
from harness.errors import IsobenchError
from harness.plan.plan import Plan
from harness.results.folder import ResultsFolder
from tests.harness.live import MANIFEST, Isobench, needs_root
from workloads.access_log.synthetic import line, visits

TELLTALE = (b"198.51.100.", b"2001:db8", b"session=8a7f", b"site0.", b"/cart", b"Mozilla")
"""Of addresses, of the query string, and of what else is not kept."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "acme.example.log.gz"
    text = "".join(f"{line(visit)}\n" for visit in visits(400, hosts=8, seconds=100, seed=2))
    path.write_bytes(gzip.compress(text.encode() + b"198.51.100.7 a malformed line?session=8a7f\n"))
    return path


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        (None, 20.0),
        ("fit", 20.0),
        ("60", 60.0),
        ("60x", 60.0),
        ("0.5", 0.5),
        ("200/s", 50.0),
        ("1/s", 0.25),
    ],
)
def test_speeds(text: str | None, speed: float) -> None:
    assert speed_of(text, mean=4.0, period_s=100, seconds=5.0) == speed


def test_a_busy_log_is_no_faster_than_targets_can_bear_and_none_is_slowed_down() -> None:
    assert speed_of(None, mean=10.0, period_s=1000, seconds=5.0) == traffic.MOST_RATE / 10
    assert speed_of(None, mean=900.0, period_s=1000, seconds=5.0) == 1.0
    assert speed_of("fit", mean=10.0, period_s=3, seconds=5.0) == 1.0


def test_a_log_becomes_a_load(log: Path) -> None:
    made = traffic.read(Wanted(log, ["hello"], rules=["/shop/*=page:1ms"], tenants=3))
    assert (made.tenants, made.workload, made.seconds) == (3, "hello+page:1ms", traffic.SECONDS)
    assert made.load.log is not None
    assert made.load.rate == pytest.approx(made.load.log.mean_per_second * made.load.speed)
    assert made.load.trace == made.trace.sha256
    assert "1 line is malformed, the first: line 401, " in " ".join(made.about)
    quick = traffic.read(Wanted(log, ["hello"], quick=True))
    assert quick.seconds == traffic.QUICK_SECONDS


def test_a_rate_that_nobody_can_send_is_refused(log: Path) -> None:
    with pytest.raises(IsobenchError, match="cannot be offered"):
        traffic.read(Wanted(log, ["hello"], speed="10000000/s"))


def test_the_name_of_the_log_is_not_written_down() -> None:
    arguments = {"replay": "acme.log", "quick": True}
    for word in ("--replay=acme.log", "--replay acme.log"):
        argv = ("isobench", "run", *word.split())
        made = nameless(replace(MANIFEST, argv=argv, arguments=arguments))
        assert made.argv == ("isobench", "run", *word.replace("acme.log", "ACCESS_LOG").split())
        assert made.arguments == {"replay": "ACCESS_LOG", "quick": True}


def test_only_the_trace_that_was_replayed_is_taken_up_again(log: Path, tmp_path: Path) -> None:
    made = traffic.read(Wanted(log, ["hello"]))
    (tmp_path / traffic.FILE).write_bytes(made.trace.to_bytes())
    assert of_folder(tmp_path, made.load).sha256 == made.trace.sha256
    with pytest.raises(IsobenchError, match="is not the trace") as caught:
        of_folder(tmp_path, replace(made.load, trace="00"))
    assert caught.value.hint


@needs_root
def test_a_log_is_replayed_and_nothing_of_its_visitors_is_kept(
    isobench: Isobench, tmp_path: Path, log: Path
) -> None:
    path = tmp_path / "results"
    arguments = ("--modes", "dso", "--connection", "close", "--workers", "2", "--blocks", "1")
    mapped = (
        "--map",
        "/shop/*=whoami",
        "--replay-speed",
        "100",
        "--seconds",
        "0.4",
        "--tenants",
        "4",
    )
    ended = isobench.call("run", "--replay", log, *arguments, *mapped, "--out", path)
    assert ended.code == 0, ended.err
    assert "The access log has 401 lines" in ended.out
    log.unlink()
    with ResultsFolder.open(path, writable=True) as folder:
        plan = Plan.from_json(folder.manifest.plan)
        folder.update(plan=replace(plan, blocks=2).to_json())
    again = isobench.call("run", "--resume", path)
    assert again.code == 0, again.err
    trials = ResultsFolder.open(path).trials()
    assert {spec.trial for spec in replace(plan, blocks=2).trials()} <= set(trials["trial"])
    assert set(trials["verdict"]) == {"ok"}
    assert (plan.tenants, plan.workloads, plan.popularity) == (4, ("hello+whoami",), "log")
    assert set(trials["load"]) == {str(plan.replay)}
    assert trials["offered_per_second"].gt(0).all()
    assert trials["errors"].eq(0).all()
    assert "The access log that was replayed" in (path / "report.html").read_text()
    kept = {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}
    assert path / traffic.FILE in kept
    for one, content in kept.items():
        assert not [word for word in (*TELLTALE, b"acme") if word in content], one
    assert isobench.lasting_traces() == []
