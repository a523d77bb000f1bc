"""An ordinary user: with newuidmap there are real tenants, without it there are fewer modes."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.host import user_namespace
from harness.results.folder import ResultsFolder
from tests.harness.live import ROOT, Isobench, needs_root

UID = 46_800
SHORT = (
    "--connection", "close", "--blocks", "1", "--seconds", "0.1", "--tenants", "2", "--no-page",
    "--no-mechanisms", "--no-report",
)  # fmt: skip

# In a mount namespace of its own: the host's accounts are covered by those in the directory that is
# the first argument, and Python, its packages and this checkout are where everybody can reach them.
BECOME = """
import os, sys
from pathlib import Path
from servers.kernel import syscalls as linux
from servers.front.startup.containment import make_visible
here, visible, uid, *command = sys.argv[1:]
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
for name in os.listdir(here):
    if os.path.exists(f"/etc/{name}"):
        linux.mount(f"{here}/{name}", f"/etc/{name}", None, linux.MS_BIND)
make_visible([Path(path) for path in visible.split(os.pathsep)])
os.chdir(os.getcwd())
identity = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
os.execvp("setpriv", ["setpriv", *identity, "--", *command])
"""


@pytest.fixture
def user() -> Iterator[Isobench]:
    """The command as an ordinary user whom the host does not know, with a directory of his own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="isobench-test-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        home = directory / "home"
        home.mkdir()
        visible = os.pathsep.join((sys.prefix, sys.base_prefix, str(ROOT)))
        user = Isobench(
            home,
            prefix=(sys.executable, "-c", BECOME, directory, visible, str(UID)),
            environment={"HOME": str(home), "USER": "root", "LOGNAME": "root"},
        )
        for path in (home, user.temporary):
            os.chown(path, UID, UID)
        yield user


def give_range(user: Isobench) -> None:
    """Make the user known, with 65,536 subordinate ids, to what `BECOME` starts."""
    directory = user.directory.parent
    entry = f"somebody:x:{UID}:{UID}::{user.directory}:/bin/sh\n"
    (directory / "passwd").write_text(Path("/etc/passwd").read_text() + entry)
    for name in ("subuid", "subgid"):
        (directory / name).write_text("somebody:200000:65536\n")


def manifest(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "run.json").read_text())
    return content


@needs_root
@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="apt-get install uidmap")
def test_a_user_with_a_range_of_ids_measures_with_real_tenants(user: Isobench) -> None:
    give_range(user)
    out = user.directory / "results"
    ended = user.call("run", "--modes", "ruid2,dso", *SHORT, "--out", out)
    assert ended.code == 0, ended.err + ended.out
    trials = ResultsFolder.open(out).trials()
    assert set(zip(trials["target"], trials["verdict"], strict=True)) == {
        ("null", "ok"),  # what the generator itself can do
        ("dso", "ok"),
        ("ruid2", "ok"),
    }
    assert {path.stat().st_uid for path in out.iterdir()} == {UID}
    assert user.lasting_traces() == []

    doctor = user.call("doctor", "--watch", "0", "--modes", "ruid2")
    assert "a user namespace with a range of /etc/subuid" in doctor.out
    assert "available" in doctor.out


@needs_root
def test_a_user_without_one_measures_what_needs_no_identities(user: Isobench) -> None:
    out = user.directory / "results"
    ended = user.call("run", *SHORT, "--out", out)
    assert ended.code == 0, ended.err + ended.out
    trials = ResultsFolder.open(out).trials()
    assert {"cgi", "dso", "null"} <= set(trials["target"])
    assert set(trials["verdict"]) == {"ok"}
    skipped = {skipped["target"]: skipped for skipped in manifest(out)["skipped"]}
    assert {"harache", "ruid2", "suexec"} <= skipped.keys()
    for name in ("harache", "ruid2", "suexec"):
        assert f"without {name}: {skipped[name]['reason']}" in ended.out
        assert "run isobench as root" in skipped[name]["hint"]
    assert user.lasting_traces() == []

    doctor = user.call("doctor", "--watch", "0", "--modes", "dso,ruid2")
    assert "identities  only your own: " in doctor.out
    assert doctor.code == 0


def test_the_passwd_entry_tells_whose_a_range_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = tmp_path / "subuid"
    ranges.write_text("somebody:200000:65536\n")
    monkeypatch.setenv("LOGNAME", "somebody")
    assert not user_namespace._has_range(ranges)
    ranges.write_text(f"{os.getuid()}:200000:65536\n")
    assert user_namespace._has_range(ranges)
    assert not user_namespace._has_range(tmp_path / "missing")


@needs_root
def test_root_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("started anew")

    monkeypatch.setattr(os, "execvpe", never)
    user_namespace.gain()
    assert not user_namespace.entered()
