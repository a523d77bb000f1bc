"""Opening a scene: its tenants are created, its secrets planted, its server started."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from harness.attack.errors import SceneFailed
from harness.attack.scene.scene import Scene
from harness.attack.scene.secrets import Planted
from harness.attack.seats.operator import Terminal
from harness.attack.seats.seat import Seat
from harness.host.proc import Cast
from harness.target import probes
from harness.target.server import Server, Site
from harness.target.targets import Target, python
from workloads import tenants

SCRIPT_SECONDS: Final = 3
"""A script's time limit in a scene, where it is not said."""

SERVED_WITHIN: Final = 3
"""In how many times that a neighbour has to be served again.

It takes the limit and two seconds to end a script, its children and its worker. Nobody needs less
time where the limit is shorter than usual; only a double, where an attack shall succeed, has less.
"""


@contextmanager
def opened(
    seat: Seat,
    target: Target,
    workers: int,
    server_class: type[Server] = Server,
    profiled: bool = False,
    script_seconds: int = SCRIPT_SECONDS,
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
            # Scripts of a weak double can be root, and write what others would execute.
            programs=seat.programs if server_class is Server else None,
        )
        attacker, neighbour = tenants.create(
            site.sites,
            count=2,
            www=seat.www,
            first_uid=seat.first_uid + 1,
            interpreter=f"{python()} -IS",
            workloads=(),
        )
        planted = Planted.on(site, seat.www, attacker, neighbour, target)
        arguments = ["--port", "0", "--workers", str(workers)]
        arguments += ["--script-seconds", str(script_seconds)]
        environment = {"ISOBENCH_PLANTED": planted.words["environment"]}
        with (
            Terminal() as terminal,
            server_class(
                target,
                site,
                seat.processes,
                arguments,
                environment,
                start=seat.operator.at(terminal, planted.words["key"]),
            ) as server,
        ):
            terminal.type(planted.words["typed"])
            pids = probes.processes_of(server, seat.processes)
            if target.is_peer:
                cast = Cast.of_product(server.watchers(), pids)
            else:
                cast = Cast.of(server.pid, pids)
            if cast is None:
                raise SceneFailed("the server's first process cannot be found")
            double = server_class is not Server
            patience = SERVED_WITHIN * (
                script_seconds if double else max(script_seconds, SCRIPT_SECONDS)
            )
            yield Scene(
                seat, target, site, planted, server, cast, terminal, script_seconds, patience
            )
    finally:
        shutil.rmtree(place)
