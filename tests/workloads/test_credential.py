"""Making credentials and keys; that a server can read them is shown in tests/servers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workloads import credential
from workloads.credential import OPTION, OPTION_BYTES, Stamper
from workloads.errors import WorkloadError
from workloads.proof import Identity

ROOT = Path(__file__).parents[2]
CLIENT = Identity(47001, 47001)

needs_raw = pytest.mark.skipif(
    credential.obstacle() is not None, reason="only who has CAP_NET_RAW can stamp"
)


def test_each_credential_is_new() -> None:
    stamper = Stamper(bytes(32), "127.0.0.1", 8080)
    options = {stamper.option(CLIENT) for _ in range(100)}
    assert len(options) == 100
    assert {(option[0], option[1], len(option)) for option in options} == {
        (OPTION, OPTION_BYTES, OPTION_BYTES)
    }


def test_our_address_is_the_one_that_the_server_sees() -> None:
    assert credential.source_address("127.0.0.5", 80) == "127.0.0.1"


def test_a_key_is_its_owners_and_replaces_a_former_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("former")
    path.chmod(0o644)
    keys = {credential.read_key(credential.make_key(path)) for _ in range(3)}
    assert len(keys) == 3
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / "key").symlink_to(other)
    credential.make_key(tmp_path / "key")
    assert other.read_text() == "precious"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "holds no key"), ("zz", "holds no key"), ("00", "has 1 bytes")]
)
def test_what_is_no_key(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WorkloadError, match=reason) as caught:
        credential.read_key(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("path", "reason"), [("/dev/zero", "not in hexadecimal"), ("/", "Is a directory")]
)
def test_a_key_is_a_short_file(path: str, reason: str) -> None:
    with pytest.raises(WorkloadError, match=f"{path} holds no key: .*{reason}"):
        credential.read_key(Path(path))


def say(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "workloads.credential", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)


def test_by_hand_without_a_server(tmp_path: Path) -> None:
    key = str(tmp_path / "key")
    assert say("--make", key).returncode == 0
    for url, reason in (("nonsense", "no server at"), ("http://127.0.0.1/x", "no server at")):
        done = say("--key", key, "--uid", "1", url)
        assert done.returncode == 2
        assert reason in done.stderr
    assert say("--key", key).returncode == 2


@needs_raw
def test_nothing_listens(tmp_path: Path) -> None:
    key = credential.make_key(tmp_path / "key")
    done = say("--key", str(key), "--uid", "1", "http://t0001.localhost:1/hello.py")
    assert done.returncode == 2
    assert "error: no reply from t0001.localhost:1: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the capability away")
def test_without_the_capability_it_says_so(tmp_path: Path) -> None:
    key = credential.make_key(tmp_path / "key")
    url = "http://t0001.localhost:80/hello.py"
    prefix = ("setpriv", "--bounding-set", "-net_raw")
    done = say("--key", str(key), "--uid", "1", url, prefix=prefix)
    assert done.returncode == 2
    assert "error: sending clients' credentials needs CAP_NET_RAW" in done.stderr
