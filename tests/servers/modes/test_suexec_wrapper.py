"""The suEXEC wrapper: every refusal is provoked by changing one thing in a call that works.

`CASES` is the whole list, in the order in which the wrapper asks. Not in it:

- 112 is Apache's code for ~user sites, which the wrapper does not have;
- 115 cannot be provoked: the working directory of a process is always a directory, and the wrapper
  looks at it through the kernel's own reference, for which no permission is needed;
- "the change ... did not hold" (109, 110) would take a kernel that reports a change of credentials
  and does not make it.
"""

import ctypes
import fcntl
import functools
import os
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from servers.modes.suexec import c_string
from tests.servers import keys

SOURCE = Path(__file__).parents[3] / "servers" / "modes" / "suexec" / "suexec.c"
COMPILERS = [name for name in ("cc", "gcc", "clang", "musl-gcc") if shutil.which(name)]
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")

WWW, OWNER, NEIGHBOUR = 46000, 46001, 46002
OVERFLOW_UID = int(Path("/proc/sys/kernel/overflowuid").read_text())

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a setuid-root program"),
    pytest.mark.skipif("cc" not in COMPILERS, reason="the wrapper is compiled by cc"),
]


# What is changed between a call that works and one that is refused.


@dataclass(frozen=True)
class Call:
    """How the wrapper is called; as it stands, a call that works.

    `through` is a command that root starts and that starts the wrapper in its turn, as www.
    """

    arguments: tuple[str, ...] = (str(OWNER), str(OWNER), "hello.sh")
    caller: int = WWW
    directory: str = "www/t0001"
    wrapper: str = "suexec"
    through: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One refusal: its exit code, its message, and the one thing that is wrong."""

    code: int
    message: str
    call: Call = field(default_factory=Call)
    prepare: Callable[[Path], object] = lambda site: None

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


def uid(text: str) -> Call:
    return Call(arguments=(text, str(OWNER), "hello.sh"))


def gid(text: str) -> Call:
    return Call(arguments=(str(OWNER), text, "hello.sh"))


def program(name: str) -> Call:
    return Call(arguments=(str(OWNER), str(OWNER), name))


AS_WWW = ("setpriv", f"--reuid={WWW}", f"--regid={WWW}", "--clear-groups")


def after(command: str) -> tuple[str, ...]:
    """Run a shell command as root, then the wrapper as www."""
    return ("sh", "-c", f'{command} && exec "$@"', "sh", *AS_WWW)


def after_mount(command: str) -> tuple[str, ...]:
    """Do the same in a mount namespace, so that the host keeps its files."""
    return ("unshare", "--mount", *after(command))


def script_mode(mode: int) -> Callable[[Path], None]:
    return lambda site: (site / "hello.sh").chmod(mode)


def script_owner(user: int, group: int) -> Callable[[Path], None]:
    return lambda site: os.chown(site / "hello.sh", user, group)


def site_mode(mode: int) -> Callable[[Path], None]:
    return lambda site: site.chmod(mode)


def site_owner(user: int, group: int) -> Callable[[Path], None]:
    """Give the site away, but let everyone in, so that nothing else than the owner is wrong."""

    def give_away(site: Path) -> None:
        os.chown(site, user, group)
        site.chmod(0o755)

    return give_away


def both(
    first: Callable[[Path], object], second: Callable[[Path], object]
) -> Callable[[Path], None]:
    def prepare(site: Path) -> None:
        first(site)
        second(site)

    return prepare


NOT_A_NUMBER = ("", "t0001", "-1", "+46001", " 46001", "46001 ", "0xb3b1", "4294967295", "9" * 40)
UNKNOWN = f"caller is unknown: uid {OVERFLOW_UID} stands for every user not mapped here"
OUTSIDE = "program is named by an absolute path or through .."
NOT_OWNED = f"does not belong to uid {OWNER} and gid {OWNER}"
USAGE = "wrong number of arguments; usage: suexec UID GID PROGRAM"

CASES = [
    Case(
        122,
        "cannot open /dev/null in place of a closed standard descriptor",
        # Without the setuid bit, since with it the C library looks after this before main() does.
        Call(wrapper="suexec-plain", through=after_mount("mount -t tmpfs tmpfs /dev && exec <&-")),
    ),
    Case(
        102,
        "caller cannot be told apart: /proc/sys/kernel/overflowuid is not readable",
        Call(through=after_mount("mount --bind /dev/null /proc/sys/kernel/overflowuid")),
    ),
    Case(102, UNKNOWN, Call(caller=OVERFLOW_UID)),
    Case(102, UNKNOWN, Call(through=("unshare", "--user"))),
    Case(101, USAGE, Call(arguments=())),
    Case(101, USAGE, Call(arguments=(str(OWNER), str(OWNER)))),
    Case(101, USAGE, Call(arguments=(str(OWNER), str(OWNER), "hello.sh", "-s"))),
    Case(103, f"caller is uid {OWNER}, not the server", Call(caller=OWNER)),
    Case(103, "caller is uid 0, not the server", Call(caller=0)),
    Case(104, OUTSIDE, program("/bin/sh")),
    Case(104, OUTSIDE, program("..")),
    Case(104, OUTSIDE, program("../t0001/hello.sh")),
    Case(104, OUTSIDE, program("data/../../t0001/hello.sh")),
    Case(104, OUTSIDE, program("data/..")),
    *(Case(105, "target uid is not a number from 0 to 4294967294", uid(t)) for t in NOT_A_NUMBER),
    *(Case(106, "target gid is not a number from 0 to 4294967294", gid(t)) for t in NOT_A_NUMBER),
    Case(107, "target uid 0 is forbidden: the smallest allowed is 46001", uid("0")),
    Case(107, "target uid 46000 is forbidden: the smallest allowed is 46001", uid("46000")),
    Case(108, "target gid 0 is forbidden: the smallest allowed is 46001", gid("0")),
    Case(108, "target gid 46000 is forbidden: the smallest allowed is 46001", gid("46000")),
    Case(
        109,
        f"cannot change to gid {OWNER}: Operation not permitted",
        Call(wrapper="suexec-plain"),
    ),
    Case(
        110,
        f"cannot change to uid {OWNER}: Operation not permitted",
        Call(wrapper="suexec-groups-only"),
    ),
    Case(
        110,
        f"the change to uid {OWNER} can be undone",
        Call(through=(AS_WWW[0], "--securebits=+no_setuid_fixup", *AS_WWW[1:])),
    ),
    Case(
        111,
        "cannot tell the working directory: No such file or directory",
        Call(directory="www/t0001/gone", through=after('rmdir "$PWD"')),
        lambda site: (site / "gone").mkdir(),
    ),
    Case(
        113,
        "cannot find the document root: No such file or directory",
        Call(wrapper="suexec-without-root"),
    ),
    Case(114, "working directory is not inside the document root", Call(directory="www")),
    Case(114, "working directory is not inside the document root", Call(directory="www-evil")),
    Case(
        114,
        "working directory is not inside the document root",
        Call(directory="www/t0001/link"),
        lambda site: (site / "link").symlink_to("../../www-evil"),
    ),
    Case(116, "working directory is writable by others", prepare=site_mode(0o770)),
    Case(116, "working directory is writable by others", prepare=site_mode(0o752)),
    Case(117, "cannot look at the program: No such file or directory", program("none.sh")),
    Case(117, "cannot look at the program: No such file or directory", program("")),
    Case(
        117,
        # The site of t0001 is closed to its neighbour, and the wrapper is the neighbour by now.
        "cannot look at the program: Permission denied",
        Call(arguments=(str(NEIGHBOUR), str(NEIGHBOUR), "hello.sh")),
    ),
    Case(
        117,
        "program is a symlink",
        program("link.sh"),
        lambda site: (site / "link.sh").symlink_to("hello.sh"),
    ),
    Case(117, "program is not a regular file", program(".")),
    Case(
        117,
        "program is not a regular file",
        program("fifo"),
        lambda site: os.mkfifo(site / "fifo"),
    ),
    Case(118, "program is writable by others", prepare=script_mode(0o770)),
    Case(118, "program is writable by others", prepare=script_mode(0o752)),
    Case(119, "program is setuid or setgid", prepare=script_mode(0o4750)),
    Case(119, "program is setuid or setgid", prepare=script_mode(0o2750)),
    Case(120, f"working directory {NOT_OWNED}", prepare=site_owner(NEIGHBOUR, WWW)),
    Case(120, f"working directory {NOT_OWNED}", prepare=site_owner(OWNER, NEIGHBOUR)),
    Case(120, f"program {NOT_OWNED}", prepare=script_owner(NEIGHBOUR, WWW)),
    Case(120, f"program {NOT_OWNED}", prepare=script_owner(OWNER, NEIGHBOUR)),
    *(
        # With another tenant's gid, an unknown one: the site does not belong to it.
        Case(120, f"working directory does not belong to uid {OWNER} and gid {other}", gid(other))
        for other in (str(NEIGHBOUR), "46990", "4294967294")
    ),
    Case(
        120,
        f"working directory {NOT_OWNED}",
        # Only the program's group is right.
        prepare=both(site_owner(OWNER, NEIGHBOUR), script_owner(OWNER, OWNER)),
    ),
    Case(
        120,
        f"program does not belong to uid {OWNER} and gid {NEIGHBOUR}",
        gid(str(NEIGHBOUR)),
        # A site that is of another group than its owner's, and a program that is not.
        both(site_owner(OWNER, NEIGHBOUR), script_mode(0o755)),
    ),
    Case(
        120,
        "working directory does not belong to uid 46003 and gid 46003",
        Call(arguments=("46003", "46003", "hello.sh")),
        both(site_mode(0o755), script_mode(0o755)),
    ),
    Case(
        120,
        # The server's own group, in which every tenant's files could be read.
        f"working directory does not belong to uid {OWNER} and gid {WWW}",
        Call((str(OWNER), str(WWW), "hello.sh"), wrapper="suexec-low-gids"),
    ),
    Case(
        120,
        f"working directory does not belong to uid {OWNER} and gid {WWW}",
        Call((str(OWNER), str(WWW), "hello.sh"), wrapper="suexec-low-gids"),
        both(site_owner(OWNER, WWW), script_owner(OWNER, WWW)),
    ),
    Case(121, "program is not executable by its owner", prepare=script_mode(0o650)),
    Case(
        255,
        "cannot execute: /dev/fd/3 is missing; /dev/fd must lead to /proc/self/fd",
        Call(through=after_mount("mount -t tmpfs tmpfs /dev")),
    ),
    Case(
        255,
        "cannot execute the program: No such file or directory",
        prepare=lambda site: write_script(site, interpreter="/none"),
    ),
    Case(
        255,
        "cannot execute the program: Exec format error",
        prepare=lambda site: (site / "hello.sh").write_text("exit 0\n"),
    ),
]


# The installation, and a site in it.


@dataclass(frozen=True)
class Installation:
    """A directory that every tenant can reach, with the wrappers and the document root in it.

    The wrappers differ in what they may do, and one in its document root, which does not exist.
    """

    base: Path

    @property
    def document_root(self) -> Path:
        return self.base / "www"

    def run(self, call: Call, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Call a wrapper and wait for the end; `options` are subprocess.run's."""
        if call.through[:1] == ("unshare",) and not may_make_namespaces():
            pytest.skip("root may not make namespaces here")
        as_caller = {"user": call.caller, "group": WWW, "extra_groups": []}
        defaults = {"stdin": subprocess.DEVNULL, "timeout": 30, "capture_output": True}
        settings: dict[str, Any] = defaults | ({} if call.through else as_caller) | options
        command = [*call.through, str(self.base / call.wrapper), *call.arguments]
        return subprocess.run(command, cwd=self.base / call.directory, text=True, **settings)


