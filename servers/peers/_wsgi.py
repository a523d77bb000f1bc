"""The same Python scripts under WSGI: an application that runs a site's scripts.

Its text, with the site's directory filled in, is what mod_wsgi, Passenger and uWSGI load. Like the
tenant workers of the mode `fastcgi`, it compiles a script when its file has changed, and runs it
with its output caught.
"""

from __future__ import annotations

from typing import Final

_APPLICATION: Final = """
import io
import os
import sys
import threading

ROOT = @root@
os.chdir(ROOT)

compiled = {}
# Output and environment are the process's own, whichever thread has the request.
alone = threading.Lock()


def code_of(path):
    status = os.stat(path)
    mark = status.st_mtime_ns, status.st_size, status.st_ino
    known = compiled.get(path)
    if known is None or known[0] != mark:
        with open(path, "rb") as file:
            known = compiled[path] = mark, compile(file.read(), path, "exec")
    return known[1]


def application(environ, start_response):
    path = environ.get("PATH_INFO", "")
    if not path.endswith(".py") or "/." in path or "\\0" in path:
        return answer(start_response, "404 Not Found", b"not found")
    try:
        code = code_of(ROOT + path)
    except FileNotFoundError:
        return answer(start_response, "404 Not Found", b"not found")
    except PermissionError:
        return answer(start_response, "403 Forbidden", b"forbidden")
    with alone:
        head, body = run(code, environ)
    length = ("Content-Length", str(len(body)))
    start_response(head.pop("status", "200 OK"), [*head.items(), length])
    return [body]


def answer(start_response, status, body):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def run(code, environ):
    for name in [name for name in os.environ if name.startswith("HTTP_")]:
        del os.environ[name]  # of the request before
    for name in ("QUERY_STRING", "REQUEST_METHOD", "CONTENT_LENGTH", "CONTENT_TYPE"):
        os.environ[name] = str(environ.get(name, ""))
    for name in environ:
        if name.startswith("HTTP_"):
            os.environ[name] = environ[name]
    usual = sys.stdout, sys.stdin
    output = io.BytesIO()
    sys.stdout = text = io.TextIOWrapper(output, "utf-8")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    sys.stdin = io.TextIOWrapper(io.BytesIO(environ["wsgi.input"].read(length) if length else b""))
    try:
        exec(code, {"__name__": "__main__", "__builtins__": __builtins__})
        text.flush()
    finally:
        sys.stdout, sys.stdin = usual
    head, _, body = output.getvalue().partition(b"\\n\\n")
    fields = (line.partition(": ") for line in head.decode("latin-1").splitlines())
    return {name: value for name, _, value in fields}, body
"""


def application(root: str) -> str:
    """Return the text of the application for the site in a directory."""
    return _APPLICATION.replace("@root@", repr(root))
