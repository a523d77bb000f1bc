"""What the caller's environment may not do: steer isobench, break it, or become code."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.text import Text

from harness.errors import IsobenchError, of_system
from harness.host import surroundings
from harness.results.folder import ResultsFolder
from harness.terminal import Terminal, printable, write_whatever_the_encoding
from harness.trial.generators.generator import Generator
from tests.harness import folders
from tests.harness.live import ROOT, Isobench, needs_root

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


_MAIN = "import sys; from harness.cli import main; sys.exit(main())"


def called(*words: str | Path, cwd: Path = ROOT, **environment: str) -> tuple[int, bytes, bytes]:
    """Carry out the command as a user with this environment does."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from harness.cli import main; sys.exit(main())",
            *words,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=cwd,
        capture_output=True,
        check=False,
        timeout=170,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results"
    return folders.write_folder(path, folders.BASE, blocks=2)


def test_a_report_is_made_whatever_the_locale_and_the_matplotlib_of_its_user(
    results: Path, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_bytes(
        b"text.usetex: True\nfont.size: 90\nsvg.fonttype: none\n"
    )
    code, out, err = called("report", results, cwd=tmp_path, **ASCII, **NOTEBOOK, HOME="/proc/none")
    assert (code, b"Traceback" in err) == (0, False), err
    assert out == f"report: {results}/report.html\n".encode()
    page = (results / "report.html").read_bytes()
    subprocess.run([sys.executable, "-m", "harness", "report", results], cwd=ROOT, check=True)
    assert (results / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii", "COLUMNS": "0"},
        {**ASCII, "COLUMNS": "1", "PYTHONWARNINGS": "error"},
        {"PYTHONIOENCODING": "latin-1", "COLUMNS": "-1", "TERM": "dumb", "PYTHONOPTIMIZE": "2"},
    ],
)
def test_a_comparison_is_shown_whatever_the_terminal(
    environment: Mapping[str, str], results: Path
) -> None:
    code, out, err = called("compare", results, results, cwd=ROOT, **environment)
    assert (code, b"Traceback" in err) == (0, False), err
    assert b"dso" in out


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("80", True), ("20", True), ("0", False), ("1", False), ("-1", False), ("abc", False)),
        *(("", False), ("\N{SUPERSCRIPT TWO}0", False), ("99999999", False), (" 80", False)),
    ],
)
def test_a_terminal_has_a_size_that_something_fits_on(text: str, size: bool) -> None:
    assert surroundings.is_size(text, 20) == size


def test_what_the_encoding_lacks_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    monkeypatch.setattr(sys, "stderr", None)
    write_whatever_the_encoding()
    Terminal().print("\N{PLUS-MINUS SIGN}3% of 5 \N{MICRO SIGN}s \N{SNOWMAN}")
    sys.stdout.flush()
    assert written.getvalue() == b"+-3% of 5 us ?\n"


@pytest.mark.parametrize(
    "text", ["r[/x]", "[red]x[/]", "[link=http://x]y", ":smile:", "\\[", "100%", "[bold", "{x}"]
)
def test_text_is_text_on_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.print(f"report: {text}", soft_wrap=True)
    terminal.print(Text(text))
    assert capsys.readouterr().out == f"report: {text}\n{text}\n"


def test_no_text_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().print("a\x1b]0;title\x07b\u202ec\udcff\x9bm", soft_wrap=True)
    mark = "\N{REPLACEMENT CHARACTER}"
    assert capsys.readouterr().out == f"a{mark}]0;titleb{mark}c{mark}{mark}m\n"  # rich drops BEL
    assert printable("a\nb\tc", keep="\n") == f"a\nb{mark}c"


@pytest.mark.parametrize("name", ["r[/x]", "[red]x[/]", ":smile:", "$x_$", "a<b>&'\"", "\udcff"])
def test_a_folder_may_have_any_name(
    name: str, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness import cli

    folder = results.parent / name
    folder.parent.mkdir(exist_ok=True)
    shutil.move(results, folder)
    monkeypatch.setattr(sys, "argv", ["isobench", "compare", str(folder), str(folder / "missing")])
    assert cli.main() == 2
    shown = printable(f"{folder / 'missing'} is not a results folder")
    assert shown in capsys.readouterr().err
    with ResultsFolder.open(folder, writable=True) as opened:
        opened.update(argv=("isobench", name))
    assert ResultsFolder.open(folder).manifest.argv == ("isobench", name)


def test_output_that_nobody_reads_or_that_has_no_room(results: Path) -> None:
    folder = str(results)
    command = [sys.executable, "-m", "harness", "compare", folder, folder, "--format"]
    for form in ("table", "csv"):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*command, form], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False
            )
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: cannot write the output: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command, "table"], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_generator_has_nothing_of_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('not this one')\n")
    for name, value in {
        "PYTHONPATH": str(tmp_path),
        "PYTHONIOENCODING": "utf-16",
        "PYTHONWARNINGS": "error",
        "http_proxy": "http://127.0.0.1:1",
        "LOCUST_SKIP_MONKEY_PATCH": "1",
        "LOCUST_LOGLEVEL": "nonsense",
        "GEVENT_LOOP": "nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    with Generator((), tmp_path / "log") as generator:
        assert generator.versions.keys() == {"locust", "gevent"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left", "/a"), "cannot write /a: No space left"),
        (OSError(27, "File too large"), "cannot write /given: File too large"),
        (OSError(24, "Too many open files", b"/\xff"), "cannot use /\udcff: Too many open files"),
        (OSError(11, "Resource unavailable"), "cannot start /given: Resource unavailable"),
    ],
)
def test_what_the_system_refuses_has_a_name_and_a_remedy(error: OSError, message: str) -> None:
    explained = of_system(error, "/given")
    assert isinstance(explained, IsobenchError)
    assert str(explained) == message
    assert explained.hint


SMALL = 'mount -t tmpfs -o size=64k,mode=755 none "$0" && exec "$@"'


@needs_root
@pytest.mark.parametrize("words", ["run --modes dso", "serve dso --port 0", "profile --modes dso"])
def test_no_room_for_what_is_temporary(words: str, isobench: Isobench) -> None:
    isobench.prefix = ("unshare", "--mount", "sh", "-c", SMALL, isobench.temporary)
    out = [] if words.startswith("serve") else ["--out", str(isobench.directory / "results")]
    ended = isobench.call(*words.split(), *out)
    first, second, *rest = ended.err.splitlines()
    assert (ended.code, rest) == (1, []), ended.err
    assert first.startswith(f"error: cannot write {isobench.temporary}/isobench-")
    assert first.endswith(": No space left on device")
    assert "TMPDIR" in second