@functools.cache
def may_make_namespaces() -> bool:
    command = ["unshare", "--mount", "unshare", "--user", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def directory_that_honours_setuid() -> str:
    """Find a place for the wrapper: pytest's own directories are closed to other users."""
    for candidate in (tempfile.gettempdir(), "/var/tmp", "/opt"):
        if not os.statvfs(candidate).f_flag & os.ST_NOSUID:
            return candidate
    pytest.fail("every candidate is mounted nosuid: name another one here")


def definitions(document_root: Path) -> dict[str, str]:
    return {
        "SUEXEC_CALLER": str(WWW),
        "SUEXEC_SERVER_GID": str(WWW),
        "SUEXEC_DOC_ROOT": f'"{document_root}"',
        "SUEXEC_UID_MIN": str(WWW + 1),
        "SUEXEC_GID_MIN": str(WWW + 1),
    }


def compile_wrapper(
    settings: dict[str, str], output: Path, compiler: str = "cc"
) -> "subprocess.CompletedProcess[str]":
    macros = [f"-D{name}={value}" for name, value in settings.items()]
    command = [compiler, *FLAGS, *macros, str(SOURCE), "-o", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def install(binary: Path, wrapper: Path, mode: int) -> None:
    """Copy, then own, then set the mode, since a change of owner takes the setuid bit away."""
    shutil.copyfile(binary, wrapper)
    os.chown(wrapper, 0, WWW)
    wrapper.chmod(mode)


def allow_changing_groups(wrapper: Path) -> None:
    """Grant CAP_SETGID (6), and not CAP_SETUID, as a file capability.

    The layout is `struct vfs_cap_data`, revision 2, in linux/capability.h.
    """
    revision_2_effective = 0x02000001
    capabilities = struct.pack("<5I", revision_2_effective, 1 << 6, 0, 0, 0)
    os.setxattr(wrapper, "security.capability", capabilities)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(dir=directory_that_honours_setuid()) as name:
        base = Path(name)
        base.chmod(0o755)
        for directory in ("www", "www-evil"):
            (base / directory).mkdir(mode=0o755)
        built, built_without_root = base / "built", base / "built-without-root"
        assert compile_wrapper(definitions(base / "www"), built).returncode == 0
        assert compile_wrapper(definitions(base / "none"), built_without_root).returncode == 0
        install(built, base / "suexec", 0o4750)
        install(built, base / "suexec-plain", 0o750)
        install(built, base / "suexec-groups-only", 0o750)
        allow_changing_groups(base / "suexec-groups-only")
        install(built_without_root, base / "suexec-without-root", 0o4750)
        low, built_low = {"SUEXEC_GID_MIN": "1"}, base / "built-low"
        assert compile_wrapper(definitions(base / "www") | low, built_low).returncode == 0
        install(built_low, base / "suexec-low-gids", 0o4750)
        yield Installation(base)


def give_to_owner(path: Path, mode: int) -> None:
    os.chown(path, OWNER, WWW)
    path.chmod(mode)


def write_script(site: Path, body: str = "", interpreter: str = "/bin/sh") -> None:
    script = site / "hello.sh"
    script.write_text(f"#!{interpreter}\n{body}\n")
    give_to_owner(script, 0o750)


@pytest.fixture
def site(installation: Installation) -> Iterator[Path]:
    """Make the site of t0001 as hosting practice has it: 0750 tenant:www, and a script in it."""
    path = installation.document_root / "t0001"
    path.mkdir()
    (path / "data").mkdir()
    give_to_owner(path / "data", 0o2770)
    give_to_owner(path, 0o750)
    write_script(path, "echo ran")
    yield path
    shutil.rmtree(path)


# What the wrapper refuses.


@pytest.mark.parametrize("case", CASES, ids=str)
def test_refuses(case: Case, installation: Installation, site: Path) -> None:
    case.prepare(site)
    result = installation.run(case.call)
    assert result.stderr == f"suexec: {case.message}\n"
    assert (result.returncode, result.stdout) == (case.code, "")


def test_every_code_has_a_case() -> None:
    cannot_be_provoked = {112, 115}
    assert {case.code for case in CASES} == {*range(101, 123), 255} - cannot_be_provoked


# What the wrapper lets pass, and how the program then finds itself.


def status_of_program(stdout: str) -> dict[str, list[str]]:
    """Read what a script copied from /proc/PID/status: proc_pid_status(5)."""
    lines = (line.partition(":") for line in stdout.splitlines())
    return {name: value.split() for name, _, value in lines}


def test_program_has_exactly_the_identity_of_the_target(
    installation: Installation, site: Path
) -> None:
    write_script(site, "cat /proc/$$/status")
    status = status_of_program(installation.run(Call()).stdout)
    real_effective_saved_and_filesystem = [str(OWNER)] * 4
    assert status["Uid"] == real_effective_saved_and_filesystem
    assert status["Gid"] == real_effective_saved_and_filesystem
    assert status["Groups"] == []
    assert {int(status[name][0], 16) for name in ("CapPrm", "CapEff", "CapAmb")} == {0}


def test_umask_of_the_caller_is_not_passed_on(installation: Installation, site: Path) -> None:
    write_script(site, "umask")
    assert installation.run(Call(), umask=0).stdout == "0022\n"


def test_groups_of_the_caller_are_not_passed_on(installation: Installation, site: Path) -> None:
    write_script(site, "cat /proc/$$/status")
    result = installation.run(Call(), extra_groups=[WWW, NEIGHBOUR])
    assert status_of_program(result.stdout)["Groups"] == []


def test_signals_of_the_caller_are_not_passed_on(installation: Installation, site: Path) -> None:
    # In the shell's own place: a shell that starts a program blocks its signals meanwhile.
    write_script(site, "exec cat /proc/self/status")

    def ignore_and_block() -> None:
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])

    result = installation.run(Call(), preexec_fn=ignore_and_block, restore_signals=False)
    status = status_of_program(result.stdout)
    assert {int(status[name][0], 16) for name in ("SigIgn", "SigBlk")} == {0}


