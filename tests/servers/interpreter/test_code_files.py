"""Compiled code in owners' files: each request in a process of its own, as in the modes."""

import marshal
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from servers.http import RequestParser
from servers.interpreter.code_files import EmbeddedOnce
from servers.interpreter.context import compile_script
from servers.kernel.credentials import Identity, become
from servers.mode import Setting
from servers.sites import Site
from tests.servers.forked import in_child
from tests.servers.live import FIRST_UID, WWW, Sites, needs_root

pytestmark = needs_root

HEAD = "print('Content-Type: text/plain\\n')\n"


class Interpreter:
    """An interpreter on one tenant's site, whose requests are served as a worker would."""

    def __init__(self, directory: Path) -> None:
        self.site = directory / "sites" / "t0001"
        self.private = directory / "private"
        self.site.mkdir(parents=True)
        self.private.mkdir()
        os.chown(self.site, FIRST_UID, FIRST_UID)
        self.use(code_cache=True)

    def use(self, code_cache: bool) -> None:
        www = Identity(WWW.uid, WWW.gid)
        setting = Setting(str(self.site.parent), www, str(self.private), code_cache=code_cache)
        self.embedded = EmbeddedOnce(setting)

    def put(self, source: str) -> None:
        (self.site / "a.py").write_text(source)

    def serve(self) -> tuple[bytes, int]:
        """Return what the script answers, and how often it was compiled for that."""

        def serve() -> tuple[bytes, int]:
            data = b"GET /a.py HTTP/1.1\r\nHost: t\r\n\r\n"
            (request,) = RequestParser(1000, 1000).feed(data)
            site = Site("t0001", self.site)
            request.script = site.script(b"/a.py")
            become(site.owner)
            with patch(
                "servers.interpreter.embedded.compile_script", wraps=compile_script
            ) as compiling:
                return self.embedded.run(request, {}).body, compiling.call_count

        return in_child(serve)

    def kept(self) -> list[Path]:
        return list((self.private / "code" / str(FIRST_UID)).iterdir())


@pytest.fixture
def interpreter(sites: Sites) -> Interpreter:
    """An interpreter below a directory that tenants can reach."""
    directory = sites.root.parent / "kept"
    directory.mkdir()
    made = Interpreter(directory)
    made.embedded.make_room()
    made.put(HEAD + "print(1)")
    return made


def test_next_worker_finds_the_script_compiled(interpreter: Interpreter) -> None:
    assert [interpreter.serve() for _ in range(3)] == [(b"1\n", 1), (b"1\n", 0), (b"1\n", 0)]


def test_what_is_kept_is_its_owners_alone(interpreter: Interpreter) -> None:
    interpreter.serve()
    (file,) = interpreter.kept()
    for path, mode in (file, 0o600), (file.parent, 0o700):
        status = path.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (FIRST_UID, mode)


def test_a_changed_script_is_compiled_again(interpreter: Interpreter) -> None:
    interpreter.serve()
    interpreter.put(HEAD + "print(1 + 1)")
    assert [interpreter.serve() for _ in range(2)] == [(b"2\n", 1), (b"2\n", 0)]
    assert len(interpreter.kept()) == 1


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", marshal.dumps(1), marshal.dumps((b"/b.py", (), None))]
)
def test_what_is_no_code_of_the_script_is_replaced(
    interpreter: Interpreter, content: bytes
) -> None:
    interpreter.serve()
    (file,) = interpreter.kept()
    file.write_bytes(content)
    assert [interpreter.serve() for _ in range(2)] == [(b"1\n", 1), (b"1\n", 0)]


def test_symbolic_links_are_not_followed(interpreter: Interpreter) -> None:
    interpreter.serve()
    (file,) = interpreter.kept()
    moved = file.rename(interpreter.private / "elsewhere")
    file.symlink_to(moved)
    assert interpreter.serve() == (b"1\n", 1)


def test_without_room_each_worker_compiles(interpreter: Interpreter) -> None:
    (interpreter.private / "code" / str(FIRST_UID)).rmdir()
    assert [interpreter.serve() for _ in range(2)] == [(b"1\n", 1), (b"1\n", 1)]


def test_without_a_code_cache_nothing_is_kept(interpreter: Interpreter) -> None:
    interpreter.use(code_cache=False)
    assert [interpreter.serve() for _ in range(2)] == [(b"1\n", 1), (b"1\n", 1)]
    assert interpreter.kept() == []


def test_large_code_is_not_kept(interpreter: Interpreter) -> None:
    interpreter.put(HEAD + f"print(1); {'x' * 2**20!r}, len")
    assert [interpreter.serve() for _ in range(2)] == [(b"1\n", 1), (b"1\n", 1)]
    assert interpreter.kept() == []
