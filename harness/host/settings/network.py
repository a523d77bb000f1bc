"""Connections: descriptors, local ports, and the firewall's connection tracking."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from harness.errors import Caution
from harness.host.settings.view import SYSCTL, View, whole_number

_LEAST_FILES = 1024
_LEAST_PORTS = 20_000


def open_files(_view: View) -> Iterator[Caution]:
    """Each connection takes a descriptor."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        yield Caution(
            f"a process may open {soft} files: connections will fail under many users",
            f"ulimit -n {16 * _LEAST_FILES}",
        )


def ports(view: View) -> Iterator[Caution]:
    """A closed connection keeps its port for a minute (TIME_WAIT)."""
    limits = (view.read(f"{SYSCTL}/net/ipv4/ip_local_port_range") or "").split()
    first, last = map(whole_number, limits) if len(limits) == 2 else (None, None)
    if first is None or last is None:
        return
    if last - first < _LEAST_PORTS:
        yield Caution(
            f"only {last - first + 1} ephemeral ports (ip_local_port_range): with a connection for "
            "each request they run out within seconds, and connections fail",
            "as root: sysctl -w net.ipv4.ip_local_port_range='32768 60999'",
        )


def reused_ports(view: View) -> Iterator[Caution]:
    """Without reuse, 28,000 ports last a quick server three seconds."""
    if view.read(f"{SYSCTL}/net/ipv4/tcp_tw_reuse") == "0":
        yield Caution(
            "ports of closed connections are not reused for a minute (tcp_tw_reuse is 0): with a "
            "connection for each request a quick server uses them up",
            "as root: sysctl -w net.ipv4.tcp_tw_reuse=2 (2: on loopback only)",
        )


def connection_tracking(view: View) -> Iterator[Caution]:
    """Tracked connections cost, and the table can fill up."""
    count = view.number(f"{SYSCTL}/net/netfilter/nf_conntrack_count")
    most = view.number(f"{SYSCTL}/net/netfilter/nf_conntrack_max")
    if count and most is not None:
        yield Caution(
            f"the firewall tracks connections (nf_conntrack: {count} of {most}): each costs time "
            "in the kernel, and when the table is full they are dropped",
            "as root: iptables -t raw -I OUTPUT -o lo -j CT --notrack; "
            "iptables -t raw -I PREROUTING -i lo -j CT --notrack",
        )