@keys.needs_keys
def test_keys_of_the_caller_are_not_passed_on(installation: Installation, site: Path) -> None:
    write_script(site, "cat /proc/keys")
    ran = installation.run(Call(), preexec_fn=lambda: keys.plant("of-the-caller", "secret"))
    assert ran.returncode == 0
    assert "of-the-caller" not in ran.stdout


@pytest.mark.parametrize("group", [OWNER, WWW])
def test_site_may_have_the_group_of_the_target_or_of_the_server(
    group: int, installation: Installation, site: Path
) -> None:
    os.chown(site, OWNER, group)
    os.chown(site / "hello.sh", OWNER, group)
    assert installation.run(Call()).stdout == "ran\n"


@pytest.mark.parametrize("name", ["hello.sh", "./hello.sh", "data/..hello.sh", "data/x../hello.sh"])
def test_program_is_found_from_the_working_directory_downwards(
    name: str, installation: Installation, site: Path
) -> None:
    path = site / name
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        shutil.copyfile(site / "hello.sh", path)
        give_to_owner(path, 0o750)
    assert installation.run(program(name)).stdout == "ran\n"


def test_working_directory_below_the_site_is_inside_the_document_root(
    installation: Installation, site: Path
) -> None:
    (site / "data").chmod(0o750)
    (site / "hello.sh").rename(site / "data" / "hello.sh")
    assert installation.run(Call(directory="www/t0001/data")).stdout == "ran\n"


