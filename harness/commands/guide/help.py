"""What the command `help` does: explain a term on a screen, or list those that it can explain."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table

from harness.commands.guide.topics import TOPICS, Topic
from harness.errors import IsobenchError


def show_list(console: Console) -> None:
    """Print which terms there are, each in a line."""
    console.print("isobench help TOPIC explains a term:\n")
    console.print(_listed((topic.name, topic.gist) for topic in TOPICS.values()))
    console.print("\nisobench COMMAND --help describes a command, isobench --help lists them.")


def show(name: str, console: Console) -> None:
    """Print what a term means. Raises IsobenchError for one that is not explained."""
    topic = find(name)
    console.print(f"{topic.name}: {topic.gist}")
    for part in topic.parts:
        console.print()
        console.print(part if isinstance(part, str) else _listed(part))
    console.print(f"\nMore: {topic.page}")


def find(name: str) -> Topic:
    """Return a topic by its name, singular or plural. Raises IsobenchError."""
    for one in (name.lower(), name.lower().removesuffix("s")):
        if one in TOPICS:
            return TOPICS[one]
    near = get_close_matches(name.lower(), TOPICS, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise IsobenchError(f"there is no help on {name!r}", hint=f"{meant}topics: {', '.join(TOPICS)}")


def _listed(terms: Iterable[tuple[str, str]]) -> RenderableType:
    """Return words with their meanings beside them."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for word, meaning in terms:
        table.add_row(word, meaning)
    return Padding(table, (0, 0, 0, 2), expand=False)
