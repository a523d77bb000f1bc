"""What a script may rely on, and in which modes: the rows of the table in docs/modes.md.

The same files in each mode. Where the modes differ, the table says so, and so do these tests.
"""

import contextlib
import os
from collections.abc import Iterator

import pytest

from servers import modes
from tests.servers.live import PYTHON, Server, Sites, needs_root, read_reply, request

pytestmark = needs_root

EXECUTED = ("cgi", "suexec")
"""The script is a program of its own."""
FORKED = ("harache", "sandbox", "zygote")
"""The script has a process to itself, which is forked for it."""
IN_A_THREAD = ("process_security", "process_security_shipped")

HEAD = 'print("Content-Type: text/plain\\n")'


@pytest.fixture(scope="module", params=modes.names())
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker, so that whatever a request leaves behind meets the next one."""
    # Without -I, with which a program finds nothing beside itself.
    shared_sites.interpreter = f"{PYTHON} -EsS"
    with Server(request.param, shared_sites) as running:
        yield running


def put_module(sites: Sites, name: str, source: str, tenant: str = "t0001") -> None:
    """Write a file that scripts of a tenant import; `name` may lie in directories of the site."""
    path = sites.root / tenant / name
    own = path.parents[: len(path.relative_to(sites.root / tenant).parents) - 1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    for entry in (path, *own):
        os.chown(entry, (sites.root / tenant).stat().st_uid, sites.www.gid)
        entry.chmod(0o750)


def said(server: Server, source: str, tenant: str = "t0001", name: str = "case.py") -> str:
    """Return what a script prints after its header."""
    lines = "\n".join((HEAD, *source.splitlines()))
    reply = server.run(lines, tenant, name)
    assert reply.status == 200, server.log()
    return reply.text.strip()


def expect(server: Server, otherwise: object, exceptions: dict[tuple[str, ...], object]) -> object:
    """Return what is expected of the server's mode."""
    return next((word for those, word in exceptions.items() if server.mode in those), otherwise)


# Where it is


def test_script_runs_in_its_own_directory(server: Server) -> None:
    put_module(server.sites, "below/deeper/note", "noted")
    source = "import os\nprint(os.getcwd(), open('note').read())"
    directory = server.sites.root / "t0001" / "below" / "deeper"
    assert said(server, source, name="below/deeper/case.py") == f"{directory} noted"
    home = server.sites.root / "t0002"
    assert said(server, "import os\nprint(os.getcwd())", "t0002") == str(home)


def test_script_is_main_and_its_arguments_are_its_path_alone(server: Server) -> None:
    server.sites.put("case.py", f"import sys\n{HEAD}\nprint(__name__, __file__, *sys.argv)")
    path = server.sites.root / "t0001" / "case.py"
    # The wrapper executes the very file that it has checked, whatever its name leads to by now.
    seen = "/dev/fd/3" if server.mode == "suexec" else path
    assert server.get("/case.py?word+-c").text == f"__main__ {seen} {seen}\n"


def test_host_that_was_asked_for_is_the_servers_name(server: Server) -> None:
    server.sites.put("case.py", f"import os\n{HEAD}\nprint(os.environ['SERVER_NAME'])")
    asked = b"GET /case.py HTTP/1.1\r\nHost: t0001.Example.ORG:81\r\nConnection: close\r\n\r\n"
    assert server.ask(asked).text == "t0001.example.org\n"


@pytest.mark.parametrize("header", ["", "Content-Length: 0\r\n"])
def test_length_is_set_if_there_is_a_body(server: Server, header: str) -> None:
    server.sites.put("case.py", f"import os\n{HEAD}\nprint(os.environ.get('CONTENT_LENGTH'))")
    reply = server.ask(request("/case.py", method="POST", headers=f"{header}Connection: close\r\n"))
    assert reply.text == ("0\n" if header else "None\n")


# Text and bytes


