"""The address of each tenant."""

import ipaddress

import pytest

from workloads.addresses import address_of
from workloads.errors import WorkloadError


def test_each_uid_has_a_loopback_address_of_its_own() -> None:
    found = {address_of(uid) for uid in (0, 1, 255, 256, 65_535, 65_536, 2**22 - 1)}
    assert len(found) == 7
    assert all(ipaddress.ip_address(one) in ipaddress.ip_network("127.64.0.0/10") for one in found)


@pytest.mark.parametrize("uid", [-1, 2**22])
def test_a_uid_out_of_the_block_is_refused(uid: int) -> None:
    with pytest.raises(WorkloadError, match="no loopback address"):
        address_of(uid)
