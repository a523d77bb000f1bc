"""The scene of an attack: one server, an attacker, a neighbour, and what was planted with them.

Everything that decides whether an attack worked is looked at from here, by the host's root, outside
of the server's namespaces: what came back over HTTP, what lies on the disk and whose it is, which
processes live and as whom.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from harness.attack import wrapper
from harness.attack.errors import NothingToAttack
from harness.attack.neighbour import NeighbourAtWork
from harness.attack.operator import Terminal
from harness.attack.raw_http import PATIENCE_S, Door, Reply, first_of, request, rest_of
from harness.attack.seat import Seat
from harness.attack.secrets import BEGUN, Planted, look_old
from harness.host import proc
from harness.host.polling import EVERY_S, wait_until
from harness.host.proc import Cast
from harness.profile.journal import JournalReader
from harness.target import probes
from harness.target.server import Server, Site
from harness.target.targets import Target, python
from workloads import tenants
from workloads.attacks import Attack
from workloads.tenants import Tenant

SERVED_WITHIN_S = 9.0
"""In which time a neighbour has to be served again.

Thrice a script's: it takes that and two seconds to end a script, its children and its worker.
"""

_DYING_S = 0.4
_SPELLED: Final = {"python": "Python", "php": "PHP", "perl": "Perl"}
_SERVED = 200
_NEXT_REQUEST: Final = "next_request"


UNCONTAINED: Final = (
    "this host allows no pid namespaces, so what the attack leaves behind might not be ended"
)
UNSEEN: Final = "isobench may not inspect the server's processes on this host"
NO_JOURNAL: Final = "a product stamps nothing that could be forged"
OF_OURS: Final = "it looks for objects of isobench's own servers, which a product has not"
UNFIT: Final = {
    UNCONTAINED: "allow namespaces (CAP_SYS_ADMIN in a container)",
    UNSEEN: "allow isobench CAP_SYS_PTRACE",
}
"""Why a host is no place for some attacks, each with what would change that."""


def _stays(reply: Reply) -> bool:
    """Return whether the connection of an answer serves another request."""
    head = reply.raw.partition(b"\r\n\r\n")[0].lower()
    return head.startswith(b"http/1.1") and b"\r\nconnection: close" not in head


def without_object(attack: Attack, target: Target) -> str | None:
    """Return why a target has nothing that an attack is about, whatever the host; None if it may.

    Pure; no server is needed to know it.
    """
    if target.is_peer and attack.profiled:
        return NO_JOURNAL
    if target.is_peer and attack.of_ours and target.language == "python":
        return OF_OURS
    if target.is_peer and attack.instead is not None:
        return "the wrapper that it calls is that of isobench's own server"
    if attack.source_in(target.language) is None:
        return f"it is not written in {_SPELLED[target.language]}"
    return None


class Scene:
    """A server with an attacker and a neighbour, ready for one attack after the other.

    Fulfils `workloads.attacks.scene.Scene`, where the methods are explained.
    """

    def __init__(
        self,
        seat: Seat,
        target: Target,
        site: Site,
        planted: Planted,
        server: Server,
        cast: Cast,
        terminal: Terminal,
    ) -> None:
        self._seat = seat
        self._planted = planted
        self._server = server
        self._target = target
        self._attack: Attack | None = None
        self._kept: socket.socket | None = None
        self.terminal = terminal
        self._journal = target.stamps
        self.cast = cast
        key = site.credential_key if target.by_client else None
        self._door = Door.of(server.host, server.port, key, target.host_of)
        self._replies: list[Reply] = []
        self._at_work = NeighbourAtWork(self._door, planted, cast, self.processes)
        self._pids: dict[str, int] = {}
        self.token = ""
        self.site = planted.attacker.site
        self.drop = self.site / "drop"
        self.neighbour = planted.neighbour.site
        self.suffix = planted.suffix
        self.sites = site.sites
        self.log = site.log
        self.port = server.port
        self.attacker_uid = planted.attacker.uid
        self.neighbour_uid = planted.neighbour.uid
        self.www_uid, self.www_gid = seat.www.uid, seat.www.gid
        self.own_uid = tenants.script_identity(target.runs_as, seat.www.uid, planted.attacker.uid)
        self.secret = planted.words["file"]
        self.secrets = planted.words
        self.wrapper = wrapper.find(self.cast, site.private)
        self.user_namespaces = set(self._find_user_namespaces())

    # An attack, from beginning to end

    def carry_out(self, attack: Attack) -> str | None:
        """Make the attack and return the evidence that it worked, or None.

        Raises NothingToAttack, SceneFailed, TypeError for evidence that is no text, and whatever
        the attack's own functions do.
        """
        if reason := self._unfit_for(attack):
            raise NothingToAttack(reason)
        evidence = self._make(attack)
        if evidence is not None and not isinstance(evidence, str):
            raise TypeError(f"its evidence is of type {type(evidence).__name__}: it must be text")
        return evidence

    def _unfit_for(self, attack: Attack) -> str | None:
        """Return why this host's servers are no scene for an attack, None where they are."""
        if not self.cast.contained and not attack.shared:
            return UNCONTAINED
        return UNSEEN if attack.neighbour_at_work and not self._sees() else None

    def _sees(self) -> bool:
        """Return whether one may look at a worker's open files (ptrace(2), access mode checks)."""
        try:
            Path(f"/proc/{self.cast.workers[0].pid}/fd/0").stat()
        except PermissionError:
            return False
        except OSError:
            return True  # it has none, or has ended, which shows later on
        return True

    def _make(self, attack: Attack) -> str | None:
        self._reset()
        self._attack = attack
        name = self._in_language(f"{attack.name}.py")
        self._planted.script(self._planted.attacker, name, self._text(attack), self._seat.www)
        try:
            if attack.before:
                attack.before(self)
            if attack.neighbour_at_work:
                self._pids = self._at_work.start()
            if attack.missing and (reason := attack.missing(self)):
                raise NothingToAttack(reason)
            if attack.instead is not None:
                self._act_as_a_worker(attack.instead)
                return attack.proof(self)
            return self._ask(attack, name) or attack.proof(self)
        finally:
            self._at_work.dismiss()
            self._let_go()

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _text(self, attack: Attack) -> str:
        if self._target.language == "python":
            return attack.program(f"{python()} -IS").split("\n", 1)[1]
        return attack.text_in(self._target.language)

    def _in_language(self, name: str) -> str:
        """Return the name of a script, given as Python's, as it is in the target's language."""
        return name.removesuffix(".py") + self.suffix if name.endswith(".py") else name

    def _source(self, name: str, source: str) -> str:
        """Return an innocent script's text: `source`, or what stands for it in another language."""
        if self._target.language == "python":
            return source
        assert self._attack is not None
        text = self._attack.companion(name.removesuffix(".py"), self._target.language)
        return text.replace("@token@", self.token).replace("@port@", str(self.port))

    def _act_as_a_worker(self, act: Callable[[Scene], str]) -> None:
        (self.site / "program.py").unlink(missing_ok=True)
        told = act(self)
        self._replies = [Reply(f"HTTP/1.1 200 OK\r\n\r\n{told}".encode())]

    def _ask(self, attack: Attack, name: str) -> str | None:
        evidence = None
        with ThreadPoolExecutor(attack.hands) as executor:
            asked = [executor.submit(self._ask_once, name, hand) for hand in range(attack.hands)]
            while attack.meanwhile and not evidence and not all(one.done() for one in asked):
                evidence = attack.meanwhile(self)
                wait(asked, timeout=EVERY_S)
            self._replies = [one.result() for one in asked]
        return evidence

    def _ask_once(self, name: str, hand: int) -> Reply:
        query = json.dumps(self._facts() | {"hand": hand}).encode().hex()
        target = f"/{name}?{query}"
        if self._attack is not None and self._attack.family == _NEXT_REQUEST:
            return self._get_kept(target, {})
        return self._get(self._planted.attacker, target, {})

    def _get_kept(self, target: str, headers: dict[str, str]) -> Reply:
        """Ask for something of the attacker's on the connection of the request before, if it lives.

        What a request leaves behind may be in a process that ends with its connection.
        """
        attacker = self._planted.attacker
        for _ in range(2):
            try:
                if self._kept is None:
                    self._kept = self._door.connect(attacker)
                self._kept.sendall(request(attacker, target, headers, keep=True))
                reply, behind = first_of(self._kept)
            except OSError:
                reply, behind = Reply(), b""
            if reply.status and not behind and _stays(reply):
                return reply
            self._let_go()
            if reply.status:
                return Reply(reply.raw + behind)
        return Reply()

    def _facts(self) -> dict[str, object]:
        inside = {role: found.inside for role, found in self._roles().items()}
        return {
            "site": str(self.site),
            "drop": str(self.drop),
            "begun": str(self.site / BEGUN / self.token),
            "neighbour": str(self.neighbour),
            "uid": self._planted.attacker.uid,
            "neighbour_uid": self.neighbour_uid,
            "www_uid": self.www_uid,
            "www_gid": self.www_gid,
            "token": self.token,
            "wrapper": self.wrapper,
            "port": self.port,
            "journal": str(self._journal or ""),
            **{role: inside.get(role, 0) for role in ("master", "sibling", "victim", "helper")},
        }

    def _roles(self) -> dict[str, proc.Process]:
        roles = {"master": self.cast.master, "worker": self.cast.workers[0]}
        if self.cast.helpers:
            roles["helper"] = self.cast.helpers[0]
        for role, pid in self._pids.items():
            if found := proc.look(pid):
                roles[role] = found
        return roles

    def _reset(self) -> None:
        self.token = secrets.token_hex(8)
        self._replies = []
        self._pids = {}
        for entry in self.drop.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.neighbour / "data" / "go").unlink(missing_ok=True)

    def _get(
        self,
        tenant: Tenant,
        target: str,
        headers: dict[str, str],
        patience_s: float | None = None,
    ) -> Reply:
        try:
            with self._door.connect(tenant, patience_s or PATIENCE_S) as connection:
                connection.sendall(request(tenant, target, headers))
                return rest_of(connection)
        except OSError:
            return Reply()  # nobody listens any more, or nobody reads

    def released(self) -> Reply:
        """Let the neighbour's script come to its end, and return what its client gets."""
        return self._at_work.release()

    # Looking, after the attack

    def began(self) -> bool:
        """Return whether a script of the attack has come as far as to the attack itself."""
        return any((self.site / BEGUN).glob(f"{self.token}-*"))

    def replies(self) -> Sequence[Reply]:
        """Return what the attack's requests were answered."""
        return self._replies

    def visit(self, script: str = "witness.py", **headers: str) -> Reply:
        """Ask for a script of the neighbour's."""
        return self._get(self._planted.neighbour, self._in_language(f"/{script}"), headers)

    def fetch(self, script: str) -> Reply:
        """Ask for a script of the attacker's."""
        return self._get(self._planted.attacker, self._in_language(f"/{script}"), {})

    def outage(self, watched_s: float = 0.0) -> str | None:
        """Return evidence if the server has ended, or serves the neighbour no more."""
        began = time.monotonic()
        deadline = began + watched_s + SERVED_WITHIN_S
        while (left_s := deadline - time.monotonic()) > 0:
            if self._server.has_ended():
                return f"the server has ended: {self._server.last_words() or 'without a word'}"
            neighbour = self._planted.neighbour
            witness = self._in_language("/witness.py")
            last = self._get(neighbour, witness, {}, patience_s=left_s).status
            if last == _SERVED and time.monotonic() - began >= watched_s:
                return None
            time.sleep(EVERY_S)
        return f"the neighbour was not served within {SERVED_WITHIN_S:g} s: {last or 'no answer'}"

    def next_request(self, source: str, **headers: str) -> Reply:
        """Write an innocent script of the attacker's own site, and ask for it."""
        name, text = self._in_language("next.py"), self._source("next.py", source)
        self._planted.script(self._planted.attacker, name, text, self._seat.www)
        return self._get_kept(f"/{name}", headers)

    def put(self, name: str, source: str, private: bool = False) -> None:
        """Write another script of the neighbour's."""
        text, neighbour = self._source(name, source), self._planted.neighbour
        name = self._in_language(name)
        look_old(self._planted.script(neighbour, name, text, self._seat.www, private))

    def brought_back(self, secret: str, what: str) -> str | None:
        """Return evidence if a secret came back in an answer."""
        if any(secret.encode() in reply.raw for reply in self._replies):
            return f"{what} came back: {secret}"
        return None

    def stolen(self, secret: str, what: str) -> str | None:
        """Return evidence if a secret lies in the drop."""
        for entry in self.drop.iterdir():
            if entry.is_file() and secret.encode() in entry.read_bytes():
                return f"{what} lies in the attacker's {entry.name}: {secret}"
        return None

    def gained_identity(self) -> str | None:
        """Return evidence if a file in the drop is neither the attacker's nor its script's."""
        for entry in self.drop.iterdir():
            uid = entry.lstat().st_uid
            if uid not in (self.own_uid, self._planted.attacker.uid):
                return f"it made a file as {self.who(uid)}"
        return None

    def shortened(self, text: str) -> str:
        """Return a text without what stands before the sites in every path of the scene."""
        return text.replace(str(self.sites.parent), "")

    def who(self, uid: int) -> str:
        """Return whose uid it is, in words."""
        known = {0: "root", self.www_uid: "the server", self.neighbour_uid: "the neighbour"}
        return f"{known.get(uid, 'somebody')} (uid {uid})"

    def wait_for(self, seconds: float, name: str) -> bool:
        """Wait until a file of this name is in the drop."""
        return wait_until((self.drop / name).exists, seconds)

    def pid_of(self, role: str) -> int:
        """Return a process, as the host counts, 0 where nobody plays that part."""
        if role in self._pids:
            return self._pids[role]
        found = self._roles().get(role)
        return found.pid if found else 0

    def state_of(self, role: str) -> str:
        """Return the state letter of a process, "" where it has ended."""
        return proc.state_of(self.pid_of(role))

    def has_ended(self, role: str) -> bool:
        """Return whether a process is dead, or is within half a second."""
        return wait_until(lambda: not self.state_of(role), _DYING_S)

    def tracer_of(self, role: str) -> int:
        """Return by which process another is traced; 0: by none."""
        return int(proc.status_of(self.pid_of(role)).get("TracerPid", "0"))

    def status_of(self, pid: int) -> dict[str, str]:
        """Return the fields of a process's status."""
        return proc.status_of(pid)

    def descriptors(self, pid: int) -> int:
        """Return how many descriptors a process has."""
        try:
            return len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            return 0  # it has ended

    def served(self) -> int:
        """Return how many requests the server says that it has served."""
        return self._server.usage().served or 0

    def stamp(self, point: str) -> int:
        """Return when a request last passed a point, 0 for never."""
        assert self._journal is not None  # an attack that asks is PROFILED
        with JournalReader(self._journal, self._server.layout) as reader:
            return reader.record([], began=0)[point]

    def has_socket(self, role: str) -> bool:
        """Return whether a process has a socket among its descriptors."""
        try:
            links = list(Path(f"/proc/{self.pid_of(role)}/fd").iterdir())
        except OSError:
            return False  # it has ended
        return any(link.is_socket() for link in links)

    def maps(self, pid: int) -> str:
        """Return what is mapped into a process."""
        try:
            return Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            return ""  # it has ended

    def processes(self) -> dict[int, int]:
        """Return the uids of the server's processes by their ids."""
        pids = probes.processes_of(self._server, self._seat.processes)
        found = (proc.look(pid) for pid in pids)
        return {one.pid: one.uid for one in found if one}

    def on_one_connection(self, attack: str) -> tuple[Reply, Reply]:
        """Ask for the attack and then for the neighbour's witness, on the same connection.

        Raises NothingToAttack where a connection leads to one tenant.
        """
        if self._door.host_of(self.attacker_uid) is not None:
            raise NothingToAttack("a connection leads to one tenant: each has its own address")
        attacker, neighbour = self._planted.attacker, self._planted.neighbour
        query = json.dumps(self._facts() | {"hand": 0}).encode().hex()
        try:
            with self._door.connect(attacker) as connection:
                first_script = self._in_language(f"/{attack}.py")
                witness = self._in_language("/witness.py")
                connection.sendall(request(attacker, f"{first_script}?{query}", {}, keep=True))
                first, behind = first_of(connection)
                connection.sendall(request(neighbour, witness, {}))
                return first, Reply(behind + rest_of(connection).raw)
        except OSError:
            return Reply(), Reply()

    # A worker that was taken over

    def plant_program(
        self, directory: Path, name: str = "program.py", owner: int | None = None, mode: int = 0o750
    ) -> Path:
        """Write a program that tells the token and its uid."""
        uid = self._planted.attacker.uid if owner is None else owner
        return wrapper.write_program(directory / name, self.token, uid, self.www_gid, mode)

    def call_wrapper(
        self,
        program: str,
        directory: Path | None = None,
        uid: int | None = None,
        gid: int | None = None,
        *more: str,
    ) -> str:
        """Call the wrapper as www in the server's namespaces, and tell what came of it."""
        own = self._planted.attacker.uid
        ids = [str(own if number is None else number) for number in (uid, gid)]
        return wrapper.call(
            self.cast,
            self._seat.www,
            directory or self.site,
            [self.wrapper, *ids, program, *more],
            self.token,
        )

    def inside(self, path: Path) -> Path:
        """Return where a path of the server's own root, which may differ from ours, is found."""
        return wrapper.inside(self.cast, path)

    def program_ran(self) -> str | None:
        """Return evidence if a planted program has run."""
        for reply in self._replies:
            _, found, rest = reply.raw.decode("latin-1").partition(f"{self.token} ")
            if found:
                return f"the program ran as uid {rest.split()[0]}"
        return None

    def _find_user_namespaces(self) -> Iterator[str]:
        for one in (self.cast.master, *self.cast.workers, *self.cast.helpers):
            # Where it may not be looked at, no attack that asks for it is made.
            with contextlib.suppress(OSError):
                yield str(Path(f"/proc/{one.pid}/ns/user").readlink())