def test_streams_are_those_of_a_program(server: Server) -> None:
    source = """
import sys
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.encoding.lower(), stream.errors, stream.readable(), end=" ")
"""
    streams = "utf-8 surrogateescape True utf-8 surrogateescape False utf-8 backslashreplace False"
    assert said(server, source) == streams


def test_locale_is_that_of_a_program(server: Server) -> None:
    source = """
import locale, sys
print(locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), sys.getfilesystemencoding())
"""
    kinds = "LC_CTYPE=C.UTF-8;LC_NUMERIC=C;LC_TIME=C;LC_COLLATE=C;LC_MONETARY=C;LC_MESSAGES=C;"
    said_of_it, *encodings = said(server, source).rsplit(" ", 2)
    assert said_of_it.startswith(kinds)
    assert [encoding.lower() for encoding in encodings] == ["utf-8", "utf-8"]


@pytest.mark.parametrize("value", [b"caf\xe9", b"caf\xc3\xa9", b"\xff\x80"])
def test_bytes_of_a_header_come_through(server: Server, value: bytes) -> None:
    server.sites.put("case.py", f"import os\n{HEAD}\nprint(os.environ['HTTP_X_U'])")
    head = b"GET /case.py HTTP/1.1\r\nHost: t0001.localhost\r\nX-U: %s\r\n\r\n" % value
    assert server.ask(head).body == value + b"\n"


def test_bytes_of_a_body_come_through(server: Server) -> None:
    server.sites.put("case.py", f"import sys\n{HEAD}\nprint(sys.stdin.read(), end='')")
    body = b"a\r\nb\rc\n\xff\xe9"
    assert server.ask(request("/case.py", method="POST", body=body)).body == body


def test_descriptors_are_a_programs_own_or_lead_nowhere(server: Server) -> None:
    """Descriptors 0 and 1 are the client's where the script is a program."""
    server.sites.put(
        "case.py",
        f"""
        import os, sys
        {HEAD}
        print("printed", flush=True)
        os.write(1, os.read(0, 100) + b"\\n")
        """,
    )
    reply = server.ask(request("/case.py", method="POST", body=b"body"))
    assert reply.text == expect(server, "printed\n", {EXECUTED: "printed\nbody\n"})


def test_script_has_few_other_descriptors(server: Server) -> None:
    source = """
import os
count = 0
for number in range(3, 256):
    try:
        os.fstat(number)
        count += 1
    except OSError:
        pass
print(count)
"""
    count = int(said(server, source))
    assert count == expect(server, count, {("cgi",): 0, ("suexec",): 1, FORKED: 1})


# Imports


def test_script_imports_what_is_beside_it(server: Server) -> None:
    for tenant in ("t0001", "t0002"):
        put_module(server.sites, "below/helper.py", f"WHOSE = {tenant!r}", tenant)
        put_module(server.sites, "below/package/__init__.py", "from . import part", tenant)
        put_module(server.sites, "below/package/part.py", f"WHOSE = {tenant!r}", tenant)
    source = "import helper, package.part\nprint(helper.WHOSE, package.part.WHOSE)"
    for tenant in ("t0001", "t0002", "t0001"):
        assert said(server, source, tenant, "below/case.py") == f"{tenant} {tenant}"


def test_nobody_else_finds_what_a_script_has_imported(server: Server) -> None:
    put_module(server.sites, "only_here.py", "")
    put_module(server.sites, "library/also_here.py", "")
    looking = """
import sys
print([name for name in ("only_here", "also_here", "json.tool") if name in sys.modules],
      [place for place in (*sys.path, *sys.path_importer_cache) if "t0001" in place])
"""
    first = "import sys\nsys.path.insert(0, 'library')\nimport only_here, also_here"
    assert said(server, first) == ""
    assert said(server, looking, "t0002") == "[] []"


def test_changed_module_is_picked_up(server: Server) -> None:
    for word in ("one", "two and", "three and"):  # of different lengths, as Python asks for
        put_module(server.sites, "changing.py", f"WORD = {word!r}")
        assert said(server, "import changing\nprint(changing.WORD)") == word


