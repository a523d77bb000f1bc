"""What all servers' command lines have in common."""

from pathlib import Path

import pytest

from servers.command_line import UsageError, private_directory


def test_a_private_directory_is_new_each_time_and_gone_afterwards(tmp_path: Path) -> None:
    with private_directory(tmp_path) as first, private_directory(tmp_path) as second:
        assert first != second
        assert {first.parent, second.parent} == {tmp_path}
        assert first.stat().st_mode & 0o777 == 0o711
        (first / "inner" / "most").mkdir(parents=True)
        (first / "inner" / "file").write_text("left")
    assert list(tmp_path.iterdir()) == []


def test_what_links_in_it_lead_to_is_not_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    inside = tmp_path / "inside"
    inside.mkdir()
    with private_directory(inside) as made:
        (made / "directory").symlink_to(outside)
        (made / "file").symlink_to(outside / "file")
    assert list(inside.iterdir()) == []
    assert (outside / "file").read_text() == "kept"


def test_without_a_place_for_it_it_is_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with private_directory(None) as made:
        assert made.parent == tmp_path


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="is not a directory"),
        private_directory(tmp_path / "missing"),
    ):
        pass
