"""What the doctor says of this host, and of poorer ones."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness.live import Isobench, needs_root

pytestmark = needs_root

without_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is not None, reason="the ziglang wheel is a C compiler too"
)


def line_of(mode: str, text: str) -> str:
    """Return the line of a table that begins with a mode's name."""
    return next(line for line in text.splitlines() if line.split()[:1] == [mode])


def test_it_lists_every_mode_and_leaves_nothing(isobench: Isobench) -> None:
    ended = isobench.call("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert "identities  root: any uid" in ended.out
    for mode in ("cgi", "dso", "harache", "ruid2"):
        assert "available" in line_of(mode, ended.out)
    assert isobench.lasting_traces() == []


def test_it_looks_at_the_chosen_modes_only(isobench: Isobench) -> None:
    ended = isobench.call("doctor", "--modes", "dso")
    assert "available" in line_of("dso", ended.out)
    assert "ruid2" not in ended.out


@without_zig
def test_without_a_compiler_it_says_what_suexec_lacks(isobench: Isobench) -> None:
    isobench.environment = {"PATH": "/nowhere"}
    ended = isobench.call("doctor")
    assert ended.code == 0, ended.err
    assert "missing" in line_of("suexec", ended.out)
    assert "there is no C compiler" in ended.out
    assert "remedy: apt-get install gcc, or pip install ziglang" in ended.out
    assert "available" in line_of("cgi", ended.out)


@without_zig
def test_without_a_compiler_suexec_cannot_be_chosen(isobench: Isobench, tmp_path: Path) -> None:
    isobench.environment = {"PATH": "/nowhere"}
    out = tmp_path / "results"
    ended = isobench.call("run", "--modes", "suexec", "--out", out)
    assert ended.code == 2
    assert ended.err == (
        "error: none of the targets can run on this host\n"
        "hint: apt-get install gcc, or pip install ziglang\n"
    )
    assert "without suexec: there is no C compiler" in ended.out
    assert not out.exists()
    assert isobench.lasting_traces() == []


@without_zig
def test_without_a_compiler_the_others_are_measured(isobench: Isobench, tmp_path: Path) -> None:
    isobench.environment = {"PATH": "/nowhere"}
    out = tmp_path / "results"
    short: Sequence[str] = ("--connection", "close", "--blocks", "1", "--seconds", "0.2")
    ended = isobench.call("run", *short, "--tenants", "2", "--out", out)
    assert ended.code == 0, ended.err
    assert "without suexec: there is no C compiler" in ended.out
    manifest = json.loads((out / "run.json").read_text())
    assert "suexec" in [skipped["target"] for skipped in manifest["skipped"]]
    assert {"cgi", "dso", "ruid2"} <= {target["name"] for target in manifest["targets"]}


def test_a_nosuid_place_is_no_obstacle(isobench: Isobench) -> None:
    # The server mounts a file system of its own over its private directory.
    script = 'mount -t tmpfs -o nosuid none "$0" && "$@"'
    isobench.prefix = ("unshare", "--mount", "sh", "-c", script, isobench.temporary)
    ended = isobench.call("doctor", "--modes", "suexec")
    assert "available" in line_of("suexec", ended.out)