def test_module_with_a_librarys_name_is_for_its_owners_requests_only(server: Server) -> None:
    """A program finds its own first; in a server's interpreter the library's is there before."""
    put_module(server.sites, "colorsys.py", "WHOSE = 'own'")
    put_module(server.sites, "first/codeop.py", "class CommandCompiler: pass\ncompile_command = 0")
    source = "import colorsys\nprint(getattr(colorsys, 'WHOSE', 'library'))"
    assert said(server, source) == expect(server, "library", {EXECUTED: "own"})
    # One that goes before the library at its own wish, and one of the library's that finds it.
    first = "import sys\nsys.path.insert(0, 'first')\nimport code, codeop\nprint(codeop)"
    assert "first/codeop.py" in said(server, first)
    for tenant in ("t0001", "t0002"):
        source = "import code, codeop\nprint(code.compile_command is codeop.compile_command != 0)"
        assert said(server, source, tenant) == "True"


def test_modules_are_finalised_with_the_scripts_identity(server: Server) -> None:
    put_module(
        server.sites,
        "last_words.py",
        "import os\n"
        "class Last:\n"
        "    def __del__(self, write=os.write, told=os.open('data/told', os.O_CREAT | os.O_WRONLY)"
        ", who=os.geteuid): write(told, b'%d' % who())\n"
        "last = Last()\n"
        "def function(): pass\n",
    )
    told = server.sites.root / "t0001" / "data" / "told"
    uid = int(said(server, "import os, last_words\nprint(os.geteuid())"))
    server.wait_for(lambda: told.exists() and told.read_text() == str(uid))
    told.unlink()


def test_compiled_modules_are_written_by_who_may_write_there(server: Server) -> None:
    site = server.sites.root / "t0001"
    put_module(server.sites, "compiled.py", "X = 1")
    uid = int(said(server, "import os, compiled\nprint(os.geteuid())"))
    written = list((site / "__pycache__").glob("compiled.*"))
    assert {path.stat().st_uid for path in written} == {uid} - {server.sites.www.uid}
    for path in written:
        path.unlink()


# What a script starts


def test_client_does_not_wait_for_a_child_that_goes_on(server: Server) -> None:
    source = f"""
        import os, sys, time
        sys.stdout.flush()
        if os.fork() == 0:
            os.close(1)
            os.close(2)
            time.sleep(60)
            os._exit(0)
        {HEAD}
        print("whole")
    """
    if server.mode == "safe_mode":
        pytest.skip("scripts may not fork")
    server.sites.put("case.py", source)
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request("/case.py"))
        assert read_reply(stream).text == "whole\n"
        assert stream.read() == b""  # in less than the child's time, by the connection's limit
    for process in server.scripts():
        with contextlib.suppress(ProcessLookupError):  # some modes end them
            os.kill(process, 9)


def test_what_holds_the_standard_output_does_not_hold_the_answer(server: Server) -> None:
    server.sites.put(
        "case.py",
        f"""
        import os, time
        {HEAD}
        print("whole", flush=True)
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        """,
    )
    if server.mode == "safe_mode":
        pytest.skip("scripts may not fork")
    assert server.get("/case.py").text == "whole\n"


# How it ends


@pytest.mark.parametrize("end", ["sys.exit(3)", "sys.exit('words')", "raise SystemExit"])
def test_exit_status_is_nobodys_concern(server: Server, end: str) -> None:
    assert said(server, f"import sys\nprint('whole')\n{end}\nprint('never')") == "whole"


def test_exception_is_an_error_unless_a_program_has_printed_before(server: Server) -> None:
    reply = server.run(f"{HEAD}\nprint('half')\n1 / 0")
    assert reply.status == expect(server, 500, {EXECUTED: 200})
    assert "ZeroDivisionError" in server.log()


