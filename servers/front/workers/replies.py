"""What a request is answered: what the script says, or what the server says in its place.

Whatever a script can do wrong has its response here; what is wrong with the server's own process
has none, since that process should end.
"""

from __future__ import annotations

import errno
import os
import sys

from servers.http import BadRequest, Request, Response, plain_response, render
from servers.interpreter.embedded import ScriptFailed, ScriptTimeout
from servers.kernel.all_ids import CredentialError
from servers.mode import Answered
from servers.sites import NotFound

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

# What open(2) says of a process, not of the file that it is to open.
_NO_VERDICT_ON_A_FILE: Final = (errno.EBADF, errno.EMFILE, errno.ENOMEM, errno.ENOSYS)


class Unfit(RuntimeError):
    """The worker failed in what is its own part of a request, so it may not serve another.

    A script that was here before has used up its descriptors, say, or put a filter upon its calls.
    """


def respond(request: Request, run: Callable[[Request], Response | Answered]) -> Response | Answered:
    """Return what `run` returns for it, or the response that its failure deserves.

    Raises Unfit where it was not the script that failed, but this process.
    """
    try:
        return run(request)
    except (NotFound, FileNotFoundError, NotADirectoryError):
        return plain_response(404, "not found: there is no such tenant or script")
    except BadRequest as error:
        request.keep_alive = False
        return plain_response(error.status, str(error))
    except ScriptFailed as error:
        log(request, str(error))
        return plain_response(500, f"the script failed: {error}")
    except ScriptTimeout:
        log(request, "the script exceeded its time limit")
        return plain_response(504, "the script took too long")
    except BlockingIOError as error:  # EAGAIN from fork: a limit on processes is reached
        log(request, f"no process for it: {error}")
        return plain_response(503, "the server cannot start another process")
    except CredentialError as error:
        raise Unfit(str(error)) from error
    except OSError as error:  # PermissionError, or ELOOP for a symbolic link in the script's place
        if error.errno in _NO_VERDICT_ON_A_FILE:
            raise Unfit(str(error)) from error
        log(request, f"cannot be run: {error}")
        return plain_response(403, "the script may not be run")


def reply(request: Request, response: Response) -> Answered:
    """Send `response` on the request's connection and say whether that may stay open."""
    keep = request.keep_alive and response.status < 500
    request.connection.sendall(render(response, keep, request.method == b"HEAD"))
    return Answered.KEEP if keep else Answered.CLOSE


def log(request: Request, text: str) -> None:
    """Write a line about a request to the server's log, where that is possible."""
    host, target = (part.decode("latin-1") for part in (request.host, request.target))
    try:
        print(f"[{os.getpid()}] {host}{target}: {text}", file=sys.stderr, flush=True)
    except OSError:
        pass  # a script closed this process's standard error
