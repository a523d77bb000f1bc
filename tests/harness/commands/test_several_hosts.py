"""`isobench serve --probe`, `run --target` and `generate`, all on the loopback address."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.commands import key as keys
from harness.commands import resolving
from harness.commands.running import run_remote
from harness.commands.serving import generate
from harness.errors import IsobenchError
from harness.host import fingerprint
from harness.host.polling import wait_until
from harness.results.folder import ResultsFolder
from harness.target.remote_probe import RemoteProbe
from harness.terminal import Terminal
from harness.trial.generators.generator import Generator, LoadFailed
from harness.trial.remote import start_workers
from tests.harness.live import ROOT, Isobench, needs_root
from workloads import credential
from workloads.errors import WorkloadError

PATIENCE = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(key: Path, log: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Serve dso; yield its URL and the port of its probe, as the command says them."""
    command = [sys.executable, "-m", "harness", "serve", "dso", "--port", "0", "--probe", "0"]
    command += ["--key", str(key), "--workers", "4", *options]
    with (
        open(log, "w") as output,
        subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process,
    ):
        try:
            found = wait_until(
                lambda: re.search(r"--target (\S+) --probe (\d+)", log.read_text()), PATIENCE
            )
            assert found, log.read_text()
            yield found[1], int(found[2])
        finally:
            process.terminate()
            process.wait(PATIENCE)


@needs_root
def test_two_processes_of_one_host_measure_a_server_beside_them(
    isobench: Isobench, tmp_path: Path
) -> None:
    key, out = tmp_path / "key", tmp_path / "results"
    with served(key, tmp_path / "log") as (url, probe):
        assert key.stat().st_mode & 0o077 == 0
        options = ("--load", "closed:4", "--connection", "close", "--blocks", "1")
        ended = isobench.call(
            "run", "--target", url, "--probe", str(probe), "--key", key, "--processes", "2",
            "--master-port", str(free_port()), *options, "--seconds", "0.4", "--out", out,
        )  # fmt: skip
    assert (ended.code, ended.err) == (0, "")
    folder = ResultsFolder.open(out)
    (row,) = folder.trials().to_dict("records")
    assert (row["target"], row["verdict"], row["self_checks"]) == ("dso", "ok", "passed")
    hosts = folder.manifest.also["hosts"]
    assert hosts["generators"] == [socket.gethostname()] * 2
    assert folder.manifest.finished_at
    assert (out / "report.html").exists()
    again = isobench.call("run", "--resume", out)
    assert again.code == 0 or "cannot be resumed" in again.err
    assert isobench.lasting_traces() == []


def test_a_run_needs_the_key(tmp_path: Path) -> None:
    with pytest.raises(IsobenchError) as caught:
        keys.read(None)
    assert "--key" in caught.value.hint
    with pytest.raises(WorkloadError):
        keys.read(tmp_path / "none")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    made = keys.read_or_make(tmp_path / "key")
    assert keys.read_or_make(tmp_path / "key") == made


@pytest.mark.parametrize(
    "url",
    [
        *("10.0.0.1:8080", "https://a:1", "http://127.0.0.1", "http://:80", "", "http://a:x"),
        *("http://a:0", "http://a:65536", "http://a:-1", "http://[::1", "http://[x]:1"),
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str, tmp_path: Path) -> None:
    key = credential.make_key(tmp_path / "key")
    wanted = run_remote.Wanted(url, 1, key, "127.0.0.1", 1, 0, 1)
    with pytest.raises(IsobenchError, match="names no server"):
        run_remote.find(wanted)


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "a b", ".", "\N{SNOWMAN}" * 70])
def test_a_host_that_cannot_be_is_unknown(host: str) -> None:
    with pytest.raises(IsobenchError, match="is unknown") as caught:
        resolving.resolve(host)
    assert caught.value.hint == "give its IPv4 address"


def test_somebody_has_to_generate_load() -> None:
    wanted = run_remote.Wanted("http://127.0.0.1:1", 1, None, "127.0.0.1", 1, 0, 0)
    with pytest.raises(IsobenchError, match="no load generators"):
        run_remote.find(wanted)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    key = credential.make_key(tmp_path / "key")
    port = free_port()
    wanted = run_remote.Wanted("http://127.0.0.1:1", port, key, "127.0.0.1", 1, 0, 1)
    with pytest.raises(IsobenchError, match=f"no probe answers at 127.0.0.1:{port}"):
        run_remote.find(wanted)


def test_another_version_on_the_servers_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class About:
        isobench = "0.0.1"

    monkeypatch.setattr(RemoteProbe, "about", lambda _self: About)
    key = credential.make_key(tmp_path / "key")
    wanted = run_remote.Wanted("http://127.0.0.1:1", 1, key, "127.0.0.1", 1, 0, 1)
    with pytest.raises(IsobenchError) as caught:
        run_remote.find(wanted)
    assert "has isobench 0.0.1, and this one" in str(caught.value)
    assert caught.value.hint == "install the same version of isobench on all hosts"


def test_a_master_that_does_not_answer_is_named(tmp_path: Path) -> None:
    key = credential.make_key(tmp_path / "key")
    port = free_port()
    with pytest.raises(IsobenchError, match=f"no master answers at 127.0.0.1:{port}"):
        generate.start(f"127.0.0.1:{port}", key, 1, Terminal(), patience_s=0.1)


def test_a_host_without_a_name_is_no_address() -> None:
    assert generate.address("127.0.0.1", 5557) == ("127.0.0.1", 5557)
    assert generate.address("127.0.0.1:99", 5557) == ("127.0.0.1", 99)
    for text in (
        "",
        ":5557",
        *(f"127.0.0.1:{port}" for port in ("x", "0", "65536", "-1", "\u0663")),
    ):
        with pytest.raises(IsobenchError, match="is no address"):
            generate.address(text, 5557)


def test_generators_with_another_key_or_version_are_refused_with_the_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key, other = credential.make_key(tmp_path / "key"), credential.make_key(tmp_path / "other")
    own = fingerprint.own_version()
    program = ("workloads.load.several_hosts.master", "127.0.0.1", "0", str(key), own)
    with Generator((), tmp_path / "log", program=program) as master:
        port = int(master.wait()["port"])
        started = start_workers("127.0.0.1", port, other, own, 1)
        started += start_workers("127.0.0.1", port, key, "0.0.1", 1)
        try:
            assert [process.wait(PATIENCE) for process in started] == [2, 2]
        finally:
            for process in started:
                process.kill()
        with pytest.raises(LoadFailed) as caught:
            master.gather(1, 0.1)
    assert "only 0 of 1 load generators connected within 0.1 s (refused: " in str(caught.value)
    assert "it has another key" in str(caught.value)
    said = capfd.readouterr().err
    assert "error: a message is not sealed with our key" in said
    assert f"error: the master refuses: it has isobench 0.0.1, and the master {own}" in said
