"""What modes ask of a host; what the command line makes of a refusal is in test_main."""

from pathlib import Path

import pytest

from servers import requirements
from servers.credentials import Identity, drop_for_good
from servers.mode import Setting, Unavailable
from tests.servers.forked import in_child
from tests.servers.live import WWW, Sites, needs_root

pytestmark = needs_root


def setting(sites: Sites) -> Setting:
    return Setting(sites.root, Identity(WWW.uid, WWW.gid), sites.root.parent)


def test_root_can_become_all_that_the_sites_need(sites: Sites) -> None:
    requirements.other_identities(setting(sites))


def test_without_capabilities_there_are_no_other_identities(sites: Sites) -> None:
    def ask() -> str:
        drop_for_good(Identity(WWW.uid, WWW.gid))
        with pytest.raises(Unavailable) as refusal:
            requirements.other_identities(setting(sites))
        return refusal.value.reason

    assert in_child(ask) == "changing identity takes CAP_SETUID and CAP_SETGID"


def test_interpreter_that_tenants_cannot_read(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = sites.root.parent / "python"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr("sys.executable", str(closed / "python3"))
    with pytest.raises(Unavailable, match=f"tenants cannot read {closed}"):
        requirements.readable_interpreter(setting(sites))


def test_compiler_of_the_system_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no C compiler"):
        requirements.c_compiler()
    for name in ("ziglang/zig", "clang", "cc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
        command = [str(tmp_path / name), *(["cc"] if name == "ziglang/zig" else [])]
        assert list(requirements.c_compiler()) == command
