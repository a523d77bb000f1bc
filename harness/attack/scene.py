"""The scene of an attack: one server, an attacker, a neighbour, and what was planted with them.

Everything that decides whether an attack worked is looked at from here, by the host's root, outside
of the server's namespaces: what came back over HTTP, what lies on the disk and whose it is, which
processes live and as whom.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.attack.operator import Terminal, launcher
from harness.attack.operator import planted as key_of
from harness.attack.raw_http import PATIENCE_S, Door, Reply, first_of, request, rest_of
from harness.host import proc
from harness.host.cgroup import ProcessGroup
from harness.host.polling import EVERY_S, wait_until
from harness.host.proc import Cast
from harness.profile.journal import JournalReader
from harness.target import probes
from harness.target.server import Server, Site
from harness.target.targets import Target, python
from workloads import attacks, tenants
from workloads.attacks import Attack
from workloads.proof import Identity
from workloads.tenants import Tenant

SCRIPT_SECONDS = 3
"""A script's time limit in a scene."""

IDS_OF_A_SEAT = 3
"""www, the attacker and the neighbour."""

SERVED_WITHIN_S = 9.0
"""In which time a neighbour has to be served again.

Thrice a script's: it takes that and two seconds to end a script, its children and its worker.
"""

_COMING_S = 5.0
_DYING_S = 0.4
_SERVED = 200
_BEGUN = "begun"
"""The directory of the attacker's site in which scripts say that they have begun."""
_PRIVATE = 0o600


UNCONTAINED: Final = (
    "this host allows no pid namespaces, so what the attack leaves behind might not be ended"
)
UNSEEN: Final = "isobench may not inspect the server's processes on this host"
UNFIT: Final = {
    UNCONTAINED: "allow namespaces (CAP_SYS_ADMIN in a container)",
    UNSEEN: "allow isobench CAP_SYS_PTRACE",
}
"""Why a host is no place for some attacks, each with what would change that."""


class NothingToAttack(Exception):
    """What an attack is about is not there, as seen from outside."""


class SceneFailed(Exception):
    """The scene is not as it has to be, so that an attack on it would show nothing."""


@dataclass(frozen=True)
class Seat:
    """Where servers of scenes run, one after the other: a directory, a cgroup, three ids."""

    directory: Path
    processes: ProcessGroup
    first_uid: int

    @property
    def www(self) -> Identity:
        """The server's own identity."""
        return Identity(self.first_uid, self.first_uid)


@contextmanager
def opened(
    seat: Seat,
    target: Target,
    workers: int,
    server_class: type[Server] = Server,
    profiled: bool = False,
) -> Iterator[Scene]:
    """Make tenants and start a server; at the end all of it is gone. Raises IsobenchError."""
    place = seat.directory / secrets.token_hex(4)
    place.mkdir(mode=0o755)
    if profiled:
        target = replace(target, stamps=place / "journal")
    try:
        (place / "private").mkdir(mode=0o711)
        site = Site(
            sites=place / "sites",
            private=place / "private",
            www_uid=seat.www.uid,
            www_gid=seat.www.gid,
            privileged=True,
            log=place / "server.log",
        )
        attacker, neighbour = tenants.create(
            site.sites,
            count=2,
            www=seat.www,
            first_uid=seat.first_uid + 1,
            interpreter=f"{python()} -IS",
            workloads=(),
        )
        planted = Planted.on(site, seat.www, attacker, neighbour)
        arguments = ["--port", "0", "--workers", str(workers)]
        arguments += ["--script-seconds", str(SCRIPT_SECONDS)]
        environment = {"ISOBENCH_PLANTED": planted.words["environment"]}
        environment |= key_of(planted.words["key"])
        with (
            Terminal() as terminal,
            server_class(
                target, site, seat.processes, arguments, environment, launcher(terminal)
            ) as server,
        ):
            terminal.type(planted.words["typed"])
            cast = Cast.of(server.pid, probes.processes_of(server, seat.processes))
            if cast is None:
                raise SceneFailed("the server's first process cannot be found")
            yield Scene(seat, target, site, planted, server, cast, terminal)
    finally:
        shutil.rmtree(place)


