# SPDX-License-Identifier: Apache-2.0
"""Which container has which address."""

import ipaddress
from pathlib import Path

import pytest
from cni_agent.addresses import Addresses, NoAddressError


def addresses(directory: Path, range_: str = "10.0.0.0/29") -> Addresses:
    return Addresses(directory / "blue", ipaddress.ip_network(range_))


def test_each_owner_has_its_own_until_none_is_left(tmp_path: Path) -> None:
    blue = addresses(tmp_path)
    given = [blue.allocate(f"c{n} eth0") for n in range(5)]
    assert given == [f"10.0.0.{n}" for n in range(2, 7)]
    with pytest.raises(NoAddressError, match="no address is left in 10.0.0.0/29"):
        blue.allocate("c5 eth0")
    blue.release("c1 eth0")
    assert blue.allocate("c5 eth0") == "10.0.0.3"


def test_who_asks_twice_gets_the_same(tmp_path: Path) -> None:
    assert addresses(tmp_path).allocate("c eth0") == "10.0.0.2"
    assert addresses(tmp_path).allocate("c eth0") == "10.0.0.2"
    assert addresses(tmp_path).of("c eth0") == "10.0.0.2"
    assert addresses(tmp_path).of("c eth1") == ""


def test_to_release_nothing_is_fine(tmp_path: Path) -> None:
    addresses(tmp_path).release("nobody eth0")


@pytest.mark.parametrize(
    "wanted",
    ["10.0.0.0", "10.0.0.1", "10.0.0.7", "10.0.1.2", "../lock", "lock", "10.0.0.5"],
)
def test_what_is_taken_reserved_or_no_address_is_refused(
    tmp_path: Path, wanted: str
) -> None:
    blue = addresses(tmp_path)
    assert blue.allocate("first eth0", "10.0.0.5") == "10.0.0.5"
    with pytest.raises(NoAddressError, match="is taken or not of"):
        blue.allocate("second eth0", wanted)
    assert blue.of("second eth0") == ""


def test_ipv6_has_a_gateway_and_addresses_too(tmp_path: Path) -> None:
    six = addresses(tmp_path, "fd00::/64")
    assert six.gateway == "fd00::1"
    assert six.allocate("c eth0") == "fd00::2"
    assert six.of("c eth0") == "fd00::2"
