"""`isobench run --slo` as a command: found, interrupted and resumed, refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import cli
from harness.results.folder import ResultsFolder
from harness.results.rows import SloRow
from harness.slo.bench import PromiseBench
from harness.trial.generators.generator import GeneratorFailed
from servers import peers
from servers.errors import Unavailable
from tests.harness.live import Say, needs_root

SHORT = (
    "run", "--slo", "p90 < 40ms", "--rate-per-tenant", "0.5", "--modes", "dso", "--tenants", "2",
    "--workers", "2", "--blocks", "2", "--seconds", "0.1", "--seed", "3",
)  # fmt: skip


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Searches of two open loads."""
    for bound in ("MOST_LOOKS", "MORE_LOOKS"):
        monkeypatch.setattr(f"harness.slo.search.{bound}", 2)
    monkeypatch.setattr("harness.slo.bench.PILOT_S", 0.1)
    monkeypatch.setattr("harness.slo.bench.WARMUP_S", 0.05)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))


@needs_root
@pytest.mark.usefixtures("short")
def test_an_interrupted_search_goes_on_where_it_was_and_tells_the_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def called(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["isobench", *map(str, arguments)])
        code, written = cli.main(), capsys.readouterr()
        return code, written.out + written.err

    def failing(self: PromiseBench, block: int, target: str) -> list[SloRow]:
        if block == 2:
            raise GeneratorFailed("it is gone", hint="go on")
        return search(self, block, target)

    search, out = PromiseBench.search, tmp_path / "results"
    monkeypatch.setattr(PromiseBench, "search", failing)
    code, said = called(*SHORT, "--out", out)
    assert code == 2
    assert f"isobench run --resume {out}" in said
    code, said = called(*SHORT, "--out", out)
    assert code == 2
    assert f"continue them: isobench run --resume {out}" in said
    monkeypatch.setattr(PromiseBench, "search", search)
    code, said = called("run", "--resume", out)
    assert code == 0
    assert "dso keeps p90 below 40 ms up to" in said
    assert "at 0.5 req/s a tenant" in said
    folder = ResultsFolder.open(out)
    rows = folder.table("slo")
    assert rows[rows["step"] == 0]["block"].tolist() == [1, 2]
    assert folder.manifest.also["slo"]["finished_at"]
    assert folder.manifest.finished_at
    for name in ("figures/slo.svg", "slo.csv", "report.html"):
        assert (out / name).exists()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert called("run", "--resume", out)[0] == 2


@needs_root
@pytest.mark.usefixtures("short")
def test_products_are_searched_beside_their_modes(
    monkeypatch: pytest.MonkeyPatch, say: Say, tmp_path: Path
) -> None:
    try:
        peers.load("apache-php").check()
    except Unavailable as missing:
        pytest.skip(f"{missing.reason}: {missing.hint}")
    # For good, in this process.
    monkeypatch.setattr("harness.commands.groundwork.beside_products.run_on", lambda _path: None)
    out = tmp_path / "results"
    module = ("--modes", "dso,apache-ruid2", "--module", tmp_path / "mod_ruid2.so")
    code, said = say(*SHORT, *module, "--out", out)
    assert code == 2
    assert "mod_ruid2.so is not a file" in said
    code, said = say(*SHORT, "--modes", "dso,apache-php", "--blocks", "1", "--out", out)
    assert code == 0, said
    folder = ResultsFolder.open(out)
    assert set(folder.table("slo")["target"]) == {"dso", "apache-php"}
    assert [one.kind for one in folder.manifest.targets] == ["mode", "peer"]
    page = (out / "report.html").read_text()
    assert "PHP inside Apache" in page
    assert "slo.csv" in page
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--slo", "p99 < 50"), "write it like 'p99 < 50ms'"),
        (("--rate-per-tenant", "0.5"), "--rate-per-tenant goes with --slo"),
        (("--slo", "p99 < 50ms", "--load", "open:5"), "omit --load"),
        (("--slo", "p99 < 50ms", "--workload", "hello,sqlite"), "several of --workload"),
        (("--slo", "p99 < 50ms", "--rate-per-tenant", "0"), "must be a number above 0"),
        (("--slo", "p99 < 50ms", "--client", "fasthttp"), "cannot send at intended times"),
    ],
)
def test_what_makes_no_sense_is_refused(
    say: Say, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    code, written = say("run", *options, "--out", tmp_path / "results")
    assert code == 2
    assert said in written
    assert not (tmp_path / "results").exists()
