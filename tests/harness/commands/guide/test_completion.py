"""What a shell is told at Tab: by our functions, and through the real shells that are here."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.commands.guide import completion
from harness.target.targets import available
from tests.harness.live import PATIENCE, Say

TRY = """
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_isobench_completion isobench
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSHRC = """
fpath=(~/functions $fpath)
autoload -Uz compinit
compinit -u -D
PS1='ready> '
"""


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `isobench` is a program, as pip makes it."""
    program = tmp_path / "isobench"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom harness.cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    paths = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    homes = dict.fromkeys(("HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(tmp_path))
    return {**os.environ, **paths, **homes, "TERM": "xterm"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("isobench sel", ["selftest"]),
        ("isobench run --load closed:", ["1", "8"]),
        ("isobench run --modes=dso,zyg", ["dso,zygote"]),
        ("isobench report ", [""]),
    ],
)
def test_bash_completes_the_word_before_the_cursor(
    line: str, words: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(completion.script("bash"))
    result = subprocess.run(
        ["bash", "--norc", "-c", TRY, "bash", script, line],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout.splitlines(), result.stderr) == (words, "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_values_after_an_equals_sign_and_files_where_it_knows_no_words(
    environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "isobench.fish"
    script.write_text(completion.script("fish"))
    lines = ("isobench run --load closed:", "isobench run --modes=dso,zyg", "isobench report isob")
    asked = "; ".join(f"complete --do-complete='{line}'" for line in lines)
    result = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; {asked}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    words = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert words == ["closed:1", "closed:8", "--modes=dso,zygote", "isobench", "isobench.fish"]
    assert result.stderr == ""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_at_the_first_tab_values_after_an_equals_sign_and_files(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".zshrc").write_text(ZSHRC)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_isobench").write_text(completion.script("zsh"))
    (tmp_path / "results").mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-i"], environment)

    def wait_for(what: bytes) -> None:
        shown = b""
        while what not in shown:
            assert select.select([terminal], [], [], PATIENCE)[0], shown
            shown += os.read(terminal, 65536)

    try:
        wait_for(b"ready> ")
        os.write(terminal, b"isobench sel\t")
        wait_for(b"selftest")
        os.write(terminal, b"\x15isobench run --modes=dso,zyg\t")  # Ctrl-U: another line
        wait_for(b"--modes=dso,zygote")
        os.write(terminal, b"\x15isobench run --load closed:\t")
        wait_for(b"closed:1  closed:8")
        os.write(terminal, b"\x15isobench report resu\t")
        wait_for(b"report results")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_zsh_and_fish_are_answered_with_what_words_mean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_ISOBENCH_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "isobench help ver")
    monkeypatch.setattr(sys, "argv", ["isobench"])
    assert cli.main() == 0
    assert "verdict\twhether" in capsys.readouterr().out


def test_a_shell_that_is_not_supported_is_an_error(say: Say) -> None:
    code, written = say("completion", "ksh")
    assert code == 2
    assert written.endswith("hint: choose one of bash, zsh, fish\n")


def test_the_script_goes_to_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["isobench", "completion", "bash"])
    assert cli.main() == 0
    assert capsys.readouterr().out == completion.script("bash")


def test_a_list_goes_on_with_what_it_has_not_yet() -> None:
    names = {word for word, _ in completion.modes("dso,")}
    assert names == {f"dso,{one.name}" for one in available() if one.name != "dso"}
    assert "dso,cgi:spawn=fork" in [word for word, _ in completion.modes("dso,cgi:")]


def test_attacks_and_their_families_are_offered() -> None:
    words = [word for word, _ in completion.attacks("")]
    assert "reading" in words
    assert len(words) > 100
    assert "__init__" not in words


def test_workloads_are_offered() -> None:
    assert ("hello", "") in completion.workloads("")
