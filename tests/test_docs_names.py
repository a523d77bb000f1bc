"""The documentation names what there is: pages, headings, files, commands and their options."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from harness.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
STARTS = ("README.md", "docs/index.md")
LOG = "CHANGELOG.md"
"""It also names what there no longer is."""

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`+)(.+?)\1")
FILE = re.compile(r"(?<![\w./-])(?:harness|servers|workloads|reports|tests|docs)/[\w./-]*")
PLACEHOLDER = re.compile(r"[A-Z]{2,}")
COMMAND = re.compile(r"(?<![\w./-])isobench (?!-)(.+)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
ANOTHER_PROGRAM = re.compile(r"\s(?:[|&;]+|#)\s")

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OF_SERVERS = {"--credential-key", "--phases", "--programs"}
"""Options of `python -m servers`, which docs name without it."""


def code(page: Path) -> Iterator[str]:
    """Yield the pieces of code of a page: its spans, and the lines of its fenced blocks."""
    text = page.read_text()
    for fence in FENCE.findall(text):
        yield from re.sub(r"\\\n\s*", "", fence).splitlines()[1:-1]
    for span in SPAN.finditer(FENCE.sub("", text)):
        yield span[2]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    plain = (
        re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page.read_text())
    )
    return {heading.replace(" ", "-") for heading in plain}


def options(name: str) -> set[str]:
    """Return the options of a command."""
    known = (text for one in COMMANDS[name].params for text in (*one.opts, *one.secondary_opts))
    return {*known, "--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {path}#{anchor}"


def test_each_page_is_reached_from_the_readme_or_the_index() -> None:
    reached, left = set(), [ROOT / name for name in STARTS]
    while left:
        page = left.pop()
        if page not in reached:
            reached.add(page)
            linked = ((page.parent / path).resolve() for path, _ in LINK.findall(page.read_text()))
            left += [file for file in linked if file in PAGES]
    assert reached == {*PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_a_page_names_is_there(page: Path) -> None:
    if page.name != LOG:
        named = {path.rstrip(".") for text in code(page) for path in FILE.findall(text)}
        there = {path for path in named if PLACEHOLDER.search(path) or (ROOT / path).exists()}
        assert named == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_that_a_page_gives_has_its_options(page: Path) -> None:
    for text in code(page):
        for given in COMMAND.findall(text):
            name, _, rest = ANOTHER_PROGRAM.split(given)[0].partition(" ")
            if page.name == LOG or PLACEHOLDER.match(name):
                continue
            assert name in COMMANDS, f"isobench {given}"
            assert {*OPTION.findall(rest)} <= options(name), f"isobench {given}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_option_that_prose_names_is_one_of_a_command(page: Path) -> None:
    known = set().union({"--version"}, OF_SERVERS, *map(options, COMMANDS))
    spans = (span[2] for span in SPAN.finditer(FENCE.sub("", page.read_text())))
    named = {text.partition(" ")[0].partition("=")[0] for text in spans if text.startswith("--")}
    assert page.name == LOG or named <= known


def test_the_options_of_servers_are_those_of_the_program() -> None:
    command = [sys.executable, "-m", "servers", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {*OPTION.findall(shown)} >= OF_SERVERS
