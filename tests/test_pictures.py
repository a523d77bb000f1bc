"""The README's recording: what a terminal shows, and the picture that is made of it."""

import io
import sys
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.live import Live
from rich.text import Text

from docs import pictures
from docs.pictures import Frame, Screen, Style

SVG = "{http://www.w3.org/2000/svg}"


def lines(frame: Frame) -> list[str]:
    return ["".join(sign for sign, _ in row).rstrip() for row in frame]


def test_what_rich_draws_again_replaces_what_it_drew_before() -> None:
    written = io.StringIO()
    environment = {"TERM": "xterm", "COLUMNS": "40", "LINES": "9"}
    console = Console(file=written, force_terminal=True, _environ=environment)
    console.print("before")
    with Live(console=console, auto_refresh=False, transient=True) as live:
        live.update(Text("one\ntwo\nthree"), refresh=True)
        console.print("above")
        live.update(Text("four\nfive"), refresh=True)
        screen = Screen(40, 9)
        screen.write(written.getvalue().replace("\n", "\r\n"))
        shown = lines(screen.frame())
    assert [line for line in shown if line] == ["before", "above", "four", "five"]
    screen = Screen(40, 9)
    screen.write(written.getvalue().replace("\n", "\r\n"))
    assert [line for line in lines(screen.frame()) if line] == ["before", "above"]


def test_a_screen_wraps_and_scrolls() -> None:
    screen = Screen(3, 2)
    screen.write("abcd\r\nef\r\n")
    assert lines(screen.frame()) == ["ef", ""]


def test_a_screen_keeps_styles() -> None:
    screen = Screen()
    screen.write("\x1b[1;33ma\x1b[0m\x1b[2mb\x1b[39mc")
    assert [style for _, style in screen.frame()[0]] == [
        Style(33, bold=True),
        Style(dim=True),
        Style(dim=True),
    ]


def test_pauses_are_cut_short_and_quick_writes_are_one_frame() -> None:
    writes = [(10.0, "a"), (10.01, "b"), (30.0, "c")]
    shown = pictures.frames(writes, "$ \r\n")
    assert [seconds for seconds, _ in shown] == [pictures.LONGEST_S] * 2 + [pictures.LAST_S]
    assert [lines(frame)[-1] for _, frame in shown] == ["", "ab", "abc"]


def test_the_picture_is_well_formed_and_shows_its_last_frame_to_whoever_wants_no_motion() -> None:
    shown = pictures.frames([(1.0, "<1> & \x1b[31mred"), (2.0, "\r\nend")], "$ isobench\r\n")
    root = ElementTree.fromstring(pictures.svg(shown, "A recording"))
    groups = [group for group in root.iter(f"{SVG}g") if group.get("id")]
    assert [group.get("class") for group in groups] == ["hidden", "hidden", None]
    drawn = {text.get("id"): "".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    last = [drawn[str(use.get("href"))[1:]] for use in groups[-1].iter(f"{SVG}use")]
    assert last == ["$ isobench", "<1> & red", "end"]
    assert len(drawn) == 3  # each line once
    assert not list(root.iter(f"{SVG}script"))
    assert root.findtext(f"{SVG}title") == "A recording"


def test_a_command_is_recorded_in_a_terminal_of_80_columns(tmp_path: Path) -> None:
    words = "import os, sys; print(sys.stdout.isatty(), os.get_terminal_size().columns)"
    writes = pictures.recorded([sys.executable, "-c", words], tmp_path)
    assert "".join(text for _, text in writes) == "True 80\r\n"
