"""What the two halves of an attack may use: `Given` in the script, `Scene` in the harness.

Here are their shapes alone. `program.py` makes the one, `harness.attack.scene.scene` is the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol


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
    limit: int
    """How many seconds a script may take."""
    journal: str
    """The file into which a server that is profiled stamps; "" where it is not."""

    def nothing(self, reason: str) -> Exception:
        """Return what to raise where there is nothing to attack."""

    def must_be_guarded(self) -> None:
        """Raise what `nothing` returns where no guard inside the language stops scripts."""

    def sockets(self, listening: bool) -> list[int]:
        """Return the numbers of the process's TCP sockets: those that listen, or the connected.

        Raises PermissionError where there is none.
        """

    def frames(self) -> list[dict[str, object]]:
        """Return the local variables of every function that is running, in every thread."""

    def reach(self, kind: str) -> list[Any]:
        """Return the objects of a class, by its name, that can be reached from `frames`."""

    def search(self, process: object, pattern: bytes) -> list[bytes]:
        """Return what a pattern finds in a process's memory, by `/proc/PID/mem`."""


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


class Terminal(Protocol):
    """The operator's terminal."""

    def shown(self) -> bytes:
        """Return what it has shown since this was asked last."""

    def typed(self) -> bytes:
        """Return the lines that a shell at this terminal would read now."""


class Scene(Protocol):
    """What the harness sees of a server with an attacker and a neighbour, from outside."""

    token: str
    drop: Path
    site: Path
    neighbour: Path
    own_uid: int
    """Whose identity the attacker's script has by right."""
    attacker_uid: int
    neighbour_uid: int
    www_uid: int
    www_gid: int
    secret: str
    """What only the neighbour, and www, may read: the content of its config.secret."""
    secrets: dict[str, str]
    """Other planted words by their place: source, listing, environment, log, request, group.

    `key` is in a key of the operator's, described as "isobench:operator" (keyctl(2)); `typed` is
    what the operator typed into the terminal.
    """

    @property
    def terminal(self) -> Terminal:
        """That of the operator, who has started the server from there."""

    wrapper: str
    """As `Given.wrapper`; "" where there is none."""

    sites: Path
    log: Path
    port: int
    suffix: str
    """How the names of scripts end: ".py", or that of a product's language.

    Where a name is given below, it ends in ".py" all the same.
    """

    user_namespaces: set[str]
    """Those that the server itself has made, as /proc/PID/ns/user names them."""

    def replies(self) -> Sequence[Reply]:
        """Return what the attack's requests were answered, in the order of hands."""

    def visit(self, script: str = "witness.py", **headers: str) -> Reply:
        """Ask for a script of the neighbour's, as anybody might next."""

    def outage(self, watched_s: float = 0.0) -> str | None:
        """Return evidence if the server has ended, or if it serves the neighbour no more.

        It is asked until it does, or until all is over that a server may need for it: a script's
        time limit, and what follows that. So this is for the end of an attack, in `proof`. Where
        the harm comes only after the script's answer, it is asked for at least `watched_s`.
        """

    def fetch(self, script: str) -> Reply:
        """Ask for a script of the attacker's, another one than the attack."""

    def next_request(self, source: str, **headers: str) -> Reply:
        """Write a script of the attacker's own site that means no harm, and ask for it."""

    def put(self, name: str, source: str, private: bool = False) -> None:
        """Write another script of the neighbour's; `private` for whom its scripts run as only.

        In another language than Python it is written in a file of its own, beside the attack's.
        """

    def brought_back(self, secret: str, what: str) -> str | None:
        """Return evidence if a secret, which is `what` in words, came back in the answer."""

    def stolen(self, secret: str, what: str) -> str | None:
        """Return evidence if a secret lies in the attacker's drop."""

    def gained_identity(self) -> str | None:
        """Return evidence if a file in the drop is neither the attacker's nor its script's."""

    def must_have_looked(self, shown: str, seen: str) -> None:
        """Raise where the script has put `shown` into the drop and nobody has put `seen` there.

        It was then over before it was looked at, and is made again with more time.
        """

    def on_host(self, path: Path) -> Path:
        """Return where a path of the host is found, as a server without namespaces has it.

        What a server has of its own, in namespaces, is not there.
        """

    def take_segment(self, key: int) -> bool:
        """Remove System V shared memory with a key from the host; return whether there was any."""

    def wait_for(self, seconds: float, name: str) -> bool:
        """Wait until a file of this name is in the drop."""

    def released(self) -> Reply:
        """Let the neighbour's script that runs meanwhile come to its end; return its answer."""

    def on_one_connection(self, attack: str) -> tuple[Reply, Reply]:
        """Ask for the attack, then for the neighbour's witness on the same connection."""

    def who(self, uid: int) -> str:
        """Return whose uid it is, in words."""

    def pid_of(self, role: str) -> int:
        """Return a process, as the host counts; 0 for none.

        By its role: master, worker (the first one), sibling, victim or helper.
        """

    def state_of(self, role: str) -> str:
        """Return the state letter of a process (proc_pid_stat(5)), "" where it has ended."""

    def has_ended(self, role: str) -> bool:
        """Return whether a process is dead, or is within a moment."""

    def tracer_of(self, role: str) -> int:
        """Return by which process, as the host counts, another is traced; 0: by none."""

    def status_of(self, pid: int) -> dict[str, str]:
        """Return the fields of a process's status (proc_pid_status(5)); none where it has ended."""

    def descriptors(self, pid: int) -> int:
        """Return how many descriptors a process has."""

    def served(self) -> int:
        """Return how many requests the server says that it has served."""

    def stamp(self, point: str) -> int:
        """Return when a request last passed a point, as the profiled server's journal has it.

        Nanoseconds on CLOCK_MONOTONIC, 0 for never.
        """

    def has_socket(self, role: str) -> bool:
        """Return whether a process has a socket among its descriptors."""

    def maps(self, pid: int) -> str:
        """Return what is mapped into a process (proc_pid_maps(5))."""

    def processes(self) -> dict[int, int]:
        """Return the uids of the server's processes by their ids, as the host counts them."""

    def plant_program(
        self, directory: Path, name: str = "program.py", owner: int | None = None, mode: int = 0o750
    ) -> Path:
        """Write a program that tells the token and its uid; the attacker's own unless told."""

    def inside(self, path: Path) -> Path:
        """Return where a path of the server's own root, which may differ from ours, is found."""

    def call_wrapper(
        self,
        program: str,
        directory: Path | None = None,
        uid: int | None = None,
        gid: int | None = None,
        *more: str,
    ) -> str:
        """Call the wrapper as a worker would that was taken over, and tell what came of it.

        In the attacker's site and for the attacker, unless told otherwise.
        """

    def program_ran(self) -> str | None:
        """Return evidence if a planted program has run."""
