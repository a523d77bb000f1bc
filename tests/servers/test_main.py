"""The command line: what it refuses, what it says, and what it may be used for by whom."""

import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httptools
import pytest

from servers import modes
from tests.servers.live import (
    PATIENCE,
    PYTHON,
    ROOT,
    WWW,
    Server,
    Sites,
    key_for,
    needs_root,
    where_readable,
)
from workloads.proof import Identity

pytestmark = needs_root

LEAN = (PYTHON, "-S", "-s", "-P")
PACKAGES = f"{ROOT}:{Path(httptools.__file__).parents[1]}"
USER = Identity(46990, 46990)
AS_USER = where_readable("setpriv", "--reuid=46990", "--regid=46990", "--clear-groups")
AS_USER_WITH_GROUPS = where_readable(
    "setpriv", "--reuid=46990", "--regid=46990", "--groups=46990,46991"
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


def command(
    *arguments: str,
    prefix: tuple[str, ...] = (),
    path: str = "/usr/bin:/bin",
    temporary: str = "/tmp",
) -> Ended:
    """Run `python -m servers` to its end."""
    done = subprocess.run(
        [*prefix, *LEAN, "-m", "servers", *arguments],
        cwd=ROOT,
        env={"PATH": path, "PYTHONPATH": PACKAGES, "TMPDIR": temporary},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def serving(mode: str, sites: Sites, *arguments: str, private: Path | None = None) -> list[str]:
    options = ["--private", str(private)] if private else []
    options += key_for(mode, sites.root.with_name("credential.key"))
    return [mode, "--sites", str(sites.root), "--port", "0", *options, *arguments]


WWW_OPTION = ("--www", f"{WWW.uid}:{WWW.gid}")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nonsense", *WWW_OPTION), "unknown mode 'nonsense'"),
        ((*WWW_OPTION,), "unknown mode None"),
        (("dso", *WWW_OPTION, "--sites", "/no/such"), "/no/such is not a directory of sites"),
        (("dso", *WWW_OPTION), "--sites is not a directory of sites"),
        (("dso",), "as root, the server needs an identity to run as"),
        (("dso", "--www", "www-data"), "not an identity: www-data"),
        (("dso", "--www", "1000"), "not an identity: 1000"),
        (("dso", "--www", "0:0"), "not an identity: 0:0"),
        (("dso", "--www", "1:4294967295"), "not an identity: 1:4294967295"),
        (("dso", *WWW_OPTION, "--option", "spawn=fork"), "unknown option: spawn=fork"),
        (("cgi", *WWW_OPTION, "--option", "spawn=thread"), "unknown option: spawn=thread"),
        (("dso", *WWW_OPTION, "--private", "/no/such"), "/no/such is not a directory"),
        (("dso", *WWW_OPTION, "--cpus", "none"), "cannot run there"),
        (("dso", *WWW_OPTION, "--cgroup", "/no/such"), "cannot run there"),
        (("dso", *WWW_OPTION, "--port", "99999"), "cannot listen on 127.0.0.1:99999"),
        (("dso", *WWW_OPTION, "--host", "192.0.2.1"), "cannot listen on 192.0.2.1:0"),
    ],
)
def test_wrong_usage_is_explained(sites: Sites, arguments: tuple[str, ...], complaint: str) -> None:
    given = list(arguments)
    if complaint.startswith(("unknown mode", "--sites", "/no/such is not a directory of")):
        ended = command(*given)
    else:
        ended = command(given[0], "--sites", str(sites.root), "--port", "0", *given[1:])
    assert ended.status == 2
    first, second, *_ = ended.stderr.splitlines()
    assert first.startswith(f"error: {complaint}")
    assert second.startswith("hint: ")
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "option",
    [
        "--workers=0", "--workers=-1", "--workers=x", "--port=x",
        "--script-seconds=0", "--script-seconds=nan", "--client-seconds=-1", "--nonsense",
    ],
)  # fmt: skip
def test_impossible_values_are_refused(option: str) -> None:
    ended = command("dso", option)
    assert ended.status == 2
    assert "Traceback" not in ended.stderr
    assert "error:" in ended.stderr


def test_refusal_is_also_for_programs(sites: Sites) -> None:
    ended = command(*serving("dso", sites, "--control"))
    assert json.loads(ended.stdout)["ready"] is False
    assert json.loads(ended.stdout)["reason"] == "as root, the server needs an identity to run as"


def test_port_in_use(sites: Sites) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = command("dso", "--sites", str(sites.root), *WWW_OPTION, "--port", str(port))
    assert ended.status == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr


def test_list_describes_every_mode() -> None:
    described = json.loads(command("--list").stdout)
    assert [mode["name"] for mode in described] == modes.names()
    assert all(mode["precedent"] and mode["summary"] and mode["runs_as"] for mode in described)


@pytest.mark.parametrize("mode", modes.names())
def test_check_says_only_whether_the_mode_can_run(sites: Sites, mode: str) -> None:
    assert command(*serving(mode, sites, *WWW_OPTION, "--check")) == Ended(0, "", "")


def test_private_directory_is_made_and_removed(sites: Sites, tmp_path: Path) -> None:
    for www, status in (WWW_OPTION, 0), (("--www", "bad"), 2):
        ended = command(*serving("suexec", sites, *www, "--check"), temporary=str(tmp_path))
        assert ended.status == status
        assert list(tmp_path.iterdir()) == []


# What a host may lack


