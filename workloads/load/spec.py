"""What a trial asks of a target: which tenants, how hard, over which connections.

A load comes as a JSON object (see `read`), and ends as prepared requests, each with its check.
"""

import ipaddress
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from workloads import credential, popularity
from workloads.access_log.trace import Playback
from workloads.catalog import Check, Connection, Workload, find, parts
from workloads.errors import WorkloadError
from workloads.load.schedule import Arrivals, Pattern
from workloads.popularity import Popularity
from workloads.proof import Identity, Proof

ClientName = Literal["compiled", "lean", "fasthttp"]


@dataclass(frozen=True)
class Load:
    """A load on one target: `users` users ask for `workload`, each one thing at a time.

    Without `arrivals` the load is closed: each asks as soon as it was answered. With them it is
    open, and the users are as many as there may be requests on their way. Where they are those of
    an access log, each is for the tenant and the workload that the log has: `workload`, or one of
    the `further` ones, by its number in both together.
    `tenants` are the proofs that the replies must carry. `server` is the identity of the server
    itself, if known; it only makes reasons clearer. `credential_key` is there where the target
    goes by the client's identity: then each tenant's script is asked for by the tenant itself.
    `library` is the file with the compiled client; without one it is built where it is needed.
    `hosts` are the addresses of tenants that have one of their own, by their names; all others are
    asked for at `host`.
    """

    host: str
    port: int
    workload: Workload
    tenants: tuple[Proof, ...]
    users: int = 1
    arrivals: Arrivals | Playback | None = None
    connection: Connection = "keep-alive"
    client: ClientName = "lean"
    popularity: Popularity = popularity.UNIFORM
    seed: int = 0
    server: Identity | None = None
    credential_key: bytes | None = field(default=None, repr=False)
    library: Path | None = None
    hosts: Mapping[str, str] = field(default_factory=dict)
    further: tuple[Workload, ...] = ()

    def host_of(self, proof: Proof) -> str:
        """Return the address at which a tenant is asked for."""
        return self.hosts.get(proof.tenant, self.host)


class Ask(NamedTuple):
    """One tenant's request, ready to send to `host`, and the check of its reply."""

    tenant: str
    request: bytes
    check: Check
    host: str
    workload: Workload


def asks(load: Load) -> list[Ask]:
    """Return the request to each tenant, in the order of `load.tenants`, workload by workload."""
    return [
        Ask(
            proof.tenant,
            workload.request(proof.tenant, load.connection),
            workload.check(proof, load.server),
            load.host_of(proof),
            workload,
        )
        for workload in (load.workload, *load.further)
        for proof in load.tenants
    ]


def first_asks(load: Load, tenants: int) -> list[Ask]:
    """Return the requests to the first so many tenants, of each workload."""
    return asks(replace(load, tenants=load.tenants[:tenants]))


def endless(load: Load) -> Iterator[Ask]:
    """Return the requests in the seeded order in which the users, together, send them."""
    each = asks(load)
    if isinstance(load.arrivals, Playback):
        count = len(load.tenants)
        return (each[workload * count + tenant] for tenant, workload in load.arrivals.choices())
    order = popularity.draw(load.popularity, len(each), load.seed)
    return cycle([each[index] for index in order])


