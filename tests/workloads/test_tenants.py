"""Tenants on disk: owners, modes, manifest, and that nothing else is ever removed."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workloads.catalog import WORKLOADS
from workloads.errors import WorkloadError
from workloads.proof import Proof
from workloads.tenants import (
    INTERPRETER_LINE_BYTES,
    Identity,
    Manifest,
    check_interpreter,
    create,
    install,
    remove,
    script_identity,
)
from workloads.uids import ClaimedUids

CALLER = Identity(os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))
INTERPRETER = f"{sys.executable} -IS"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def make(root: Path, count: int = 2) -> None:
    create(root, count=count, www=CALLER, first_uid=47001, interpreter=INTERPRETER, own=False)


def test_an_ordinary_user_owns_all_tenants(tmp_path: Path) -> None:
    root = tmp_path / "sites"
    made = create(root, count=2, www=CALLER, first_uid=47001, interpreter=INTERPRETER, own=False)
    assert [tenant.name for tenant in made] == ["t0001", "t0002"]
    assert {tenant.identity for tenant in made} == {CALLER}
    hello = (root / "t0002" / "hello.py").read_text()
    assert hello.startswith(f"#!{INTERPRETER}\n")
    assert '\nTENANT = "t0002"\n' in hello


def test_modes(tmp_path: Path) -> None:
    make(tmp_path / "sites", count=1)
    site = tmp_path / "sites" / "t0001"
    modes = {
        str(path.relative_to(site.parent)): stat.S_IMODE(path.stat().st_mode)
        for path in (site, site / "hello.py", site / "config.secret", site / "data")
    }
    assert modes == {
        "t0001": 0o750,
        "t0001/hello.py": 0o750,
        "t0001/config.secret": 0o640,
        "t0001/data": 0o2770,
    }
    assert stat.S_IMODE((site / "data" / "app.db").stat().st_mode) == 0o660


def test_secrets_differ(tmp_path: Path) -> None:
    make(tmp_path / "sites")
    first, second = (
        (tmp_path / "sites" / name / "config.secret").read_text() for name in ("t0001", "t0002")
    )
    assert first.startswith("secret of t0001: ")
    assert first.split(": ")[1] != second.split(": ")[1]


def test_only_the_scripts_of_the_given_workloads(tmp_path: Path) -> None:
    create(
        tmp_path / "sites",
        count=1,
        www=CALLER,
        first_uid=47001,
        interpreter=INTERPRETER,
        workloads=[WORKLOADS["hello"]],
        own=False,
    )
    scripts = [path.name for path in (tmp_path / "sites" / "t0001").glob("*.py")]
    assert scripts == ["hello.py"]


def test_the_manifest_tells_others(tmp_path: Path) -> None:
    made = create(
        tmp_path / "sites",
        count=2,
        www=Identity(47000, 47000, (4,)),
        first_uid=47001,
        interpreter=INTERPRETER,
        own=False,
    )
    manifest = Manifest.read(tmp_path / "tenants.json")
    assert manifest == Manifest(tmp_path / "sites", Identity(47000, 47000, (4,)), tuple(made))


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "tenants.json").write_text(text)
    with pytest.raises(WorkloadError, match="does not describe the tenants"):
        Manifest.read(tmp_path / "tenants.json")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    with pytest.raises(WorkloadError, match="exists already"):
        make(tmp_path / "sites")


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        create(
            tmp_path / "sites",
            count=2,
            www=CALLER,
            first_uid=47001,
            interpreter=INTERPRETER,
            own=False,
            manifest=tmp_path / "no such directory" / "tenants.json",
        )
    assert list(tmp_path.iterdir()) == []


def test_install_never_writes_through_a_symlink(tmp_path: Path) -> None:
    (tenant,) = create(
        tmp_path / "sites",
        count=1,
        www=CALLER,
        first_uid=47001,
        interpreter=INTERPRETER,
        workloads=[],
        own=False,
    )
    victim = tmp_path / "victim"
    (tenant.site / "hello.py").symlink_to(victim)
    with pytest.raises(FileExistsError):
        install(WORKLOADS["hello"].source, tenant, www=CALLER, interpreter="/bin/sh", own=False)
    assert not victim.exists()


def test_remove(tmp_path: Path) -> None:
    make(tmp_path / "sites")
    remove(tmp_path / "sites")
    remove(tmp_path / "sites")
    assert list(tmp_path.iterdir()) == []


def test_remove_refuses_a_directory_that_holds_anything_else(tmp_path: Path) -> None:
    make(tmp_path / "sites")
    (tmp_path / "sites" / "thesis.tex").touch()
    with pytest.raises(WorkloadError, match=r"thesis\.tex"):
        remove(tmp_path / "sites")
    assert (tmp_path / "sites" / "t0001" / "hello.py").exists()


@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [
        ("python3 -IS", "not an absolute path"),
        ("", "not an absolute path"),
        ("/usr/bin/python3\nTENANT = 'x'", "not an absolute path"),
        ("/no/such/python3", "does not exist"),
        ("/" + "x" * INTERPRETER_LINE_BYTES, "the kernel reads 255"),
    ],
)
def test_unusable_interpreters(interpreter: str, reason: str) -> None:
    with pytest.raises(WorkloadError, match=reason) as caught:
        check_interpreter(interpreter)
    assert caught.value.hint


def test_the_longest_line_that_the_kernel_reads(tmp_path: Path) -> None:
    pad = INTERPRETER_LINE_BYTES - len(f"#!{tmp_path}/")
    interpreter = tmp_path / ("x" * pad)
    interpreter.symlink_to("/bin/sh")
    check_interpreter(str(interpreter))
    script = tmp_path / "script"
    script.write_text(f"#!{interpreter}\necho started\n")
    script.chmod(0o755)
    assert subprocess.run([script], capture_output=True, text=True).stdout == "started\n"


@pytest.fixture
def public_root() -> Iterator[Path]:
    """A directory that tenants can reach, as pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="isobench-test-"))
    directory.chmod(0o711)
    yield directory / "sites"
    shutil.rmtree(directory)


