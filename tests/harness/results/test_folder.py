"""The results folder: nothing is lost, nothing is overwritten, one writer at a time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import Caution, IsobenchError
from harness.results import schema
from harness.results.folder import ResultsFolder
from harness.stats.histogram import Histogram
from tests.harness import folders
from tests.harness.live import MANIFEST

ROW = replace(folders.ROW, trial="1-dso")


def test_a_trial_is_read_back(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path / "r", MANIFEST) as folder:
        folder.append_trial(ROW, np.array([0.3, 100.0, 250.5]), np.array([1000.0]))
        folder.append_trial(replace(ROW, trial="2-dso", block=2), [5.0])
    again = ResultsFolder.open(tmp_path / "r")
    assert again.manifest == MANIFEST
    assert again.trials()["trial"].tolist() == ["1-dso", "2-dso"]
    first = again.latency().iloc[0]
    assert (first["clock"], first["count"], first["min_us"]) == ("service", 3, 0.3)
    assert Histogram.from_text(first["hdr"]).at_rank(1) == 1
    assert again.latency()["clock"].tolist() == ["service", "response", "service"]


def test_a_void_trial_has_evidence_and_no_numbers(tmp_path: Path) -> None:
    row = replace(ROW, requests_per_second=None, verdict="void: uid", first_error="uid=0")
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        folder.append_trial(row)
        assert folder.latency().empty
        assert folder.trials()["first_error"].tolist() == ["uid=0"]


def test_verdicts_that_no_reader_knows() -> None:
    with pytest.raises(ValueError, match="neither ok nor void"):
        replace(ROW, verdict="fine")
    with pytest.raises(ValueError, match="no requests per second"):
        replace(ROW, requests_per_second=None)


def test_the_same_trial_twice(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        folder.append_trial(ROW)
        with pytest.raises(ValueError, match="there already"):
            folder.append_trial(ROW)


def test_a_histogram_whose_trial_never_ended_is_not_shown_and_is_replaced(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        folder.append_trial(ROW, [1.0, 2.0])
        (tmp_path / "trials.parquet").unlink()
        assert folder.latency().empty
        folder.append_trial(ROW, [5.0])
        assert folder.latency()["count"].tolist() == [1]


def test_an_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    ResultsFolder.create(tmp_path, MANIFEST).close()
    with pytest.raises(IsobenchError, match="never overwritten") as caught:
        ResultsFolder.create(tmp_path, replace(MANIFEST, run_id="r2"))
    assert f"--resume {tmp_path}" in caught.value.hint
    assert "--out" in caught.value.hint
    assert ResultsFolder.open(tmp_path).manifest.run_id == MANIFEST.run_id


def test_what_cannot_be_made_is_known_beforehand(tmp_path: Path) -> None:
    ResultsFolder.must_be_free(tmp_path / "new" / "deeper")
    assert list(tmp_path.iterdir()) == []
    ResultsFolder.create(tmp_path / "r", MANIFEST).close()
    with pytest.raises(IsobenchError, match="never overwritten"):
        ResultsFolder.must_be_free(tmp_path / "r")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "in it"):
        with pytest.raises(IsobenchError, match="is not a directory") as caught:
            ResultsFolder.must_be_free(path)
        assert "--out" in caught.value.hint


def test_trials_without_a_manifest_are_not_overwritten_either(tmp_path: Path) -> None:
    schema.append(tmp_path, "costs", [])
    with pytest.raises(IsobenchError, match=r"costs\.parquet"):
        ResultsFolder.create(tmp_path, MANIFEST)


def test_one_writer(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        with pytest.raises(IsobenchError, match="another isobench is writing"):
            ResultsFolder.open(tmp_path, writable=True)
        with pytest.raises(IsobenchError, match="another isobench is writing"):
            ResultsFolder.create(tmp_path, MANIFEST)
        folder.append_trial(ROW)
    with ResultsFolder.open(tmp_path, writable=True) as later:
        later.append_table("costs", [])
        assert len(later.trials()) == 1


def test_a_reader_may_not_write(tmp_path: Path) -> None:
    ResultsFolder.create(tmp_path, MANIFEST).close()
    with pytest.raises(RuntimeError, match="opened to be read"):
        ResultsFolder.open(tmp_path).append_trial(ROW)


def test_finish(tmp_path: Path) -> None:
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        assert json.loads((tmp_path / "run.json").read_text())["finished_at"] is None
        folder.finish([Caution("noise", "wait")])
    manifest = ResultsFolder.open(tmp_path).manifest
    assert manifest.finished_at is not None
    assert manifest.warnings == (Caution("noise", "wait"),)


def test_other_tables(tmp_path: Path) -> None:
    row = {"target": "dso", "phase": "script", "order": 3, "part": "request", "median_us": 1.0}
    with ResultsFolder.create(tmp_path, MANIFEST) as folder:
        folder.append_table("phases", [row | {"p90_us": 1.9, "share": None}])
        assert folder.table("phases")["median_us"].tolist() == [1.0]
        for name in ("trials", "weather"):
            with pytest.raises(ValueError, match="no table"):
                folder.append_table(name, [])


@pytest.mark.parametrize("content", [None, "not json", '{"schema": 99}'])
def test_folders_that_cannot_be_opened(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    for writable in (False, True):
        with pytest.raises(IsobenchError, match=r"run\.json") as caught:
            ResultsFolder.open(tmp_path, writable=writable)
        assert caught.value.hint


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(IsobenchError, match="not a results folder"):
        ResultsFolder.open(file)
    with pytest.raises(IsobenchError, match="cannot write"):
        ResultsFolder.create(file, MANIFEST)


_WRITER = """
import itertools, sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = {paths!r}
from harness.results.folder import ResultsFolder
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST
folder = ResultsFolder.create(Path(sys.argv[1]), MANIFEST)
for number in itertools.count():
    folder.append_trial(replace(ROW, trial=str(number)), range(100))
"""


def test_a_killed_run_leaves_whole_files_and_can_be_gone_on_with(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parents[3]), *sys.path]
    code = _WRITER.format(paths=paths)
    path = tmp_path / "r"
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as writer:
        while len(schema.read(path, "trials")) < 5 and writer.poll() is None:
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with ResultsFolder.open(path, writable=True) as folder:
        before = len(folder.trials())
        assert before >= 5
        assert len(folder.latency()) == before
        folder.append_trial(replace(ROW, trial="after"), [1.0])
        assert len(folder.trials()) == before + 1
    assert not list(path.glob(".*.partial"))
