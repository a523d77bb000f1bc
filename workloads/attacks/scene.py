"""What the two halves of an attack may use: `Given` in the script, `Scene` in the harness.

Here are their shapes alone. `program.py` makes the one, `harness.scene` is the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Given(Protocol):
    """What a hostile script knows beforehand. Process ids are those that the server sees.

    A real attacker would have to look for most of it, which isolation should not depend on.
    """

    site: str
    """The attacker's own site; `drop` is a directory in it that everybody may write to."""
    drop: str
    neighbour: str
    """The neighbour's site."""
    uid: int
    """The attacker's; the scripts of some modes have `www_uid` instead."""
    neighbour_uid: int
    www_uid: int
    www_gid: int
    token: str
    """A random word that tells this attack's doings from all others."""
    hand: int
    """Which of several requests at the same time this is, from 0."""
    master: int
    """The server's first process."""
    sibling: int
    """The worker that serves the neighbour meanwhile."""
    victim: int
    """The process in which the neighbour's script runs meanwhile."""
    helper: int
    """A process that the mode has set beside its workers."""
    wrapper: str
    """The path of the setuid program that starts scripts."""
    port: int
    """Where the server listens."""

    def nothing(self, reason: str) -> Exception:
        """Return what to raise where there is nothing to attack."""


class Reply(Protocol):
    """An answer, 0 its status where there was none. `raw` is all that came, head included."""

    @property
    def status(self) -> int:
        """The status, of the first answer where there are several."""

    @property
    def body(self) -> bytes:
        """All that follows the first head."""

    @property
    def raw(self) -> bytes:
        """All that came on the connection."""


class Scene(Protocol):
    """What the harness sees of a server with an attacker and a neighbour, from outside."""

    token: str
    drop: Path
    site: Path
    neighbour: Path
    own_uid: int
    """Whose identity the attacker's script has by right."""
    neighbour_uid: int
    www_uid: int
    www_gid: int
    secret: str
    """What only the neighbour, and www, may read: the content of its config.secret."""
    secrets: dict[str, str]
    """Other planted words by their place: source, listing, environment, log, request, group."""

    wrapper: str
    """As `Given.wrapper`; "" where there is none."""

    sites: Path
    log: Path

    def replies(self) -> Sequence[Reply]:
        """Return what the attack's requests were answered, in the order of hands."""

    def visit(self, script: str = "witness.py", **headers: str) -> Reply:
        """Ask for a script of the neighbour's, as anybody might next."""

    def brought_back(self, secret: str, what: str) -> str | None:
        """Return evidence if a secret, which is `what` in words, came back in the answer."""

    def stolen(self, secret: str, what: str) -> str | None:
        """Return evidence if a secret lies in the attacker's drop."""

    def gained_identity(self) -> str | None:
        """Return evidence if a file in the drop is neither the attacker's nor its script's."""

    def wait_for(self, seconds: float, name: str) -> bool:
        """Wait until a file of this name is in the drop."""

    def released(self) -> Reply:
        """Let the neighbour's script that runs meanwhile come to its end; return its answer."""

    def on_one_connection(self, attack: str) -> tuple[Reply, Reply]:
        """Ask for the attack, then for the neighbour's witness on the same connection."""

    def who(self, uid: int) -> str:
        """Return whose uid it is, in words."""

    def pid_of(self, role: str) -> int:
        """Return a process, as the host counts: master, sibling, victim, helper; 0 for none."""

    def state_of(self, role: str) -> str:
        """Return the state letter of a process (proc_pid_stat(5)), "" where it has ended."""

    def tracer_of(self, role: str) -> int:
        """Return by which process, as the host counts, another is traced; 0: by none."""

    def processes(self) -> dict[int, int]:
        """Return the uids of the server's processes by their ids, as the host counts them."""

    def as_www(self, *command: str, directory: Path, **environment: str) -> tuple[int, str]:
        """Run a program as a worker would that has been taken over; return status and output."""
