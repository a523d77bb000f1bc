"""`suzuki`: an unprivileged worker takes the identity of the client, and goes back.

The original has the client's kernel put the user's credential into an IP option, and three system
calls by which a server learns it and may become that user. Here the kernel hands on the packet that
the option is in, and "may become" is a user namespace in which nobody but the permitted identities
exists: the host's root has no part in it while content runs.
"""

from __future__ import annotations

import socket

from servers import host_checks
from servers.errors import Unavailable
from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel import syscalls, user_namespace
from servers.kernel.credentials import Identity, Switch
from servers.mode import IsolationMode, RunsAs, Setting
from servers.modes.suzuki.client_credential import (
    KEY_BYTES,
    LONGEST_SYN,
    TCP_SAVE_SYN,
    TCP_SAVED_SYN,
    Refused,
    Verifier,
)
from servers.sites import Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Becomes the client that its connection names, runs the script here, and switches back."""

    precedent = "Suzuki et al. (2003)"
    runs_as = RunsAs.CLIENT
    recipe = ("identity",)
    listener_options = ((socket.IPPROTO_TCP, TCP_SAVE_SYN, 1),)

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import (
            FRONT,
            SWITCH_BACK,
            SWITCH_PROBE,
            SWITCHING,
            ProbePoint,
            Step,
            Timeline,
        )

        return Timeline(
            (*FRONT, Step("client's credential", "checked"), *SWITCHING[len(FRONT) :]),
            SWITCH_BACK,
            (ProbePoint(f"{__name__}:Mode._client_of", end="checked"), SWITCH_PROBE),
        )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._connection: socket.socket | None = None
        self._client = setting.www

    def check_host(self) -> None:
        """There must be a key, other identities, and a user namespace to hold them."""
        if len(self.setting.credential_key) != KEY_BYTES:
            raise Unavailable(
                f"clients' credentials need a key of {KEY_BYTES} bytes",
                "give --credential-key FILE; python -m workloads.credential --make FILE makes one",
            )
        host_checks.other_identities(self.setting)
        clients = self._clients()
        host_checks.user_namespace(*self._ids(clients))
        host_checks.socket_options(self.listener_options)

    def master_init(self) -> None:
        """Decide who may be a client: the owners of the sites, as they are now."""
        clients = self._clients()
        self._uids, self._gids = self._ids(clients)
        self._verifier = Verifier(
            self.setting.credential_key, {(client.uid, client.gid) for client in clients}
        )

    def _clients(self) -> list[Identity]:
        return [site.owner for site in Sites(self.setting.sites) if site.owner.uid != 0]

    def _ids(self, clients: list[Identity]) -> tuple[list[int], list[int]]:
        """Return the uids and the gids that exist for a worker: the clients' and www's."""
        everybody = [self.setting.www, *clients]
        return [who.uid for who in everybody], [who.gid for who in everybody]

    def child_init(self) -> None:
        """Enter a namespace of the permitted ids; in it, become www, able to change among them."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        user_namespace.enter(self._uids, self._gids)
        syscalls.drop_bounding_set(keep=0)
        self._switch = Switch(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Become the client and run the script; `cleanup` is what goes back."""
        try:
            client = self._client_of(request.connection)
        except Refused:
            request.keep_alive = False
            raise
        self._switch.to(client)
        return self._interpreter.run(request, environment_of(request, self._environment))

    def _client_of(self, connection: socket.socket) -> Identity:
        """Return whose connection it is. Raises Refused.

        The kernel tells once. The socket object is kept, and with it its identity in memory, so
        that no later connection can be taken for this one.
        """
        if connection is not self._connection:
            syn = connection.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, LONGEST_SYN)
            self._client = self._verifier.accept(syn)
            self._connection = connection
        return self._client

    def cleanup(self, request: Request) -> None:
        """Become www again."""
        self._switch.back()
