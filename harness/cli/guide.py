"""The arguments of `isobench help` and `completion`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harness.commands.guide import completion
from harness.terminal import Terminal


def explain(
    ctx: typer.Context,
    topic: Annotated[
        str | None,
        typer.Argument(
            help="A term, or a command. Default: list the terms.",
            autocompletion=completion.topics,
        ),
    ] = None,
    man: Annotated[bool, typer.Option("--man", help="Write the manual page: man -l FILE.")] = False,
) -> None:
    """Explain a term: mode, load, block, interval, verdict or promise."""
    from harness.commands.guide import help as command

    group: Any = ctx.find_root().command
    if man:
        from importlib.metadata import version

        from harness.commands.guide import man_page
        from harness.commands.output import deliver

        deliver(man_page.page(group, version("isobench")), None)
    elif topic is None:
        command.show_list(Terminal())
    elif topic in group.commands:
        group.main([topic, "--help"], prog_name=completion.PROGRAM)
    else:
        command.show(topic, Terminal())


def complete(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL",
            help="bash, zsh or fish.",
            autocompletion=completion.one_of(*completion.SHELLS),
        ),
    ],
) -> None:
    """Print a script that lets a shell complete commands, options and their values."""
    from harness.commands.output import deliver

    deliver(completion.script(shell), None)
