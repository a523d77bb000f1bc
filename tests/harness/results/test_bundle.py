"""A run as one archive: what is in it, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import random
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.results import bundle
from harness.results.folder import ResultsFolder
from tests.harness import folders


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder.open(folders.write_folder(tmp_path / "run", folders.BASE, blocks=2))


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return {one.name: found.extractfile(one).read() for one in found}  # type: ignore[union-attr]


def packed(files: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_bundle_holds_data_versions_host_command_and_citation(folder: ResultsFolder) -> None:
    found = members(bundle.pack(folder))
    names = {name.removeprefix("isobench-before/") for name in found}
    assert names >= {"bundle.json", "requirements.txt", "CITATION.cff", "results/run.json"}
    described = json.loads(found["isobench-before/bundle.json"])
    assert described["machine"] == dict(folders.BASE.machine)
    assert described["command"] == ["isobench", "run"]
    assert described["sha256"].keys() == names - {"bundle.json"}
    assert f"pandas=={version('pandas')}\n" in found["isobench-before/requirements.txt"].decode()
    assert "type: dataset" in found["isobench-before/CITATION.cff"].decode()


def test_the_same_folder_gives_the_same_bytes(folder: ResultsFolder) -> None:
    assert bundle.pack(folder) == bundle.pack(folder)


def test_what_is_unpacked_is_the_folder_again(folder: ResultsFolder, tmp_path: Path) -> None:
    (tmp_path / "b.tar.gz").write_bytes(bundle.pack(folder))
    again = bundle.unpack(tmp_path / "b.tar.gz", tmp_path / "again")
    assert ResultsFolder.open(again).manifest == folder.manifest
    for path in folder.path.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_a_changed_file_is_named(folder: ResultsFolder, tmp_path: Path) -> None:
    files = members(bundle.pack(folder))
    files["isobench-before/results/trials.parquet"] += b"x"
    path = packed(files, tmp_path / "b.tar.gz")
    with pytest.raises(IsobenchError, match=r"was made: results/trials\.parquet"):
        bundle.unpack(path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_an_added_or_a_missing_file_is_named(folder: ResultsFolder, tmp_path: Path) -> None:
    files = members(bundle.pack(folder))
    del files["isobench-before/results/run.json"]
    files["isobench-before/results/more"] = b""
    path = packed(files, tmp_path / "b.tar.gz")
    with pytest.raises(IsobenchError, match=r"made: results/more, results/run\.json"):
        bundle.unpack(path, tmp_path / "again")


@pytest.mark.parametrize("name", ["/etc/passwd", "a/../../b"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = packed({name: b""}, tmp_path / "b.tar.gz")
    with pytest.raises(IsobenchError, match="it has the member"):
        bundle.unpack(path, tmp_path / "again")


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    for path in (tmp_path / "text", tmp_path / "none", packed({"a/b": b""}, tmp_path / "other")):
        with pytest.raises(IsobenchError) as raised:
            bundle.unpack(path, tmp_path / "again")
        assert raised.value.hint


def test_a_damaged_bundle_is_refused_or_unpacked_whole(
    folder: ResultsFolder, tmp_path: Path
) -> None:
    whole, path = bundle.pack(folder), tmp_path / "b.tar.gz"
    chance = random.Random(1)
    for number in range(60):
        damaged = bytearray(whole)
        if number % 3:
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        else:
            del damaged[chance.randrange(len(whole)) :]
        path.write_bytes(damaged)
        with contextlib.suppress(IsobenchError):
            found = bundle.unpack(path, tmp_path / f"into-{number}")
            assert ResultsFolder.open(found).manifest == folder.manifest


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    files = {"a/bundle.json": json.dumps({"format": 2, "sha256": {}}).encode()}
    with pytest.raises(IsobenchError, match="has format 2"):
        bundle.unpack(packed(files, tmp_path / "b.tar.gz"), tmp_path / "again")


def test_an_unfinished_run_is_not_bundled(tmp_path: Path) -> None:
    path = folders.write_folder(tmp_path / "run", folders.BASE, blocks=1, finished=False)
    with pytest.raises(IsobenchError, match="did not finish") as raised:
        bundle.pack(ResultsFolder.open(path))
    assert "--resume" in raised.value.hint


def test_a_folder_in_the_place_of_a_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(IsobenchError, match="is a folder, and a bundle is an archive") as caught:
        bundle.unpack(tmp_path, tmp_path / "to")
    assert "isobench bundle" in caught.value.hint


def test_a_damaged_table_is_not_bundled(folder: ResultsFolder) -> None:
    table = folder.path / "trials.parquet"
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(IsobenchError, match=r"trials\.parquet is damaged"):
        bundle.pack(folder)