@dataclass(frozen=True)
class Planted:
    """The two tenants, and the secret words by the place where they were put."""

    attacker: Tenant
    neighbour: Tenant
    words: dict[str, str]

    @classmethod
    def on(cls, site: Site, www: Identity, attacker: Tenant, neighbour: Tenant) -> Planted:
        """Plant everything on the sites."""
        words = {
            place: secrets.token_hex(12)
            for place in (
                *("source", "listing", "environment", "request", "group", "database"),
                *("key", "typed"),
            )
        }
        words["file"] = (neighbour.site / "config.secret").read_text().split()[-1]
        planted = cls(attacker, neighbour, words)
        with closing(sqlite3.connect(neighbour.site / "data" / "app.db")) as database, database:
            database.execute("INSERT INTO articles (title) VALUES (?)", (words["database"],))
        witness = attacks.WITNESS.read_text().replace("@source@", words["source"])
        planted.script(neighbour, "witness.py", witness, www)
        # Its name is what a listing and a command line give away.
        planted.script(neighbour, planted.linger, attacks.LINGER.read_text(), www)
        # As its owner may do: what runs as others shall be able to bring something here.
        attacker.site.chmod(0o751)
        for name in ("drop", _BEGUN):
            directory = attacker.site / name
            directory.mkdir()
            os.chown(directory, attacker.uid, www.gid)
            directory.chmod(0o777)
        for_www = attacker.site / "group.secret"
        for_www.write_text(words["group"])
        os.chown(for_www, 0, www.gid)
        for_www.chmod(0o040)
        setuid = attacker.site / "setuid"
        shutil.copy(shutil.which("touch") or "/usr/bin/touch", setuid)
        os.chown(setuid, 0, 0)
        setuid.chmod(0o4755)
        return planted

    @property
    def linger(self) -> str:
        """The name of the script that runs while an attack is made."""
        return f"q{self.words['listing']}.py"

    def script(self, tenant: Tenant, name: str, source: str, www: Identity) -> Path:
        """Write a script as hosting practice has it."""
        path = tenant.site / name
        path.write_text(f"#!{python()} -IS\n{source}")
        os.chown(path, tenant.uid, www.gid)
        path.chmod(0o750)
        return path


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
        self._site = site
        self._planted = planted
        self._server = server
        self.terminal = terminal
        self._journal = target.stamps
        self.cast = cast
        key = site.credential_key if target.by_client else None
        self._door = Door.of(server.host, server.port, key)
        self._replies: list[Reply] = []
        self._lingering: socket.socket | None = None
        self._pids: dict[str, int] = {}
        self.token = ""
        self.site = planted.attacker.site
        self.drop = self.site / "drop"
        self.neighbour = planted.neighbour.site
        self.sites = site.sites
        self.log = site.log
        self.port = server.port
        self.attacker_uid = planted.attacker.uid
        self.neighbour_uid = planted.neighbour.uid
        self.www_uid, self.www_gid = seat.www.uid, seat.www.gid
        self.own_uid = tenants.script_identity(target.runs_as, seat.www.uid, planted.attacker.uid)
        self.secret = planted.words["file"]
        self.secrets = planted.words
        self.wrapper = self._find_wrapper()
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
        name = f"{attack.name}.py"
        program = attack.program(f"{python()} -IS").split("\n", 1)[1]
        self._planted.script(self._planted.attacker, name, program, self._seat.www)
        try:
            if attack.neighbour_at_work:
                self._put_neighbour_to_work()
            if attack.missing and (reason := attack.missing(self)):
                raise NothingToAttack(reason)
            if attack.instead is not None:
                self._act_as_a_worker(attack.instead)
                return attack.proof(self)
            return self._ask(attack, name) or attack.proof(self)
        finally:
            self._dismiss()

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
        return self._get(self._planted.attacker, f"/{name}?{query}", {})

    def _facts(self) -> dict[str, object]:
        inside = {role: found.inside for role, found in self._roles().items()}
        return {
            "site": str(self.site),
            "drop": str(self.drop),
            "begun": str(self.site / _BEGUN / self.token),
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

    # The neighbour at work

    def _put_neighbour_to_work(self) -> None:
        neighbour = self._planted.neighbour
        self._lingering = self._door.connect(neighbour)
        planted = {"X-Planted": self.secrets["request"]}
        self._lingering.sendall(request(neighbour, f"/{self._planted.linger}", planted))
        victim = self._await_victim()
        self._pids = {"victim": victim, "sibling": self._worker_of(self._lingering) or victim}

    def _await_victim(self) -> int:
        """Return the process that has the neighbour's secret open, which is its script's."""
        if found := wait_until(self._who_has_the_secret_open, _COMING_S):
            return found[0]
        raise SceneFailed("the neighbour's script did not start")

    def _who_has_the_secret_open(self) -> list[int]:
        status = (self.neighbour / "config.secret").stat()
        wanted = (status.st_dev, status.st_ino)
        return [pid for pid in self.processes() if wanted in proc.open_files(pid)]

    def _worker_of(self, connection: socket.socket) -> int:
        """Return the worker that holds the other end of a connection, 0 if none is found."""
        port = connection.getsockname()[1]
        inodes = {
            fields[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if (fields := line.split())[2].endswith(f":{port:04X}")
        }
        for worker in self.cast.workers:
            links = Path(f"/proc/{worker.pid}/fd")
            with contextlib.suppress(OSError):
                for link in links.iterdir():
                    name = str(link.readlink())
                    if name.startswith("socket:[") and name[8:-1] in inodes:
                        return worker.pid
        return 0

    def released(self) -> Reply:
        """Let the neighbour's script come to its end, and return what its client gets."""
        if self._lingering is None:
            return Reply()
        (self.neighbour / "data" / "go").touch()
        with self._lingering as connection:
            self._lingering = None
            return rest_of(connection)

    def _dismiss(self) -> None:
        """Let the neighbour's script come to its end, whether it still can or not."""
        if self._lingering is not None:
            (self.neighbour / "data" / "go").touch()
            self._lingering.close()
            self._lingering = None
            wait_until(lambda: not self._who_has_the_secret_open(), _DYING_S)

    # Looking, after the attack

    def began(self) -> bool:
        """Return whether a script of the attack has come as far as to the attack itself."""
        return any((self.site / _BEGUN).glob(f"{self.token}-*"))

    def replies(self) -> Sequence[Reply]:
        """Return what the attack's requests were answered."""
        return self._replies

    def visit(self, script: str = "witness.py", **headers: str) -> Reply:
        """Ask for a script of the neighbour's."""
        return self._get(self._planted.neighbour, f"/{script}", headers)

    def fetch(self, script: str) -> Reply:
        """Ask for a script of the attacker's."""
        return self._get(self._planted.attacker, f"/{script}", {})

    def outage(self, watched_s: float = 0.0) -> str | None:
        """Return evidence if the server has ended, or serves the neighbour no more."""
        began = time.monotonic()
        deadline = began + watched_s + SERVED_WITHIN_S
        while (left_s := deadline - time.monotonic()) > 0:
            if self._server.has_ended():
                return f"the server has ended: {self._server.last_words() or 'without a word'}"
            neighbour = self._planted.neighbour
            last = self._get(neighbour, "/witness.py", {}, patience_s=left_s).status
            if last == _SERVED and time.monotonic() - began >= watched_s:
                return None
            time.sleep(EVERY_S)
        return f"the neighbour was not served within {SERVED_WITHIN_S:g} s: {last or 'no answer'}"

    def put(self, name: str, source: str) -> None:
        """Write another script of the neighbour's."""
        self._planted.script(self._planted.neighbour, name, source, self._seat.www)

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
        return self._server.usage().served

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
        """Ask for the attack and then for the neighbour's witness, on the same connection."""
        attacker, neighbour = self._planted.attacker, self._planted.neighbour
        query = json.dumps(self._facts() | {"hand": 0}).encode().hex()
        try:
            with self._door.connect(attacker) as connection:
                connection.sendall(request(attacker, f"/{attack}.py?{query}", {}, keep=True))
                first, behind = first_of(connection)
                connection.sendall(request(neighbour, "/witness.py", {}))
                return first, Reply(behind + rest_of(connection).raw)
        except OSError:
            return Reply(), Reply()

    # A worker that was taken over

    def plant_program(
        self, directory: Path, name: str = "program.py", owner: int | None = None, mode: int = 0o750
    ) -> Path:
        """Write a program that tells the token and its uid."""
        path = directory / name
        path.write_text(f"#!{python()} -IS\nimport os\nprint({self.token!r}, os.getuid())\n")
        os.chown(path, self._planted.attacker.uid if owner is None else owner, self.www_gid)
        path.chmod(mode)
        return path

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
        result = subprocess.run(
            [*self._as_a_worker(directory or self.site), self.wrapper, *ids, program, *more],
            env={},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_COMING_S,
            cwd=self.inside(directory or self.site),
        )
        if result.stderr.startswith(("nsenter: ", "setpriv: ")):
            raise SceneFailed(result.stderr.strip())
        said = " ".join((result.stdout + result.stderr).split())
        told = "done" if self.token in said else f"refused exit {result.returncode}: {said}"
        return f"isobench-attack {told}\n{said}"

    def inside(self, path: Path) -> Path:
        """Return where a path of the server's own root, which may differ from ours, is found."""
        root = Path(f"/proc/{self.cast.master.pid}/root" if self.cast.contained else "/")
        return root / path.relative_to("/")

    def _as_a_worker(self, directory: Path) -> list[str]:
        """Return the command before which a program runs as www, in the server's namespaces.

        Where there are none, it runs where it is called.
        """
        if not self.cast.contained:
            identity = [f"--reuid={self.www_uid}", f"--regid={self.www_gid}", "--clear-groups"]
            return ["setpriv", *identity, "--"]
        identity = [f"--setuid={self.www_uid}", f"--setgid={self.www_gid}"]
        target = f"--target={self.cast.master.pid}"
        return ["nsenter", target, "--mount", "--pid", *identity, f"--wdns={directory}", "--"]

    def program_ran(self) -> str | None:
        """Return evidence if a planted program has run."""
        for reply in self._replies:
            _, found, rest = reply.raw.decode("latin-1").partition(f"{self.token} ")
            if found:
                return f"the program ran as uid {rest.split()[0]}"
        return None

    def _find_wrapper(self) -> str:
        """Return the path of a setuid program in the server's private directory, "" for none."""
        private = self.inside(self._site.private)
        for entry in private.rglob("*"):
            if entry.is_file() and entry.stat().st_mode & 0o4000:
                return str(self._site.private / entry.relative_to(private))
        return ""

    def _find_user_namespaces(self) -> Iterator[str]:
        for one in (self.cast.master, *self.cast.workers, *self.cast.helpers):
            # Where it may not be looked at, no attack that asks for it is made.
            with contextlib.suppress(OSError):
                yield str(Path(f"/proc/{one.pid}/ns/user").readlink())
