"""What modes ask of a host; what the command line makes of a refusal is in test_main."""

import socket
from pathlib import Path

import pytest

from servers import host_checks
from servers.errors import Unavailable
from servers.kernel import user_namespace
from servers.kernel.credentials import Identity, drop_for_good
from servers.mode import Setting
from tests.servers.forked import in_child
from tests.servers.live import WWW, Sites, needs_root

pytestmark = needs_root


def setting(sites: Sites) -> Setting:
    return Setting(str(sites.root), Identity(WWW.uid, WWW.gid), str(sites.root.parent))


def test_root_can_become_all_that_the_sites_need(sites: Sites) -> None:
    host_checks.other_identities(setting(sites))


def test_without_capabilities_there_are_no_other_identities(sites: Sites) -> None:
    def ask() -> str:
        drop_for_good(Identity(WWW.uid, WWW.gid))
        with pytest.raises(Unavailable) as refusal:
            host_checks.other_identities(setting(sites))
        return refusal.value.reason

    assert in_child(ask) == "changing identity requires CAP_SETUID and CAP_SETGID"


def test_no_more_user_namespaces(sites: Sites) -> None:
    def ask() -> tuple[str, str]:
        user_namespace.enter(range(65536), range(65536))
        # The limit of this namespace, and of those below it (namespaces(7)).
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        with pytest.raises(Unavailable) as refusal:
            host_checks.user_namespace([WWW.uid], [WWW.gid])
        return refusal.value.reason, refusal.value.hint

    reason, hint = in_child(ask)
    assert reason.startswith("the kernel refuses a user namespace: ")
    assert "user.max_user_namespaces" in hint


def test_tenants_in_more_ranges_than_a_map_holds() -> None:
    scattered = range(46000, 47000, 2)
    with pytest.raises(Unavailable, match="are too scattered for the map of a user namespace"):
        host_checks.user_namespace(scattered, [WWW.gid])


def test_socket_option_that_the_kernel_does_not_know() -> None:
    host_checks.socket_options([(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
    with pytest.raises(Unavailable, match="refuses the socket option 9999 of level 6: "):
        host_checks.socket_options([(socket.IPPROTO_TCP, 9999, 1)])


def test_interpreter_that_tenants_cannot_read(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = sites.root.parent / "python"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr("sys.executable", str(closed / "python3"))
    with pytest.raises(Unavailable, match=f"tenants cannot read {closed}"):
        host_checks.readable_interpreter(setting(sites))


def test_compiler_of_the_system_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no C compiler"):
        host_checks.c_compiler()
    for name in ("ziglang/zig", "clang", "cc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
        command = [str(tmp_path / name), *(["cc"] if name == "ziglang/zig" else [])]
        assert list(host_checks.c_compiler()) == command