def read(fields: Mapping[str, Any]) -> Load:
    """Make a load from a JSON object. Raises `WorkloadError`.

    Needed: `host`, `port`, `workload` (a name of the catalog; of a trace's workloads all, joined
    by +) and `tenants`, a list of `{"name", "uid", "gid", "groups"}` with the identity that each
    tenant's script must prove, and `"host"`, if the tenant has an address of its own.
    Optional: `users`, `rate` (an open load's requests a second) and its `schedule`, or `trace` (an
    object with the fields of `Playback.of`), `connection`, `client`, `popularity`, `seed`, `server`
    (`{"uid", ...}`), `credential_key` (the path of the key with which clients prove who they are),
    `library` (the path of the compiled client), `language` (of the scripts: python, php or perl),
    `elsewhere` (true where the server may be on another host, whose operator has shown a key). The
    client `compiled` leaves open loads, and targets that go by the client's identity, to `lean`.
    """
    try:
        client = _client(fields)
        return Load(
            host=fields["host"] if fields.get("elsewhere") else loopback(fields["host"]),
            port=int(fields["port"]),
            workload=_workloads(fields)[0],
            tenants=tuple(_proof(tenant) for tenant in fields["tenants"]) or _no_tenants(),
            users=_users(fields.get("users", 1)),
            arrivals=_arrivals(fields, client),
            connection=cast(Connection, _choice(fields, "connection", Connection, "keep-alive")),
            client=client,
            popularity=popularity.parse(fields.get("popularity", "uniform")),
            seed=int(fields.get("seed", 0)),
            server=_identity(fields["server"]) if fields.get("server") else None,
            credential_key=stamping_key(fields.get("credential_key"), client),
            library=Path(fields["library"]) if fields.get("library") else None,
            hosts=_hosts(fields["tenants"], client),
            further=_workloads(fields)[1:],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WorkloadError(
            f"the load is incomplete or malformed: {type(error).__name__}: {error}",
            hint="see workloads.load.spec.read for the fields of a load",
        ) from None


def loopback(host: str) -> str:
    """Return the host if it is an IPv4 loopback address. Raises `WorkloadError`.

    A load generator that is pointed at somebody else's server by a slip is an attack.
    """
    address = ipaddress.ip_address(host)
    if address.version != 4 or not address.is_loopback:
        raise WorkloadError(
            f"{host} is not a loopback address of this host",
            hint="load is only put on servers at 127.0.0.1",
        )
    return host


def _hosts(tenants: Sequence[Mapping[str, Any]], client: ClientName) -> dict[str, str]:
    hosts = {str(one["name"]): loopback(one["host"]) for one in tenants if one.get("host")}
    if hosts and client == "fasthttp":
        raise WorkloadError(
            "the client fasthttp knows one address only",
            hint="use the client compiled or lean if each tenant has its own address",
        )
    return hosts


def stamping_key(path: str | None, client: ClientName = "lean") -> bytes | None:
    """Return the key in a file, None where no path is given. Raises `WorkloadError`.

    Also where this client, or this process, could not make use of it.
    """
    if not path:
        return None
    if client != "lean":
        raise WorkloadError(
            f"the client {client} cannot send a credential in its packets",
            hint="use the client lean for a mode that needs the client's identity",
        )
    if reason := credential.obstacle():
        raise WorkloadError(reason, hint=credential.REMEDY)
    return credential.read_key(Path(path))


def _choice(fields: Mapping[str, Any], name: str, choices: Any, default: str) -> str:
    value: str = fields.get(name, default)
    if value not in get_args(choices):
        raise WorkloadError(
            f"unknown {name} {value!r}", hint=f"choose one of {', '.join(get_args(choices))}"
        )
    return value


def _client(fields: Mapping[str, Any]) -> ClientName:
    client = cast(ClientName, _choice(fields, "client", ClientName, "lean"))
    is_open = fields.get("rate") is not None or fields.get("trace")
    beyond = is_open or fields.get("credential_key")
    return "lean" if client == "compiled" and beyond else client


def _workloads(fields: Mapping[str, Any]) -> tuple[Workload, ...]:
    language = fields.get("language", "python")
    return tuple(find(name).written_in(language) for name in parts(fields["workload"]))


def _users(number: int) -> int:
    if int(number) < 1:
        raise WorkloadError("a load without users", hint="give at least one user")
    return int(number)


def _arrivals(fields: Mapping[str, Any], client: ClientName) -> Arrivals | Playback | None:
    trace = fields.get("trace")
    if fields.get("rate") is None and not trace:
        return None
    if client != "lean":
        raise WorkloadError(
            f"the client {client} cannot send at intended times, as an open load requires",
            hint="use the client lean, or a closed load",
        )
    if trace:
        return Playback.of(trace, len(fields["tenants"]), len(parts(fields["workload"])))
    rate = float(fields["rate"])
    if not 0 < rate < math.inf:
        raise WorkloadError(
            f"a load of {rate:g} requests a second", hint="give a rate above 0, such as 500"
        )
    return Arrivals(rate, cast(Pattern, _choice(fields, "schedule", Pattern, "poisson")))


def _no_tenants() -> tuple[Proof, ...]:
    raise WorkloadError("a load without tenants", hint="give at least one tenant")


def _proof(tenant: Mapping[str, Any]) -> Proof:
    return Proof(str(tenant["name"]), _identity(tenant))


def _identity(fields: Mapping[str, Any]) -> Identity:
    groups = tuple(sorted(map(int, fields.get("groups", ()))))
    return Identity(int(fields["uid"]), int(fields["gid"]), groups)
