"""Explore a server by hand, with Locust's own web page.

Start `isobench serve MODE` in one terminal, and in another

    locust -f workloads/locustfile.py --host http://127.0.0.1:PORT --tenants-file tenants.json

Users come and go as Locust is told, or by a load shape (see `shapes`):

    ISOBENCH_SHAPE=steps:1,2,4,8@10 locust -f ...
    ISOBENCH_SHAPE=ramp:10-500/s@60 locust -f ... --users 4

The second is an open load, whose response times count from the intended times of sending; with
connections kept alive it needs no more users than the server has workers.

The replies are checked as in a measurement, but Locust's own statistics count here: they round
response times below 100 ms to whole milliseconds.
"""

import logging
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import gevent
from locust import events
from locust.env import Environment

from workloads import popularity
from workloads.addresses import address_of
from workloads.catalog import WORKLOADS, find
from workloads.errors import WorkloadError
from workloads.load import spec
from workloads.load.shapes import Rates, Shape, parse
from workloads.load.spec import Load
from workloads.load.users import ClosedLoopUser, OpenLoopUser, Plan
from workloads.proof import Proof
from workloads.tenants import Manifest, script_identity

logger = logging.getLogger(__name__)


def shape_from(environment: Mapping[str, str]) -> type[Shape] | None:
    """Return the load shape that ISOBENCH_SHAPE asks for; None where it is not set.

    Not an option: Locust looks for shapes before it reads the command line.
    """
    text = environment.get("ISOBENCH_SHAPE")
    if not text:
        return None
    try:
        return parse(text)
    except WorkloadError as error:
        logger.error("error: %s\nhint: %s", error, error.hint)
        raise SystemExit(2) from None


Profile = shape_from(os.environ)
"""Locust takes any class of a load shape that it finds here."""

ARRIVALS = Profile.arrivals if Profile is not None and issubclass(Profile, Rates) else None
"""When the requests of an open load come; None of a closed one."""


class Visitor(ClosedLoopUser):
    """A user in a closed loop; its plan is made when the test starts."""

    abstract = ARRIVALS is not None


class Caller(OpenLoopUser):
    """A user that sends at intended times, which it shares with the others."""

    abstract = ARRIVALS is None


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_arguments(parser: ArgumentParser) -> None:
    """Add what a load needs to Locust's command line and web page."""
    add: Any = parser.add_argument
    known = ", ".join(WORKLOADS)
    add("--workload", default="hello", help=f"what is asked for: {known}, or another page")
    add("--connection", choices=["close", "keep-alive"], default="keep-alive")
    add("--tenant-count", type=int, default=0, help="ask only the first so many tenants; 0: all")
    add("--popularity", default="uniform", help="uniform, or zipf:S")
    add("--tenants-file", env_var="ISOBENCH_TENANTS", default="tenants.json")
    add(
        "--runs-as",
        env_var="ISOBENCH_RUNS_AS",
        choices=["server", "owner", "client"],
        default="owner",
        help="the identity that scripts must prove: server for cgi, dso and safe_mode",
    )
    add(
        "--own-addresses",
        env_var="ISOBENCH_OWN_ADDRESSES",
        action="store_true",
        help="ask each tenant at an address of its own (address)",
    )
    add(
        "--credential-key",
        env_var="ISOBENCH_CREDENTIAL_KEY",
        default="",
        help="the server's key, where it goes by the client's identity (suzuki)",
    )


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def make_plan(environment: Environment, **_rest: object) -> None:
    """Make the plan from what was chosen on the command line or on the web page."""
    try:
        plan = Plan.of(load_from(environment.parsed_options, environment.host))
    except (WorkloadError, ValueError) as error:
        logger.error("error: %s\nhint: %s", error, getattr(error, "hint", "See --help."))
        give_up(environment)
    Visitor.plan = Caller.plan = plan


def give_up(environment: Any) -> NoReturn:
    """End the test before its first user, and a headless Locust with exit code 2.

    Locust's own `StopTest` would print a traceback here. It fires `test_start` in the greenlet
    that starts the users; when that one exits, nobody starts them.
    """
    if environment.parsed_options.headless:
        environment.process_exit_code = 2
        gevent.spawn(environment.runner.quit)
    else:
        gevent.spawn(environment.runner.stop)
    raise gevent.GreenletExit


def load_from(options: Any, url: str | None) -> Load:
    """Return the load that the options ask for. Raises `WorkloadError`."""
    address = urlsplit(url or "")
    if not address.hostname or not address.port:
        raise WorkloadError(
            f"no server at {url!r}",
            hint="give --host http://127.0.0.1:PORT, as `isobench serve` printed it",
        )
    manifest = Manifest.read(Path(options.tenants_file))
    tenants = manifest.tenants[: options.tenant_count or None]
    return Load(
        host=spec.loopback(address.hostname.replace("localhost", "127.0.0.1")),
        port=address.port,
        workload=find(options.workload),
        tenants=tuple(
            Proof(t.name, script_identity(options.runs_as, manifest.www, t.identity))
            for t in tenants
        ),
        connection=options.connection,
        arrivals=ARRIVALS,
        popularity=popularity.parse(options.popularity),
        server=manifest.www,
        credential_key=spec.stamping_key(options.credential_key),
        hosts={t.name: address_of(t.uid) for t in tenants} if options.own_addresses else {},
    )