def test_only_the_environment_of_a_request_is_passed_on(
    installation: Installation, site: Path
) -> None:
    write_script(site, r"tr '\0' '\n' < /proc/$$/environ")
    passed_on = {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": "a=1&b=x=y",
        "SCRIPT_NAME": "/hello.sh",
        "HTTP_HOST": "t0001.localhost",
        "HTTP_PROXY_AUTHORIZATION": "none",
        "SSL_PROTOCOL": "TLSv1.3",
        "TZ": "UTC",
    }
    dropped = {
        "HTTP_PROXY": "http://evil.example",
        "LD_PRELOAD": "/none.so",
        "LD_LIBRARY_PATH": "/none",
        "PYTHONPATH": "/none",
        "BASH_ENV": "/none",
        "IFS": "/",
        "HOME": "/root",
        "PATH": "/evil",
        "QUERY_STRING_": "a name that only begins like one that is allowed",
        "REMOTE": "a name that only one that is allowed begins with",
    }
    result = installation.run(Call(), env=passed_on | dropped)
    environment = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert environment == passed_on | {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def test_program_gets_an_empty_environment_but_for_path(
    installation: Installation, site: Path
) -> None:
    write_script(site, r"tr '\0' '\n' < /proc/$$/environ")
    assert installation.run(Call(), env={}).stdout == "PATH=/usr/local/bin:/usr/bin:/bin\n"


# `ls` lists what the shell inherited and passed on, and 4, its own view of the directory.
LIST_DESCRIPTORS = "ls /proc/self/fd"
ONLY_THE_PROGRAM_ITSELF = ["0", "1", "2", "3", "4"]


@pytest.fixture
def secrets_of_the_server(tmp_path: Path) -> Iterator[tuple[int, ...]]:
    """Open a secret of the server's on a low, a middle and a high descriptor."""
    (tmp_path / "secret").write_text("secret")
    source = os.open(tmp_path / "secret", os.O_RDONLY)
    descriptors = (source, *(fcntl.fcntl(source, fcntl.F_DUPFD, least) for least in (60, 250)))
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_descriptors_of_the_server_are_closed(
    installation: Installation, site: Path, secrets_of_the_server: tuple[int, ...]
) -> None:
    write_script(site, LIST_DESCRIPTORS)
    result = installation.run(Call(), pass_fds=secrets_of_the_server)
    assert result.stdout.split() == ONLY_THE_PROGRAM_ITSELF


class FilterProgram(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def become_www_where_close_range_is_unknown() -> None:
    """Have close_range(2) fail as before Linux 5.9; for the child between fork and exec.

    A filter without no_new_privs, which would disarm the setuid bit, needs CAP_SYS_ADMIN.
    """
    load, jump_if_equal, answer = 0x20, 0x15, 0x06
    allow, enosys, close_range = 0x7FFF0000, 0x00050000 | 38, 436
    instructions = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (load, 0, 0, 0),
            (jump_if_equal, 0, 1, close_range),
            (answer, 0, 0, enosys),
            (answer, 0, 0, allow),
        )
    )
    set_seccomp, mode_filter = 22, 2
    filter_program = FilterProgram(4, instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(set_seccomp, mode_filter, ctypes.byref(filter_program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp filter refused")
    os.setgroups([])
    os.setgid(WWW)
    os.setuid(WWW)


def test_descriptors_are_closed_on_an_old_kernel_too(
    installation: Installation, site: Path, secrets_of_the_server: tuple[int, ...]
) -> None:
    if not may_make_namespaces():
        pytest.skip("root may not set a filter here")
    write_script(site, LIST_DESCRIPTORS)
    result = installation.run(
        Call(),
        pass_fds=secrets_of_the_server,
        user=None,
        group=None,
        extra_groups=None,
        preexec_fn=become_www_where_close_range_is_unknown,
    )
    assert result.stdout.split() == ONLY_THE_PROGRAM_ITSELF


def test_standard_descriptors_are_always_open(installation: Installation, site: Path) -> None:
    write_script(site, LIST_DESCRIPTORS)
    with_stdin_and_stderr_closed = ("sh", "-c", 'exec "$@" <&- 2>&-', "sh", *AS_WWW)
    result = installation.run(Call(through=with_stdin_and_stderr_closed))
    assert result.stdout.split() == ONLY_THE_PROGRAM_ITSELF


def test_what_was_checked_is_what_runs(installation: Installation, site: Path) -> None:
    """Swap the script at the worst moment: after the exec, before the interpreter reads it."""
    interpreter = site / "swap.sh"
    interpreter.write_text('#!/bin/sh\nmv other.sh hello.sh && exec /bin/sh "$1"\n')
    give_to_owner(interpreter, 0o750)
    (site / "other.sh").write_text("#!/bin/sh\necho another program ran\n")
    write_script(site, 'echo "$0 ran"', interpreter=str(interpreter))
    assert installation.run(Call()).stdout == "/dev/fd/3 ran\n"
    assert "another program" in (site / "hello.sh").read_text()


def test_binary_sees_its_name_and_needs_no_read_permission(
    installation: Installation, site: Path
) -> None:
    binary = site / "hello"
    code = '#include <stdio.h>\nint main(int n, char **v) { printf("%d %s", n, v[0]); }\n'
    subprocess.run(["cc", "-x", "c", "-", "-o", binary], input=code, text=True, check=True)
    give_to_owner(binary, stat.S_IXUSR)
    assert installation.run(program("hello")).stdout == "1 hello"


def test_request_body_and_working_directory_reach_the_program(
    installation: Installation, site: Path
) -> None:
    write_script(site, "pwd -P; cat")
    result = installation.run(Call(), stdin=None, input="the body")
    assert result.stdout == f"{site.resolve()}\nthe body"


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_status_of_the_program_passes_through(
    code: int, installation: Installation, site: Path
) -> None:
    write_script(site, f"exit {code}")
    result = installation.run(Call())
    assert (result.returncode, result.stderr) == (code, "")


# How the wrapper is compiled.


@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiles_without_warnings(compiler: str, tmp_path: Path) -> None:
    result = compile_wrapper(definitions(tmp_path), tmp_path / "suexec", compiler)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "name", ['"', '";#error', "\\", "\n#error\n", "%s ??! $(false)", "\xe9", "\udcff"]
)
def test_document_root_is_data_to_the_compiler(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    words = c_string(os.fsencode(tmp_path / name))
    assert set(words) <= {*'"\\01234567'}
    settings = definitions(tmp_path) | {"SUEXEC_DOC_ROOT": words}
    result = compile_wrapper(settings, tmp_path / "suexec")
    assert (result.returncode, result.stderr) == (0, "")
    assert os.fsencode(tmp_path / name) + b"\0" in (tmp_path / "suexec").read_bytes()


@pytest.mark.parametrize("setting", definitions(Path("/srv")))
def test_missing_setting_is_refused_with_advice(setting: str, tmp_path: Path) -> None:
    settings = definitions(tmp_path)
    del settings[setting]
    result = compile_wrapper(settings, tmp_path / "suexec")
    assert result.returncode != 0
    assert f"-D{setting}=" in result.stderr


@pytest.mark.parametrize("setting", ["SUEXEC_CALLER", "SUEXEC_UID_MIN", "SUEXEC_GID_MIN"])
def test_setting_that_would_admit_root_is_refused(setting: str, tmp_path: Path) -> None:
    result = compile_wrapper(definitions(tmp_path) | {setting: "0"}, tmp_path / "suexec")
    assert result.returncode != 0
    assert f"{setting} must" in result.stderr
