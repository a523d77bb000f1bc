"""The manual page isobench(1), in the macros of man(7), from the commands and topics of help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.commands.guide.topics import TOPICS


def page(group: Any, version: str) -> str:
    """Return the page; `group` is the command line as click describes it."""
    return "\n".join(_lines(group, version)) + "\n"


def _lines(group: Any, version: str) -> Iterator[str]:
    yield f'.TH ISOBENCH 1 "" "isobench {version}" "User Commands"'
    yield from (".SH NAME", "isobench \\- measure isolation modes of multi\\-tenant web servers")
    yield from (".SH SYNOPSIS", ".B isobench", "[OPTIONS] COMMAND [ARGS]...")
    yield from (".SH DESCRIPTION", escaped(group.help or ""))
    yield ".SH COMMANDS"
    for name, command in group.commands.items():
        yield from (f".SS isobench {escaped(name)}", escaped(command.help or ""))
        for parameter in command.params:
            yield from _parameter(parameter)
    yield ".SH TERMS"
    for topic in TOPICS.values():
        yield from (".TP", f".B {escaped(topic.name)}", escaped(topic.gist))


def _parameter(parameter: Any) -> Iterator[str]:
    if getattr(parameter, "hidden", False):
        return
    names = [*parameter.opts, *parameter.secondary_opts]
    metavar = parameter.metavar or ""
    is_argument = parameter.param_type_name == "argument"
    yield ".TP"
    yield f".B {escaped(metavar or parameter.name.upper() if is_argument else ', '.join(names))}"
    if metavar and not is_argument:
        yield f".I {escaped(metavar)}"
    yield ".br"
    yield escaped(parameter.help or "")


def escaped(text: str) -> str:
    """Return text in one line, without what roff(7) would take for a request or an escape."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line
