"""The command `history`: where its page goes, and what it says of bad input."""

from pathlib import Path

from tests.harness.live import Say
from tests.harness.results.comparison.test_history import write_runs


def test_the_page_goes_beside_the_runs(say: Say, tmp_path: Path) -> None:
    paths = write_runs(tmp_path, [100.0] * 2)
    assert say("history", tmp_path) == (0, "")
    assert (tmp_path / "history.html").exists()
    assert say("history", *paths) == (0, "")
    assert (paths[0].parent / "history.html").exists()
    assert not (paths[0] / "history.html").exists()
    assert say("history", tmp_path, "--out", tmp_path / "other.html") == (0, "")
    assert (tmp_path / "other.html").exists()


def test_csv_comes_without_a_page(say: Say, tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0] * 2)
    out = tmp_path / "history.csv"
    code, written = say("history", tmp_path, "--format", "csv", "--out", out)
    assert (code, written) == (0, f"written: {out}\n")
    assert out.read_text().startswith("time,run,machine,isobench,commit,")
    assert not (tmp_path / "history.html").exists()


def test_bad_input_is_a_users_mistake(say: Say, tmp_path: Path) -> None:
    write_runs(tmp_path, [100.0])
    for wrong in (
        [tmp_path / "nowhere"],
        [tmp_path / "of" / "run-00" / "run.json"],
        [tmp_path, "--format", "xml"],
        [tmp_path, "--metric", "speed"],
        [tmp_path, "--series", "nobody"],
        [tmp_path, "--out", tmp_path / "nowhere" / "page.html"],
    ):
        code, written = say("history", *wrong)
        assert code in (1, 2), wrong
        assert written.startswith("error: "), wrong
        assert "\nhint: " in written, wrong
    assert say("history")[0] == 2
