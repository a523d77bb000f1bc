"""The scene of an attack: one server, an attacker, a neighbour, and what was planted with them.

Everything that decides whether an attack worked is looked at from here, by the host's root, outside
of the server's namespaces: what came back over HTTP, what lies on the disk and whose it is, which
processes live and as whom.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from harness.attack.errors import NothingToAttack, TooLate
from harness.attack.scene import wrapper
from harness.attack.scene.neighbour import NeighbourAtWork
from harness.attack.scene.observed import ObservedProcesses
from harness.attack.scene.secrets import BEGUN, Planted, look_old
from harness.attack.scene.unsuited import unfit_for
from harness.attack.seats.operator import Terminal
from harness.attack.seats.seat import Seat
from harness.attack.visitors.client import Client
from harness.attack.visitors.raw_http import TIMED_OUT, Door, Reply
from harness.host.polling import EVERY_S, wait_until
from harness.host.proc import Cast
from harness.profile.journal import JournalReader
from harness.target.server import Server, Site
from harness.target.targets import Target, python
from workloads import tenants
from workloads.attacks import Attack, query

_SERVED = 200
_BEGINS_S: Final = 1.0
_NEXT_REQUEST: Final = "next_request"


class Scene(ObservedProcesses):
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
        script_s: int,
        served_within_s: float,
    ) -> None:
        super().__init__(server, seat.processes, cast)
        self._seat = seat
        self._planted = planted
        self._script_s = script_s
        self._served_within_s = served_within_s
        self._target = target
        self._attack: Attack | None = None
        self.terminal = terminal
        self._journal = target.stamps
        key = site.credential_key if target.by_client else None
        self._door = Door.of(server.host, server.port, key, target.host_of)
        self._client = Client(self._door)
        self._replies: list[Reply] = []
        self.timed_out = False
        """Whether an innocent script was ended while it was looked how an attack had gone."""
        self._at_work = NeighbourAtWork(self._door, planted, cast, self.processes, script_s)
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
        self.user_namespaces = set(self.user_namespaces_now())

    # An attack, from beginning to end

    def carry_out(self, attack: Attack) -> str | None:
        """Make the attack and return the evidence that it worked, or None.

        Raises NothingToAttack, SceneFailed, TypeError for evidence that is no text, and whatever
        the attack's own functions do.
        """
        if reason := unfit_for(attack, self):
            raise NothingToAttack(reason)
        evidence = self._made_in_time(attack)
        if evidence is not None and not isinstance(evidence, str):
            raise TypeError(f"its evidence is of type {type(evidence).__name__}: it must be text")
        return evidence

    def _made_in_time(self, attack: Attack) -> str | None:
        """Make it. Raises TooLate where it was in vain, and its object may have ended by itself."""
        evidence = None
        try:
            evidence = self._make(attack)
        finally:
            if evidence is None and self.pids_at_work:
                self._at_work.must_have_been_in_time()
        return evidence

    def _make(self, attack: Attack) -> str | None:
        self._reset()
        self._attack = attack
        name = self._in_language(f"{attack.name}.py")
        self._planted.script(self._planted.attacker, name, self._text(attack), self._seat.www)
        try:
            if attack.before:
                attack.before(self)
            if attack.neighbour_at_work:
                self.pids_at_work = self._at_work.start()
            if attack.missing and (reason := attack.missing(self)):
                raise NothingToAttack(reason)
            if attack.instead is not None:
                self._act_as_a_worker(attack.instead)
                return attack.proof(self)
            return self._ask(attack, name) or attack.proof(self)
        finally:
            self._at_work.dismiss()
            self._client.let_go()

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
            asked = self._ask_with_each_hand(executor, name, attack.hands)
            while attack.meanwhile and not evidence and not all(one.done() for one in asked):
                evidence = attack.meanwhile(self)
                wait(asked, timeout=EVERY_S)
            self._replies = [one.result() for one in asked]
        return evidence

    def _ask_with_each_hand(
        self, executor: ThreadPoolExecutor, name: str, hands: int
    ) -> list[Future[Reply]]:
        """Send the requests, each when the one before has a worker: one worker may take two."""
        asked: list[Future[Reply]] = []
        for hand in range(hands):
            if asked:
                self._await_beginning(hand - 1, asked[-1])
            asked.append(executor.submit(self._ask_once, name, hand))
        return asked

    def _await_beginning(self, hand: int, asked: Future[Reply]) -> None:
        begun = self.site / BEGUN / f"{self.token}-{hand}"
        wait_until(lambda: asked.done() or begun.exists(), _BEGINS_S)

    def _ask_once(self, name: str, hand: int) -> Reply:
        target = f"/{name}?{self._query(hand)}"
        if self._attack is not None and self._attack.family == _NEXT_REQUEST:
            return self._client.get_kept(self._planted.attacker, target, {})
        return self._client.get(self._planted.attacker, target, {})

    def _query(self, hand: int = 0) -> str:
        return query(self._facts() | {"hand": hand}, self._target.language)

    def _facts(self) -> dict[str, str | int]:
        inside = {role: found.inside for role, found in self.roles().items()}
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
            "limit": self._script_s,
            "journal": str(self._journal or ""),
            **{role: inside.get(role, 0) for role in ("master", "sibling", "victim", "helper")},
        }

    def _reset(self) -> None:
        self.token = secrets.token_hex(8)
        self._replies = []
        self.timed_out = False
        self.pids_at_work = {}
        for entry in self.drop.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.neighbour / "data" / "go").unlink(missing_ok=True)

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
        name = self._in_language(f"/{script}")
        return self._seen(self._client.get(self._planted.neighbour, name, headers))

    def fetch(self, script: str) -> Reply:
        """Ask for a script of the attacker's."""
        name = self._in_language(f"/{script}")
        return self._seen(self._client.get(self._planted.attacker, name, {}))

    def _seen(self, reply: Reply) -> Reply:
        self.timed_out |= reply.status == TIMED_OUT
        return reply

    def has_ended(self, role: str) -> bool:
        """Return whether a process is dead, or is within half a second.

        Raises SceneFailed where the neighbour's script may have come to its end by itself.
        """
        ended = super().has_ended(role)
        if ended and role in self.pids_at_work:
            self._at_work.must_have_been_in_time()
        return ended

    def outage(self, watched_s: float = 0.0) -> str | None:
        """Return evidence if the server has ended, or serves the neighbour no more."""
        began = time.monotonic()
        deadline = began + watched_s + self._served_within_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self._server.has_ended():
                return f"the server has ended: {self._server.last_words() or 'without a word'}"
            neighbour = self._planted.neighbour
            witness = self._in_language("/witness.py")
            last = self._client.get(neighbour, witness, {}, patience_s=left_s).status
            if last == _SERVED and time.monotonic() - began >= watched_s:
                return None
            time.sleep(EVERY_S)
        within = f"within {self._served_within_s:g} s"
        return f"the neighbour was not served {within}: {last or 'no answer'}"

    def next_request(self, source: str, **headers: str) -> Reply:
        """Write an innocent script of the attacker's own site, and ask for it."""
        name, text = self._in_language("next.py"), self._source("next.py", source)
        self._planted.script(self._planted.attacker, name, text, self._seat.www)
        return self._seen(self._client.get_kept(self._planted.attacker, f"/{name}", headers))

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

    def must_have_looked(self, shown: str, seen: str) -> None:
        """Raise TooLate where the script has shown something that was not looked at in time."""
        if (self.drop / shown).exists() and not (self.drop / seen).exists():
            raise TooLate("what the script did was over before it was seen: this host is too busy")

    def on_host(self, path: Path) -> Path:
        """Return where a path of the host is found, as a server without namespaces has it."""
        return self._seat.operator.host.path(path)

    def take_segment(self, key: int) -> bool:
        """Remove shared memory with a key from the host; return whether there was any."""
        return self._seat.operator.host.take_segment(key)

    def wait_for(self, seconds: float, name: str) -> bool:
        """Wait until a file of this name is in the drop."""
        return wait_until((self.drop / name).exists, seconds)

    def served(self) -> int:
        """Return how many requests the server says that it has served."""
        return self._server.usage().served or 0

    def stamp(self, point: str) -> int:
        """Return when a request last passed a point, 0 for never."""
        assert self._journal is not None  # an attack that asks is PROFILED
        with JournalReader(self._journal, self._server.layout) as reader:
            return reader.record([], began=0)[point]

    def on_one_connection(self, attack: str) -> tuple[Reply, Reply]:
        """Ask for the attack and then for the neighbour's witness, on the same connection.

        Raises NothingToAttack where a connection leads to one tenant.
        """
        if self._door.host_of(self.attacker_uid) is not None:
            raise NothingToAttack("a connection leads to one tenant: each has its own address")
        query = self._query()
        script, witness = self._in_language(f"/{attack}.py"), self._in_language("/witness.py")
        return self._client.get_both(
            (self._planted.attacker, f"{script}?{query}"), (self._planted.neighbour, witness)
        )

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
