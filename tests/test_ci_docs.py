"""The workflow of docs/ci.md: well-formed, with options that exist, and shell that parses."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from harness.cli import app

yaml = pytest.importorskip("yaml")

PAGE = Path(__file__).parents[1] / "docs" / "ci.md"


@pytest.fixture(name="workflow", scope="module")
def _workflow() -> Any:
    (text,) = re.findall(r"<!-- workflow -->\n\n```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return yaml.safe_load(text)


def scripts(workflow: Any) -> list[str]:
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


def test_each_step_of_the_workflow_does_one_thing(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_its_shell_parses(workflow: Any) -> None:
    for script in scripts(workflow):
        assert "${{" not in script  # an expression there is text that others chose, as shell code
        subprocess.run(["bash", "-n", "-c", script], check=True)


def test_its_commands_have_the_options_that_they_are_given(workflow: Any) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    seen = set()
    for script in scripts(workflow):
        for line in script.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            places = [place for place, word in enumerate(words) if word.endswith("bin/isobench")]
            for place in places[:1]:
                name = words[place + 1]
                known = {text for one in commands[name].params for text in one.opts}
                given = {word for word in words[place + 2 :] if word.startswith("--")}
                assert given <= known
                seen.add(name)
    assert seen == {"run", "confirm"}
