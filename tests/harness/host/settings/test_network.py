"""Ports, connections and open files: seen where they harm, silent where they do not."""

import resource
from collections.abc import Mapping

import pytest

from harness.host.settings import network
from harness.host.settings.view import Check
from tests.harness.host.settings.made import NET, Made, assert_named


@pytest.mark.parametrize(
    ("check", "files", "about", "advice"),
    [
        (
            network.ports,
            {f"{NET}/ipv4/ip_local_port_range": "40000\t40999"},
            "1000 ephemeral ports",
            "sysctl -w net.ipv4.ip_local_port_range='32768 60999'",
        ),
        (
            network.reused_ports,
            {f"{NET}/ipv4/tcp_tw_reuse": "0"},
            "tcp_tw_reuse is 0",
            "sysctl -w net.ipv4.tcp_tw_reuse=2",
        ),
        (
            network.connection_tracking,
            {
                f"{NET}/netfilter/nf_conntrack_count": "17",
                f"{NET}/netfilter/nf_conntrack_max": "65536",
            },
            "17 of 65536",
            "CT --notrack",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    assert_named(host, check, files, about, advice)


def test_few_open_files(host: Made) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        (caution,) = network.open_files(host({}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "256 files" in caution.about
    assert caution.advice == "ulimit -n 16384"