def test_end_without_tidying_up_takes_the_process_along(server: Server) -> None:
    server.sites.put("case.py", f"import os\n{HEAD}\nprint('x', flush=True)\nos._exit(0)")
    own_process = dict.fromkeys((*FORKED, "fastcgi"), 500)
    routed = {"router": 502, "groundhog": 502}
    status = {"cgi": 200, "suexec": 200, **routed, **own_process}.get(server.mode, 0)
    assert server.get("/case.py").status == status
    assert said(server, "print('served')") == "served"


def test_exit_handlers_are_called_where_the_process_ends_with_the_script(server: Server) -> None:
    source = "import atexit\natexit.register(lambda: print('handler'))\nprint('end')"
    # A worker goes on, and later its standard output leads nowhere.
    printed = expect(server, "end", {(*EXECUTED, *FORKED): "end\nhandler"})
    assert said(server, source) == printed
    assert said(server, "print('served')") == "served"


def test_threads_are_waited_for_in_programs(server: Server) -> None:
    source = """
import threading, time
def go_on():
    time.sleep(0.3)
    print("thread")
threading.Thread(target=go_on).start()
print("end")
"""
    if server.mode == "process_security_shipped":  # which cannot change back with a thread left
        assert server.run(f"{HEAD}\n{source}").status == 0
    else:
        assert said(server, source) == expect(server, "end", {EXECUTED: "end\nthread"})
    assert said(server, "print('served')") == "served"


def test_exit_handlers_are_called_for_a_script_that_fails(server: Server) -> None:
    if server.mode == "safe_mode":
        pytest.skip("www cannot write in the site")
    source = "import atexit, os\natexit.register(open, '/tmp/never', 'r')\nprint('x')"
    assert said(server, source) == "x"  # a handler that fails is the log's concern
    assert server.run("import atexit\natexit.register(int)\n1 / 0").status == 500


# What the interpreter is set to


def test_alarm_is_a_programs_own(server: Server) -> None:
    source = f"{HEAD}\nimport signal, time\nsignal.alarm(1)\ntime.sleep(1.2)\nprint('slept')"
    # The first process of a pid namespace is not ended by what it has not set a handler for.
    by_signal: dict[tuple[str, ...], object] = {
        (*EXECUTED, "harache", "zygote", "fastcgi"): 500,
        ("groundhog",): 502,
    }
    ended = expect(server, 200, by_signal)
    assert server.run(source).status == ended


def test_settings_of_the_interpreter_are_the_default_ones(server: Server) -> None:
    source = """
import sys
print(sys.getrecursionlimit(), sys.warnoptions, sys.flags.optimize, sys.dont_write_bytecode,
      sys.flags.no_site, sys.flags.dev_mode, sys.getswitchinterval())
"""
    assert said(server, source) == "1000 [] 0 False 1 False 0.005"


def test_signals_are_for_main_threads(server: Server) -> None:
    source = """
import signal
try:
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    print("set")
except ValueError:
    print("refused")
"""
    assert said(server, source) == expect(server, "set", {IN_A_THREAD: "refused"})


def test_programs_that_a_script_starts_have_its_environment_where_it_is_one(server: Server) -> None:
    if server.mode == "safe_mode":
        pytest.skip("scripts may not start programs")
    source = """
import subprocess
out = subprocess.run(["/usr/bin/env"], capture_output=True, text=True).stdout
print("SCRIPT_NAME=/case.py" in out.split())
"""
    assert said(server, source) == expect(server, "False", {EXECUTED: "True"})


def test_operators_settings_change_nothing(shared_sites: Sites) -> None:
    settings = ("LC_ALL=C", "PYTHONCOERCECLOCALE=0", "PYTHONUTF8=0", "PYTHONIOENCODING=ascii")
    prefix = ("env", *settings, "LANG=de_DE.ISO-8859-1", "PYTHONOPTIMIZE=1")
    with Server("dso", shared_sites, prefix=prefix) as server:
        test_settings_of_the_interpreter_are_the_default_ones(server)
        test_locale_is_that_of_a_program(server)
        test_streams_are_those_of_a_program(server)
        test_bytes_of_a_header_come_through(server, b"caf\xe9")
