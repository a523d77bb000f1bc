"""The manual page: what is in it, and that man(1) has no complaint."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.guide.man_page import escaped


@pytest.mark.parametrize(
    ("text", "roff"),
    [(".hidden", "\\&.hidden"), ("'x'", "\\&'x'"), ("a\\b --c\n d", "a\\eb \\-\\-c d")],
)
def test_nothing_is_taken_for_a_request(text: str, roff: str) -> None:
    assert escaped(text) == roff


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man(1) here")
@pytest.mark.parametrize("columns", ["80", "50"])
def test_man_shows_commands_options_and_terms(tmp_path: Path, columns: str) -> None:
    command = [sys.executable, "-m", "harness", "help", "--man"]
    page = tmp_path / "isobench.1"
    page.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    shown = subprocess.run(
        ["man", "--warnings", "-l", str(page)],
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": columns, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    for word in ("isobench density", "--wake", "COMMANDS", "TERMS", "interval"):
        assert word in shown.stdout
