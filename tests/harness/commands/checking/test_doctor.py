"""What the doctor says of this host, and of poorer ones."""

import importlib.util
import json
import math
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness import cli
from harness.commands.checking import doctor
from harness.commands.checking.doctor import Diagnosis
from harness.errors import Caution
from harness.host.speed import Speeds
from tests.harness.live import Isobench, needs_root, trials_in, until

pytestmark = needs_root

without_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is not None, reason="the ziglang wheel is a C compiler too"
)


def line_of(mode: str, text: str) -> str:
    """Return the line of a table that begins with a mode's name."""
    return next(line for line in text.splitlines() if line.split()[:1] == [mode])


def test_it_lists_every_mode_and_leaves_nothing(isobench: Isobench) -> None:
    ended = isobench.call("doctor", "--watch", "0")
    assert (ended.code, ended.err) == (0, "")
    assert "identities  root: any uid" in ended.out
    for mode in ("cgi", "dso", "harache", "ruid2"):
        assert "available" in line_of(mode, ended.out)
    assert isobench.lasting_traces() == []


def test_it_names_what_harms_and_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Diagnosis(
        usable=(),
        refused=(),
        cautions=(Caution("the clock [creeps]", "echo 1 > /sys/[clock]"),),
        remarks=(Caution("it is old", "wait"),),
        identities="root",
    )
    monkeypatch.setattr(doctor, "diagnose", lambda _: found)
    monkeypatch.setattr(sys, "argv", ["isobench", "doctor", "--modes", "dso", "--watch", "0"])
    assert cli.main() == 0
    out = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert "harms measurements here\n- the clock [creeps]\n  remedy: echo 1 > /sys/[clock]" in out
    assert "worth knowing\n- it is old\n  remedy: wait" in out


def test_it_looks_at_the_chosen_modes_only(isobench: Isobench) -> None:
    ended = isobench.call("doctor", "--watch", "0", "--modes", "dso")
    assert "available" in line_of("dso", ended.out)
    assert "ruid2" not in ended.out
    assert "speed" not in ended.out


def test_it_watches_the_speed_for_as_long_as_it_is_told(isobench: Isobench) -> None:
    ended = isobench.call("doctor", "--watch", "0.2", "--modes", "dso,harache")
    assert (ended.code, ended.err) == (0, "")
    said = " ".join(ended.out.split())
    assert "the speed of the server's processor" in said
    assert "To know one ratio to ±5% takes, of load:" in said
    assert "For 1 ratio and both kinds of connection" in said


NOISY = Speeds(
    seconds=10.0, ratio=1.78, slow_share=0.35, changes=21, dwell_fast_s=0.62, dwell_slow_s=0.33,
    scatter=0.02, sample_s=0.0005, away=0.01,
)  # fmt: skip


def test_a_noisy_host_is_told_in_numbers() -> None:
    first, a_ratio, a_run = doctor.of_speed(NOISY, 14)
    assert first == (
        "It has two speeds: work takes 1.8 times as long for 35% of the time. In 10 s there were "
        "21 changes; it stays for 620 ms at the fast, for 330 ms at the slow one, on average."
    )
    assert "in slices of 20 ms; " in a_ratio
    assert "at the least" in a_run


def test_a_level_that_was_never_left_has_no_length() -> None:
    first, *_ = doctor.of_speed(replace(NOISY, changes=1, dwell_slow_s=math.nan), 0)
    assert first.endswith("there was 1 change; it stays for 620 ms at the fast one, on average.")


def test_a_steady_host_that_others_use_is_told_so() -> None:
    steady = replace(NOISY, ratio=1.0, changes=0, slow_share=0.0, away=0.3)
    one, others = doctor.of_speed(steady, 0)
    assert one.startswith("It kept one speed for 10 s")
    assert "Others had this processor for 30% of the time" in others


@without_zig
def test_without_a_compiler_it_says_what_suexec_lacks(isobench: Isobench) -> None:
    isobench.environment = {"PATH": "/nowhere"}
    ended = isobench.call("doctor", "--watch", "0")
    assert ended.code == 0, ended.err
    assert "missing" in line_of("suexec", ended.out)
    assert "there is no C compiler" in ended.out
    assert "remedy: apt-get install gcc, or pip install ziglang" in ended.out
    assert "available" in line_of("cgi", ended.out)


def test_without_raw_sockets_nobody_can_be_suzukis_client(isobench: Isobench) -> None:
    isobench.prefix = ("setpriv", "--bounding-set", "-net_raw")
    ended = isobench.call("doctor", "--watch", "0", "--modes", "suzuki,dso")
    assert "missing" in line_of("suzuki", ended.out)
    assert "clients' credentials needs CAP_NET_RAW" in ended.out
    assert "available" in line_of("dso", ended.out)


def test_a_client_that_cannot_stamp_is_refused(isobench: Isobench, tmp_path: Path) -> None:
    ended = isobench.call(
        "run", "--modes", "dso,suzuki", "--client", "fasthttp", "--out", tmp_path / "results"
    )
    assert ended.code == 2
    assert (
        "error: this host cannot run suzuki: the client fasthttp cannot send a credential"
        in ended.err
    )


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
def test_without_a_compiler_the_compiled_client_cannot_be_chosen(
    isobench: Isobench, tmp_path: Path
) -> None:
    isobench.environment = {"PATH": "/nowhere"}
    ended = isobench.call("run", "--client", "compiled", "--out", tmp_path / "results")
    assert ended.code == 2
    assert ended.err.startswith("error: there is no compiled client: there is no C compiler\n")


@without_zig
def test_without_a_compiler_the_others_are_measured(isobench: Isobench, tmp_path: Path) -> None:
    isobench.environment = {"PATH": "/nowhere"}
    out = tmp_path / "results"
    words = (
        *("--connection", "close", "--tenants", "2", "--seconds", "0.05", "--slices", "off"),
        *("--no-page", "--no-mechanisms"),
    )
    with isobench.started("run", *words, "--out", out) as run:
        until(lambda: trials_in(out) or run.poll() is not None)
        run.send_signal(signal.SIGINT)  # one is enough: there are fourteen
        ended = isobench.end_of(run)
    assert trials_in(out), ended.err
    assert "without suexec: there is no C compiler" in ended.out
    manifest = json.loads((out / "run.json").read_text())
    assert "suexec" in [skipped["target"] for skipped in manifest["skipped"]]
    slower = "the load comes from the client in Python, which is slower: there is no C compiler"
    assert slower in " ".join(ended.out.split())
    assert slower in [warning["about"] for warning in manifest["warnings"]]
    assert manifest["plan"]["client"] == "lean"
    assert {"cgi", "dso", "ruid2"} <= {target["name"] for target in manifest["targets"]}


def test_a_nosuid_place_is_no_obstacle(isobench: Isobench) -> None:
    # The server mounts a file system of its own over its private directory.
    script = 'mount -t tmpfs -o nosuid none "$0" && "$@"'
    isobench.prefix = ("unshare", "--mount", "sh", "-c", script, isobench.temporary)
    ended = isobench.call("doctor", "--watch", "0", "--modes", "suexec")
    assert "available" in line_of("suexec", ended.out)
