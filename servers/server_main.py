"""The program that a server is: the master of a pool or, executed once more, one of its workers.

`python -m servers` has looked at the host and prepared everything; what it has prepared is in the
orders. The modules that are loaded here import next to nothing, since every fork copies it.
"""

from __future__ import annotations

import os
import sys

from servers.errors import Unavailable
from servers.front.master.pool import Pool, WorkersFail
from servers.front.master.spawn import Inheritance, ServerCommand, serve_as_executed
from servers.launch import Orders, leave_import_path, refuse
from servers.mode import IsolationMode
from servers.sites import Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from typing import Final, NoReturn
else:
    import _socket as socket

_STANDARD_INPUT: Final = 0


def main() -> NoReturn:
    """Serve by the orders whose descriptor is the first argument; as the worker of the second."""
    file, *inheritance = sys.argv[1:]
    orders = Orders.read(int(file))
    for descriptor in orders.descriptors():
        os.set_inheritable(descriptor, False)
    mode = orders.make_mode()
    leave_import_path()
    os.chdir("/")  # and let go of wherever the operator was
    if orders.journal is not None:
        _profile(mode, orders.journal)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, orders.listener)
    sites = Sites(orders.setting.sites)
    pool = Pool if orders.tally is None else _observe(mode, orders.tally, sites)
    if inheritance:
        os.close(int(file))
        _slow_down(mode, orders.slowdown_us)
        if orders.tally is not None:
            os.close(orders.tally)
        serve_as_executed(mode, listener, sites, Inheritance.parse(*inheritance))
    sys.exit(_serve(mode, listener, sites, orders, int(file), pool))


def _serve(
    mode: IsolationMode,
    listener: socket.socket,
    sites: Sites,
    orders: Orders,
    file: int,
    pool: type[Pool],
) -> int:
    """Be the master; return the exit status."""
    command = None
    if mode.setting.options.get("worker_start") == "exec":
        command = ServerCommand(file, orders.descriptors())
    else:
        os.close(file)
    control = _STANDARD_INPUT if orders.control else None
    try:
        mode.listens_at(listener.getsockname())
        # In this order, for modes whose workers are forked by a process that `master_init` makes.
        _slow_down(mode, orders.slowdown_us)
        mode.master_init()
        master = pool(mode, listener, sites, orders.workers, command, control, orders.log_limit)
        master.run(orders.ready)
    except (Unavailable, WorkersFail) as error:
        return refuse(error, orders.control)
    return 0


def _observe(mode: IsolationMode, file: int, sites: Sites) -> type[Pool]:
    """Have requests be counted in a file; return the class of a pool that notes how it is."""
    from servers.front.master import observing  # here, since no other server has any use for it

    return observing.observe(mode, file, [site.name for site in sites])


def _profile(mode: IsolationMode, journal: int) -> None:
    """Have requests stamp what they pass."""
    from servers.profiling import journal as phases
    from servers.profiling import timelines  # here, since no other server has any use for them

    timelines.install(mode, phases.Journal(journal))


def _slow_down(mode: IsolationMode, microseconds: float | None) -> None:
    """Slow the mode down, if asked to. It is what `isobench selftest` looks for."""
    if microseconds is not None:
        from servers.profiling import slowdown  # here, since no other server has any use for it

        slowdown.slow_down(mode, microseconds)
