"""Adding a mode is one file, one test, one paragraph (docs/adding-a-mode.md)."""

import re

import pytest

from servers import modes
from tests.servers.live import ROOT


@pytest.mark.parametrize("mode", modes.names())
def test_every_mode_has_its_section_and_its_row(mode: str) -> None:
    sections = re.findall(r"^## (\S+)$", (ROOT / "docs/modes.md").read_text(), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sections.count(mode) == 1, f"docs/modes.md has no section {mode}"
    assert rows.count(mode) == 1, f"the table of modes in README.md has no row {mode}"