@pytest.fixture
def uids() -> Iterator[ClaimedUids]:
    with ClaimedUids() as claimed:
        yield claimed


@as_root
@pytest.mark.skipif(
    not Path("/usr/bin/python3").exists(), reason="needs a Python that tenants can start"
)
def test_owners_and_a_script_under_its_owner(public_root: Path, uids: ClaimedUids) -> None:
    base = uids.first_free(2)
    www = Identity(base, base)
    first, second = create(
        public_root, count=2, www=www, first_uid=base + 1, interpreter="/usr/bin/python3 -IS"
    )
    hello = first.site / "hello.py"
    assert (hello.stat().st_uid, hello.stat().st_gid) == (base + 1, base)

    def run(command: list[str | Path], identity: Identity) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            user=identity.uid,
            group=identity.gid,
            extra_groups=identity.groups,
            capture_output=True,
        )

    page = run([hello], first.identity).stdout.partition(b"\n\n")[2]
    assert WORKLOADS["hello"].check(Proof("t0001", first.identity))(200, page) is None
    secret = second.site / "config.secret"
    assert run(["cat", secret], www).returncode == 0
    assert run(["cat", secret], second.identity).returncode == 0
    assert run(["cat", secret], first.identity).returncode != 0


def test_importing_tenants_does_not_import_locust() -> None:
    code = """
import sys
import workloads.tenants, workloads.catalog, workloads.proof, workloads.popularity
sys.exit(any(name in sys.modules for name in ("locust", "gevent")))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(("runs_as", "who"), [("server", 33), ("owner", 1000), ("client", 1000)])
def test_a_script_runs_as_the_server_or_as_its_owner(runs_as: str, who: int) -> None:
    assert script_identity(runs_as, 33, 1000) == who
