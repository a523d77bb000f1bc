"""The command `isobench`: its commands in the order of the help, and how it ends.

The options of each command are in a module beside this one; `harness.commands` has what it does.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli import (
    attack,
    costs,
    density,
    guide,
    host,
    neighbour,
    options,
    profile,
    results,
    run,
    serve,
)
from harness.commands.arguments import given
from harness.commands.guide import completion
from harness.commands.signals import default_child_signals
from harness.errors import IsobenchError, of_system
from harness.host import fingerprint, surroundings, user_namespace
from harness.terminal import BROKEN_PIPE, Terminal, abandon_output, named_errors, tell
from workloads.errors import WorkloadError

_WIDE: Final = 72
_INDENT: Final = 4


def _help_of(command: Any, ctx: Any, formatter: Any, usual: Callable[[Any, Any], None]) -> None:
    """Write a command's help: in a narrow terminal without boxes, whose columns cut names off."""
    width = shutil.get_terminal_size().columns
    if width < _WIDE:
        command.rich_markup_mode = None
        formatter.width = width - 1
        write_list = formatter.write_dl

        def write_names_above(rows: Any, *_: Any, **__: Any) -> None:
            write_list(rows, col_max=_INDENT)

        formatter.write_dl = write_names_above
    usual(ctx, formatter)


class Command(TyperCommand):
    """A command whose help gives a type to what has a value, and none to what is only named."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, as wide as the terminal."""
        _help_of(self, ctx, formatter, super().format_help)

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, with an empty type for each flag."""
        return _without_types_of_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, and refuse those that no command could mean. Raises IsobenchError."""
        words = tuple(args)
        left: list[str] = super().parse_args(ctx, args)
        options.must_be_short(ctx.params)
        options.must_not_be_empty(ctx.params, words)
        return left


class Group(TyperGroup):
    """All commands together; its help is as theirs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, as wide as the terminal."""
        _help_of(self, ctx, formatter, super().format_help)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with all of what they do; of the help without boxes."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(1000)) for name, one in commands.items() if one]
            )

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, with an empty type for each flag."""
        return _without_types_of_flags(super().get_params(ctx))


def _without_types_of_flags(params: Any) -> Any:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class Recorded(Command):
    """A command whose arguments, defaults included, are written into run.json."""

    def invoke(self, ctx: Any) -> Any:
        """Carry the command out."""
        with given(ctx.params):
            return super().invoke(ctx)


app = typer.Typer(
    name="isobench",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    """Print the version and end, if that was asked for."""
    if wanted:
        Terminal().print(f"isobench {fingerprint.own_version()}", highlight=False)
        raise typer.Exit


@app.callback()
def isobench(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Measure what each isolation mode of a multi-tenant web server costs."""


app.command(cls=Recorded)(run.run)
app.command(cls=Recorded)(costs.costs)
app.command(cls=Recorded)(profile.profile)
app.command(cls=Command)(serve.serve)
app.command(cls=Command)(serve.generate)
app.command(cls=Command)(host.doctor)
app.command(cls=Recorded)(host.selftest)
app.command(cls=Recorded)(attack.attack)
app.command(cls=Recorded)(neighbour.neighbour)
app.command(cls=Recorded)(density.density)
app.command(cls=Command)(results.report)
app.command(cls=Command)(results.compare)
app.command(cls=Command)(results.confirm)
app.command(cls=Command)(results.history)
app.command(cls=Command)(results.export)
app.command(cls=Command)(results.bundle)
app.command(cls=Recorded)(results.replay)
app.command("help", cls=Command)(guide.explain)
app.command("completion", cls=Command)(guide.complete)

_PRIVILEGED = (
    "run", "attack", "costs", "profile", "serve", "doctor", "selftest", "density", "neighbour",
    "replay",
)  # fmt: skip


def main() -> int:
    """Run the command line; return the exit code.

    0 done, 1 a check failed, 2 wrong usage, 3 a host too erratic for a check.
    Raises Interrupted, which `harness.__main__` makes the code of the signal.
    """
    default_child_signals()
    if completion.VARIABLE in os.environ:
        completion.answer_shells()
    try:
        surroundings.settle()
        # Before the arguments are parsed, since this may start the program anew.
        if sys.argv[1:2] in ([name] for name in _PRIVILEGED):
            user_namespace.gain()
        return _carried_out()
    except (IsobenchError, WorkloadError) as error:
        return _refused(error)
    except BrokenPipeError:
        abandon_output()
        return BROKEN_PIPE
    except OSError as error:
        return _refused(of_system(error))
    except RuntimeError as error:
        if "can't start new thread" not in str(error):  # what `threading` makes of EAGAIN
            raise
        return _refused(of_system(BlockingIOError(errno.EAGAIN, str(error)), "a thread"))


def _carried_out() -> int:
    """Carry out the command, and write what it said; return the exit code."""
    try:
        app()
    except SystemExit as end:  # what typer ends with, after its own message about wrong usage
        return end.code if isinstance(end.code, int) else 0
    finally:
        if sys.stdout is not None:
            with named_errors():
                sys.stdout.flush()
    return 0


def _refused(error: IsobenchError | WorkloadError) -> int:
    """Say what went wrong and what to do about it; return the exit code."""
    tell(f"error: {error}")
    if error.hint:
        tell(f"hint: {error.hint}")
    return getattr(error, "exit_code", 2)
