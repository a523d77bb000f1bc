"""Scripts in forked children: what comes back, what is kept, and what a hostile one can do."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.http import RequestParser, Response
from servers.interpreter.embedded import OutputTooLarge, ScriptFailed
from servers.interpreter.forked import ForkedScripts
from servers.kernel.credentials import become
from servers.sites import Site
from tests.servers.forked import in_child
from tests.servers.live import Sites, needs_root

HEADER = "print('Content-Type: text/plain\\n')\n"
Ask = Callable[[], Response]


@pytest.fixture
def scripts() -> ForkedScripts:
    return ForkedScripts(output_limit=100_000, code_cache=True)


def asking(scripts: ForkedScripts, site: Path, enter: Callable[[], object] = lambda: None) -> Ask:
    """Return what asks for the site's a.py, as a worker would."""
    (request,) = RequestParser(10_000, 10_000).feed(b"GET /a.py HTTP/1.1\r\nHost: t\r\n\r\n")
    request.script = Site("t0001", site).script(request.target)

    def ask() -> Response:
        try:
            return scripts.run(request, {}, enter)
        finally:
            scripts.kill()

    return ask


def write(site: Path, source: str) -> None:
    (site / "a.py").write_text(HEADER + source)


def test_the_output_of_a_child_comes_back(scripts: ForkedScripts, tmp_path: Path) -> None:
    write(tmp_path, "import os; print(os.getpid())")
    response = asking(scripts, tmp_path)()
    assert response.status == 200
    assert int(response.body) != os.getpid()


def test_what_a_script_changes_is_gone_with_its_child(
    scripts: ForkedScripts, tmp_path: Path
) -> None:
    write(tmp_path, "import os; os.umask(0o777); os.chdir('/'); print(len.__name__); len = None")
    ask = asking(scripts, tmp_path)
    assert ask().body == ask().body == b"len\n"
    assert os.umask(0o022) != 0o777


def test_no_descriptor_but_the_standard_streams_and_the_pipe(
    scripts: ForkedScripts, tmp_path: Path
) -> None:
    write(tmp_path, "import os; print(len(os.listdir('/proc/self/fd')) - 1)")
    with open(os.devnull), open(os.devnull):
        assert asking(scripts, tmp_path)().body == b"4\n"


def test_compiled_code_is_kept_and_used_while_the_file_is_the_same(
    scripts: ForkedScripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "print('old')")
    ask = asking(scripts, tmp_path)
    assert ask().body == b"old\n"

    def compiled_again(*_: object) -> None:
        raise ScriptFailed("compiled again")

    with monkeypatch.context() as patch:
        patch.setattr("servers.interpreter.child.compile_script", compiled_again)
        assert ask().body == b"old\n"
        write(tmp_path, "print('new')")
        os.utime(tmp_path / "a.py", ns=(0, 0))
        with pytest.raises(ScriptFailed, match="compiled again"):
            ask()
    assert ask().body == b"new\n"


def test_nothing_is_kept_without_the_code_cache(tmp_path: Path) -> None:
    scripts = ForkedScripts(output_limit=100, code_cache=False)
    write(tmp_path, "")
    asking(scripts, tmp_path)()
    assert scripts._jobs.compiled == {}


def test_code_under_many_paths_has_an_end(tmp_path: Path) -> None:
    """A tenant's directories may be links to one another, and lead to a script in many ways."""
    scripts = ForkedScripts(output_limit=1000, code_cache=True)
    write(tmp_path, "x = '" + "x" * 1_000_000 + "'")
    (tmp_path / "d").symlink_to(tmp_path)
    site = Site("t0001", tmp_path)
    (request,) = RequestParser(10_000, 10_000).feed(b"GET /a.py HTTP/1.1\r\nHost: t\r\n\r\n")
    for depth in range(30):
        request.script = site.script(b"/d" * depth + b"/a.py")
        assert scripts.run(request, {}, lambda: None).status == 200
    assert 10 < len(scripts._jobs.compiled) < 17
    assert sum(map(len, scripts._jobs.compiled.values())) <= 16 * 1024 * 1024


def test_more_output_than_allowed(scripts: ForkedScripts, tmp_path: Path) -> None:
    write(tmp_path, "print('x' * 200_000)")
    with pytest.raises(ScriptFailed, match="more than 100000 bytes"):
        asking(scripts, tmp_path)()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("1 / 0", "raised ZeroDivisionError"),
        ("import os; os._exit(0)", "ended before it answered"),
        ("import os; os.kill(os.getpid(), 9)", "ended before it answered"),
        ("import os; os.closerange(3, 99)", "ended before it answered"),
        ("(", "raised SyntaxError"),
    ],
)
def test_a_script_that_fails(
    scripts: ForkedScripts, tmp_path: Path, source: str, error: str
) -> None:
    write(tmp_path, source)
    with pytest.raises(ScriptFailed, match=error):
        asking(scripts, tmp_path)()


def test_a_script_that_is_not_there(scripts: ForkedScripts, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asking(scripts, tmp_path)()


def test_an_identity_that_cannot_be_taken(scripts: ForkedScripts, tmp_path: Path) -> None:
    def refused() -> None:
        raise PermissionError(1, "no")

    write(tmp_path, "")
    with pytest.raises(PermissionError):
        asking(scripts, tmp_path, refused)()


# A script can find the pipe (the highest descriptor) and write what it likes into it.
FORGE = """
import os
pipe = max(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}'))
"""


@pytest.mark.parametrize(
    ("forged", "error"),
    [
        ("b'A' + b'\\xff' * 16", OutputTooLarge),
        ("b'?' + bytes(16)", ScriptFailed),
        ("b'A' + bytes(8) + b'\\xff' * 8", ScriptFailed),
        ("b'R' + b'\\x08' + bytes(15) + b'\\xff' * 8", OSError),
    ],
)
def test_a_forged_message_is_an_error_like_others(
    scripts: ForkedScripts, tmp_path: Path, forged: str, error: type[Exception]
) -> None:
    write(tmp_path, f"{FORGE}os.write(pipe, {forged}); os._exit(0)")
    with pytest.raises(error):
        asking(scripts, tmp_path)()


def test_a_background_process_does_not_hold_the_answer_up(
    scripts: ForkedScripts, tmp_path: Path
) -> None:
    write(tmp_path, "import os, time\nif os.fork() == 0: time.sleep(5); os._exit(0)\nprint(1)")
    started = time.monotonic()
    assert asking(scripts, tmp_path)().body == b"1\n"
    assert time.monotonic() - started < 5


@needs_root
def test_a_background_process_cannot_put_code_into_a_neighbours_script(sites: Sites) -> None:
    """Only the pipe of its own request is open in it, and that is closed on our side."""
    sites.put("a.py", HEADER + FORGE + "import time\nif os.fork() == 0: time.sleep(5)\n")
    sites.put("a.py", HEADER + "print('mine')", tenant="t0002")

    def both() -> tuple[bytes, set[bytes]]:
        scripts = ForkedScripts(output_limit=1000, code_cache=True)
        for tenant in ("t0001", "t0002"):
            site = sites.root / tenant
            owner = Site(tenant, site).owner
            body = asking(scripts, site, lambda owner=owner: become(owner))().body  # type: ignore[misc]
        return body, set(scripts._jobs.compiled)

    body, kept = in_child(both)
    assert body == b"mine\n"
    assert kept == {os.fsencode(sites.root / tenant / "a.py") for tenant in ("t0001", "t0002")}
