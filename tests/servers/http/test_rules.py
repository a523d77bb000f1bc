"""docs/http.md names the tests that show its rules."""

import re
from pathlib import Path


def test_the_tests_that_the_rules_name_exist() -> None:
    here = Path(__file__).parents[1]
    rules = (here.parents[1] / "docs" / "http.md").read_text()
    defined = {
        name
        for file in here.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", rules)) <= defined
