"""What a trial asks of a target: which tenants, how hard, over which connections.

A load comes as a JSON object (see `read`), and ends as prepared requests, each with its check.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal, NamedTuple, cast, get_args

from workloads import popularity
from workloads.catalog import WORKLOADS, Check, Connection, Workload
from workloads.errors import WorkloadError
from workloads.popularity import Popularity
from workloads.proof import Identity, Proof

ClientName = Literal["lean", "fasthttp"]


@dataclass(frozen=True)
class Load:
    """A closed load on one target: `users` users ask for `workload`, each one thing at a time.

    `tenants` are the proofs that the replies must carry. `server` is the identity of the server
    itself, if known; it only makes reasons clearer.
    """

    host: str
    port: int
    workload: Workload
    tenants: tuple[Proof, ...]
    users: int = 1
    connection: Connection = "keep-alive"
    client: ClientName = "lean"
    popularity: Popularity = popularity.UNIFORM
    seed: int = 0
    server: Identity | None = None


class Ask(NamedTuple):
    """One tenant's request, ready to send, and the check of its reply."""

    tenant: str
    request: bytes
    check: Check


def asks(load: Load) -> list[Ask]:
    """Return the request to each tenant, in the order of `load.tenants`."""
    return [
        Ask(
            proof.tenant,
            load.workload.request(proof.tenant, load.connection),
            load.workload.check(proof, load.server),
        )
        for proof in load.tenants
    ]


def endless(load: Load) -> Iterator[Ask]:
    """Return the requests in the seeded order in which the users, together, send them."""
    each = asks(load)
    order = popularity.draw(load.popularity, len(each), load.seed)
    return cycle([each[index] for index in order])


def read(fields: Mapping[str, Any]) -> Load:
    """Make a load from a JSON object. Raises `WorkloadError`.

    Needed: `host`, `port`, `workload` (a name of the catalog) and `tenants`, a list of
    `{"name", "uid", "gid", "groups"}` with the identity that each tenant's script must prove.
    Optional: `users`, `connection`, `client`, `popularity`, `seed`, `server` (`{"uid", ...}`).
    """
    try:
        return Load(
            host=loopback(fields["host"]),
            port=int(fields["port"]),
            workload=workload(fields["workload"]),
            tenants=tuple(_proof(tenant) for tenant in fields["tenants"]) or _no_tenants(),
            users=_users(fields.get("users", 1)),
            connection=cast(Connection, _choice(fields, "connection", Connection, "keep-alive")),
            client=cast(ClientName, _choice(fields, "client", ClientName, "lean")),
            popularity=popularity.parse(fields.get("popularity", "uniform")),
            seed=int(fields.get("seed", 0)),
            server=_identity(fields["server"]) if fields.get("server") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WorkloadError(
            f"the load is incomplete or malformed: {type(error).__name__}: {error}",
            hint="See workloads.load.read for the fields of a load.",
        ) from None


def workload(name: str) -> Workload:
    """Return the workload of this name. Raises `WorkloadError`."""
    if name not in WORKLOADS:
        raise WorkloadError(f"unknown workload {name!r}", hint=f"Known are {', '.join(WORKLOADS)}.")
    return WORKLOADS[name]


def loopback(host: str) -> str:
    """Return the host if it is an IPv4 loopback address. Raises `WorkloadError`.

    A load generator that is pointed at somebody else's server by a slip is an attack.
    """
    address = ipaddress.ip_address(host)
    if address.version != 4 or not address.is_loopback:
        raise WorkloadError(
            f"{host} is not a loopback address of this host",
            hint="Load is only put on servers at 127.0.0.1.",
        )
    return host


def _choice(fields: Mapping[str, Any], name: str, choices: Any, default: str) -> str:
    value: str = fields.get(name, default)
    if value not in get_args(choices):
        raise WorkloadError(
            f"unknown {name} {value!r}", hint=f"Known are {', '.join(get_args(choices))}."
        )
    return value


def _users(number: int) -> int:
    if int(number) < 1:
        raise WorkloadError("a load without users", hint="Give at least one user.")
    return int(number)


def _no_tenants() -> tuple[Proof, ...]:
    raise WorkloadError("a load without tenants", hint="Give at least one tenant.")


def _proof(tenant: Mapping[str, Any]) -> Proof:
    return Proof(str(tenant["name"]), _identity(tenant))


def _identity(fields: Mapping[str, Any]) -> Identity:
    groups = tuple(sorted(map(int, fields.get("groups", ()))))
    return Identity(int(fields["uid"]), int(fields["gid"]), groups)