def test_no_compiler(sites: Sites, tmp_path: Path) -> None:
    ended = command(*serving("suexec", sites, *WWW_OPTION), path=str(tmp_path))
    assert ended.status == 2
    assert "there is no C compiler" in ended.stderr


def test_private_directory_that_honours_no_setuid_bits(sites: Sites) -> None:
    """Where the server may make no namespaces, and /dev/shm is mounted nosuid."""
    private = sites.root.parent / "private"
    private.mkdir()
    remount = ("sh", "-c", 'mount -t tmpfs -o nosuid,mode=711 isobench "$0" && exec "$@"')
    prefix = where_readable(*remount, str(private), "setpriv", "--bounding-set", "-sys_admin")
    ended = command(*serving("suexec", sites, *WWW_OPTION, private=private), prefix=prefix)
    assert ended.status == 2
    assert "is on a file system mounted nosuid" in ended.stderr


def test_no_new_privileges(sites: Sites) -> None:
    prefix = where_readable("setpriv", "--no-new-privs")
    ended = command(*serving("suexec", sites, *WWW_OPTION), prefix=prefix)
    assert ended.status == 2
    assert "no_new_privs is set" in ended.stderr


@pytest.mark.parametrize("prefix", [AS_USER, AS_USER_WITH_GROUPS], ids=["alone", "with groups"])
@pytest.mark.parametrize("mode", ["dso", "cgi", "safe_mode"])
def test_ordinary_user_can_serve_as_itself(
    reachable: Path, prefix: tuple[str, ...], mode: str
) -> None:
    directory = reachable / f"{mode}-{len(prefix[-1])}"
    directory.mkdir()
    with Server(mode, Sites(directory, owner=USER), prefix=prefix) as server:
        reply = server.get()
        assert (reply.status, "uid=46990 gid=46990" in reply.text) == (200, True), server.log()


@pytest.mark.parametrize(
    "mode", ["ruid2", "harache", "suexec", "process_security", "process_security_shipped"]
)
def test_ordinary_user_cannot_change_identities(reachable: Path, mode: str) -> None:
    directory = reachable / mode
    directory.mkdir()
    sites = Sites(directory, owner=USER)
    ended = command(*serving(mode, sites), prefix=AS_USER)
    assert ended.status == 2
    assert "changing identity requires CAP_SETUID and CAP_SETGID" in ended.stderr
    assert "hint: run isobench as root, or" in ended.stderr


def test_ordinary_user_cannot_serve_as_another(sites: Sites) -> None:
    ended = command(*serving("dso", sites, *WWW_OPTION), prefix=AS_USER)
    assert ended.status == 2
    assert "only root can serve as another user" in ended.stderr


def test_ordinary_user_and_a_privileged_port(reachable: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first <= 1:
        pytest.skip("this host lets everybody have every port")
    directory = reachable / "port"
    directory.mkdir()
    sites = Sites(directory, owner=USER)
    ended = command("dso", "--sites", str(sites.root), "--port", str(first - 1), prefix=AS_USER)
    assert ended.status == 2
    assert "Permission denied" in ended.stderr


# What the server has loaded is what each fork copies


def test_import_is_lean() -> None:
    source = "import servers.__main__, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [*LEAN, "-c", source],
        cwd=ROOT,
        env={"PYTHONPATH": PACKAGES},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {
        "pandas",
        "numpy",
        "matplotlib",
        "locust",
        "gevent",
        "psutil",
        "asyncio",
        "multiprocessing",
    }
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.parametrize("mode", ["harache", "suid2", "dso"])
def test_a_server_has_loaded_next_to_nothing(mode: str) -> None:
    source = f"import servers.server_main, servers.modes.{mode}, sys; print(*sys.modules)"
    done = subprocess.run(
        [*LEAN, "-c", source],
        env={"PYTHONPATH": f"{ROOT}:{PACKAGES}"},
        capture_output=True,
        text=True,
        check=True,
    )
    avoided = {
        *("argparse", "collections", "contextlib", "enum", "functools", "json", "pathlib"),
        *("re", "signal", "socket", "subprocess", "tempfile", "typing", "urllib"),
    }
    assert avoided & set(done.stdout.split()) == set()


@pytest.mark.parametrize("mode", modes.names())
def test_worker_at_rest_is_small(sites: Sites, mode: str) -> None:
    with Server(mode, sites) as server:
        (worker,) = server.workers()
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 20 * 2**20


def test_inherited_descriptors_do_not_reach_scripts(sites: Sites, tmp_path: Path) -> None:
    """Whatever the starter left open: here its shell's descriptor 9."""
    kept = tmp_path / "kept open"
    prefix = ("sh", "-c", 'exec 9>"$0"; exec "$@"', str(kept))
    for mode in ("dso", "cgi"):
        with Server(mode, sites, prefix=prefix) as server:
            reply = server.run("""
                import os
                print("Content-Type: text/plain\\n")
                for number in os.listdir("/proc/self/fd"):
                    try:
                        print(os.readlink(f"/proc/self/fd/{number}"))
                    except OSError:
                        pass
            """)
            assert reply.status == 200
            assert "kept open" not in reply.text


def test_closed_home_with_everything_in_it(sites: Sites) -> None:
    """The interpreter, the checkout and its packages below root's own directory: tenants run."""
    home = sites.root.parent / "home"
    (home / "checkout").mkdir(parents=True)
    home.chmod(0o700)
    shutil.copytree(ROOT / "servers", home / "checkout" / "servers")
    for mode in ("suexec", "dso"):
        with Server(mode, sites, checkout=home / "checkout") as server:
            assert server.get().status == 200, server.log()
