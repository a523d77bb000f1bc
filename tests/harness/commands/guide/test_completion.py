"""What a shell is told at Tab: by our functions, and through the real shells that are here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.commands.guide import completion
from harness.target.targets import available
from tests.harness.live import Say

TRY = """
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_isobench_completion isobench
printf '%s\\n' "${COMPREPLY[@]}"
"""


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
    line: str, words: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(completion.script("bash"))
    program = tmp_path / "isobench"
    # As pip makes it: what `complete` is given is the name that was typed.
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom harness.cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    paths = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    result = subprocess.run(
        ["bash", "--norc", "-c", TRY, "bash", script, line],
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout.splitlines(), result.stderr) == (words, "")


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_is_one_that_its_shell_can_read(shell: str, tmp_path: Path) -> None:
    script = completion.script(shell)
    assert "isobench" in script
    assert "_ISOBENCH_COMPLETE=complete_" + shell in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script)
    subprocess.run([shell, "-n", file], check=True)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"_ISOBENCH_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "isobench help ver"},
            '"verdict"',
        ),
        (
            {
                "_ISOBENCH_COMPLETE": "complete_fish",
                "_TYPER_COMPLETE_ARGS": "isobench help ver",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
            "verdict\twhether",
        ),
    ],
)
def test_zsh_and_fish_are_answered_with_what_words_mean(
    environment: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["isobench"])
    assert cli.main() == 0
    assert expected in capsys.readouterr().out


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
