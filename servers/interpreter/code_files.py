"""The embedded interpreter of a worker that ends with its request: it keeps compiled code in files.

What its memory holds is gone with it, so the next worker for the same script would compile it anew.
Python's own answer to that is `__pycache__`, PHP's is opcache.file_cache. Here each owner of a site
has a directory that nobody else may enter, and a worker uses it with the owner's credentials only:
so no tenant reads or replaces what is another's, and nothing of it is in a process of the server's.
"""

from __future__ import annotations

import marshal
import os

from servers.interpreter.child import LARGEST_KEPT_CODE
from servers.interpreter.context import read_whole
from servers.interpreter.embedded import Embedded
from servers.kernel.credentials import current
from servers.sites import Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from types import CodeType

    from servers.interpreter.context import FileState
    from servers.mode import Setting


class EmbeddedOnce(Embedded):
    """As `Embedded`, for one request a process."""

    def __init__(self, setting: Setting) -> None:
        """Where there is no room (`make_room`), or no `code_cache`, each script is compiled."""
        super().__init__(setting.limits.output, setting.code_cache)
        self._setting = setting
        self._directory = os.path.join(setting.private, "code")

    def make_room(self) -> None:
        """Make the owners' directories. In the master, still privileged, once.

        Sites that arrive later have none.
        """
        os.mkdir(self._directory, 0o711)
        served = (site.owner for site in Sites(self._setting.sites))
        rehearsing = (current(), self._setting.www)
        for uid, gid in {owner.uid: owner.gid for owner in (*rehearsing, *served)}.items():
            place = os.path.join(self._directory, str(uid))
            os.mkdir(place, 0o700)
            try:
                os.chown(place, uid, gid)
            except OSError:
                os.rmdir(place)  # who is nobody in this user namespace has no worker, either

    @property
    def directory(self) -> str:
        """Where the owners' directories are."""
        return self._directory

    def _file_of(self, state: FileState) -> str:
        device, inode, *_ = state
        return f"{self._directory}/{os.geteuid()}/{device}-{inode}"

    def _kept(self, path: bytes, state: FileState) -> CodeType | None:
        """Read what an earlier worker has kept, or whoever else could write as this owner."""
        try:
            descriptor = os.open(self._file_of(state), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            its_path, its_state, code = marshal.loads(read_whole(descriptor, LARGEST_KEPT_CODE))
        except (EOFError, ValueError, TypeError):
            return None
        finally:
            os.close(descriptor)
        return code if (its_path, its_state) == (path, state) else None

    def _keep(self, path: bytes, state: FileState, code: CodeType) -> None:
        content = marshal.dumps((path, state, code))
        if len(content) > LARGEST_KEPT_CODE:
            return
        file = self._file_of(state)
        draft = f"{file}.{os.getpid()}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # no room for this owner
        try:
            whole = os.write(descriptor, content) == len(content)
        except OSError:
            whole = False  # the file system is full
        finally:
            os.close(descriptor)
        if whole:
            os.rename(draft, file)
        else:
            os.unlink(draft)


class EmbeddedForConnection(EmbeddedOnce):
    """As `EmbeddedOnce`, for a process that serves several requests of one owner."""

    def _kept(self, path: bytes, state: FileState) -> CodeType | None:
        code = Embedded._kept(self, path, state)
        if code is None and (code := super()._kept(path, state)):
            Embedded._keep(self, path, state, code)
        return code

    def _keep(self, path: bytes, state: FileState, code: CodeType) -> None:
        Embedded._keep(self, path, state, code)
        super()._keep(path, state, code)
