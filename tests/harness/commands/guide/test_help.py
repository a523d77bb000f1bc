"""What a newcomer asks first: the terms, and each command's options, in 80 columns."""

import io
import shlex
import sys

import pytest
import typer
from rich.console import Console

from harness import cli
from harness.commands.guide import help as command
from harness.commands.guide.topics import TOPICS, Topic
from harness.errors import IsobenchError
from tests.harness.live import ROOT, Say


def _shown(name: str, width: int) -> str:
    written = io.StringIO()
    command.show(name, Console(file=written, width=width, markup=False, highlight=False))
    return written.getvalue()


def test_without_a_topic_all_are_listed(
    say: Say, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["isobench", "help"])
    assert cli.main() == 0
    lines = capsys.readouterr().out.splitlines()
    for topic in TOPICS.values():
        assert any(line.split()[:1] == [topic.name] for line in lines)


def test_these_concepts_are_explained() -> None:
    assert set(TOPICS) == {"mode", "load", "block", "interval", "verdict", "promise"}


@pytest.mark.parametrize("name", TOPICS)
@pytest.mark.parametrize(("width", "lines"), [(80, 32), (40, 70)])
def test_a_term_is_explained_on_a_screen(name: str, width: int, lines: int) -> None:
    shown = _shown(name, width).splitlines()
    assert shown[0].startswith(f"{name}: ")
    assert len(shown) <= lines
    assert all(len(line) <= width for line in shown)


@pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS)
def test_each_term_names_a_page_that_there_is(topic: Topic) -> None:
    assert (ROOT / topic.page).exists()


@pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS)
def test_each_command_in_an_explanation_has_the_options_that_it_names(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.commands.measuring import slo
    from harness.commands.running import run

    for started in (run, slo):
        monkeypatch.setattr(started, "start", lambda *_, **_options: None)
    for part in topic.parts:
        if isinstance(part, str) and part.startswith("isobench run --"):
            monkeypatch.setattr(sys, "argv", shlex.split(part))
            assert cli.main() == 0


@pytest.mark.parametrize("name", ["Verdicts", "verdict", "VERDICT"])
def test_a_term_is_found_however_it_is_written(name: str) -> None:
    assert command.find(name) is TOPICS["verdict"]


def test_an_unknown_term_is_an_error_that_lists_the_known_ones(say: Say) -> None:
    code, written = say("help", "intervall")
    assert (code, written) == (
        2,
        "error: there is no help on 'intervall'\n"
        "hint: did you mean interval? topics: mode, load, block, interval, verdict, "
        "promise\n",
    )
    with pytest.raises(IsobenchError, match="'zzz'") as raised:
        command.find("zzz")
    assert raised.value.hint.startswith("topics: ")


def test_help_on_a_command_is_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["isobench", "help", "costs"])
    assert cli.main() == 0
    assert "Usage: isobench costs" in capsys.readouterr().out


@pytest.mark.parametrize("name", typer.main.get_group(cli.app).commands)
def test_the_help_of_each_command_fits_into_80_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["isobench", name, "--help"])
    assert cli.main() == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "<bool>" not in shown


@pytest.mark.parametrize("name", ["", *typer.main.get_group(cli.app).commands])
def test_a_narrow_terminal_cuts_no_name_off(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys, "argv", ["isobench", *name.split(), "--help"])
    assert cli.main() == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 50
    assert "…" not in shown
    group = typer.main.get_group(cli.app)
    command = group.commands[name] if name else group
    options = [text for param in command.params for text in param.opts if text.startswith("-")]
    for option in options:
        assert option in shown
