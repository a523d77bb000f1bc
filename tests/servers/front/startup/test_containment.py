"""The namespaces that a server lives and dies in."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.front.startup import containment
from servers.kernel import syscalls
from servers.kernel.credentials import Identity, drop_for_good
from tests.servers.forked import in_child
from tests.servers.live import PATIENCE, Server, Sites, needs_root, request, where_readable

pytestmark = needs_root

TENANT = Identity(46001, 46001)


@pytest.fixture
def home() -> Iterator[Path]:
    """A closed home of root's with a directory in it that is meant for all."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        home = Path(name)
        for directory in ("public/lib", "private"):
            (home / directory).mkdir(parents=True)
        (home / "public" / "lib" / "file").write_text("text")
        (home / "private" / "key").write_text("key")
        yield home


def as_tenant_inside(home: Path, visible: list[Path]) -> dict[str, bool]:
    """Return which files a tenant can read once `visible` was made so."""

    def look() -> dict[str, bool]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        containment.make_visible(visible)
        drop_for_good(TENANT)
        return {
            name: os.access(home / name, os.R_OK) for name in ("public/lib/file", "private/key")
        }

    return in_child(look)


def test_closed_home_opens_for_what_is_visible_only(home: Path) -> None:
    assert as_tenant_inside(home, []) == {"public/lib/file": False, "private/key": False}
    for visible in ([home / "public"], [home / "public", home / "public" / "lib"]):
        seen = as_tenant_inside(home, visible)
        assert seen == {"public/lib/file": True, "private/key": False}


def test_host_keeps_its_home_closed(home: Path) -> None:
    as_tenant_inside(home, [home / "public"])
    assert home.stat().st_mode & 0o777 == 0o700
    assert str(home) not in Path("/proc/self/mountinfo").read_text()
    assert (home / "private" / "key").read_text() == "key"


def test_topmost_closed_directory_is_found(home: Path) -> None:
    (home / "public").chmod(0o700)
    assert containment.closed_ancestor(home / "public" / "lib") == home
    home.chmod(0o755)
    assert containment.closed_ancestor(home / "public" / "lib") == home / "public"
    (home / "public").chmod(0o711)
    assert containment.closed_ancestor(home / "public" / "lib") is None


def test_unreadable_path_is_named(home: Path) -> None:
    paths = ["/", str(home / "public")]
    assert containment.unreadable_for(TENANT, paths) == paths[1]
    assert containment.unreadable_for(TENANT, paths[:1]) is None


def contained(action: "object", private: Path) -> int:
    """Return the exit status of `action` run contained, from a child of pytest's own."""
    assert callable(action)
    return in_child(lambda: containment.run_contained(action, [], private))


def test_exit_status_is_passed_on(home: Path) -> None:
    assert contained(lambda: 7, home) == 7

    def fail() -> int:
        raise ValueError("on purpose")

    assert contained(fail, home) == 1


def test_inside_is_the_first_process_with_an_empty_private_directory(home: Path) -> None:
    def look() -> int:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        (home / "written").touch()
        empty = [path.name for path in home.iterdir()] == ["written"]
        return 10 + (os.getpid() == 1 and processes == ["1"] and empty)

    assert contained(look, home) == 11
    assert not (home / "written").exists()


def test_without_namespaces_main_runs_in_a_process_of_its_own(home: Path) -> None:
    def without() -> int:
        syscalls.drop_bounding_set(keep=0)
        syscalls.capset(syscalls.Capabilities())
        parent = os.getpid()
        return containment.run_contained(lambda: int(os.getppid() == parent), [], home)

    assert in_child(without) == 1


# A whole server


@pytest.mark.parametrize("mode", ["dso", "harache", "cgi"])
def test_sigkill_of_the_outer_process_ends_everything(sites: Sites, mode: str) -> None:
    """Also workers that changed their uid, and what a script left running."""
    with Server(mode, sites, workers=2) as server:
        server.run("""
            import subprocess as s
            s.Popen(["/bin/sleep", "1000"], stdout=s.DEVNULL, start_new_session=True)
            print("Content-Type: text/plain\\n")
        """)
        assert len(server.everybody()) >= 4
        server.process.kill()
        server.exit_status = -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_server(sites: Sites, number: signal.Signals) -> None:
    with Server("ruid2", sites, workers=2) as server:
        assert server.get().status == 200
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE) == 0


NO_NAMESPACES = where_readable("setpriv", "--bounding-set", "-sys_admin")


@pytest.mark.parametrize("mode", ["dso", "ruid2", "harache"])
def test_server_without_namespaces_works_and_cleans_up(sites: Sites, mode: str) -> None:
    with Server(mode, sites, workers=2, prefix=NO_NAMESPACES) as server:
        assert not server.ready["own_pid_namespace"]
        reply = server.run("""
            import subprocess as s
            s.Popen(["/bin/sleep", "1000"], stdout=s.DEVNULL, start_new_session=True)
            print("Content-Type: text/plain\\n")
        """)
        assert reply.status == 200
        assert server.ask(request(tenant="t0002")).status == 200
        assert len(server.everybody()) >= 3
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


DAEMON = """
    import subprocess as s
    s.Popen(["/bin/sleep", "1000"], stdout=s.DEVNULL, start_new_session=True)
    print("Content-Type: text/plain\\n")
"""


@pytest.mark.parametrize("mode", ["dso", "ruid2", "harache", "cgi", "fastcgi"])
@pytest.mark.parametrize("killed", ["the outer process", "the master"])
def test_sigkill_ends_everything_without_namespaces(sites: Sites, mode: str, killed: str) -> None:
    """Also workers that changed their uid, and what a script left running."""
    with Server(mode, sites, workers=2, prefix=NO_NAMESPACES) as server:
        assert not server.ready["own_pid_namespace"]
        assert server.run(DAEMON).status == 200
        assert len(server.everybody()) >= 4
        if killed == "the master":
            os.kill(server.master, signal.SIGKILL)
            server.exit_status = 128 + signal.SIGKILL
        else:
            server.process.kill()
            server.exit_status = -signal.SIGKILL
