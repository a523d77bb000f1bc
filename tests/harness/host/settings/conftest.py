"""A host of made-up files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.host.settings.view import View
from tests.harness.host.settings.made import GOOD, Made


@pytest.fixture
def host(tmp_path: Path) -> Made:
    """Makes a host on which all is well but for some files; None for one that is missing."""

    def made(files: Mapping[str, str | None], cpus: tuple[int, ...] = (0, 1)) -> View:
        for name, text in {**GOOD, **files}.items():
            if text is not None:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(text + "\n")
        return View(tmp_path, cpus)

    return made
