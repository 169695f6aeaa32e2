# SPDX-License-Identifier: Apache-2.0
"""An interface in a network of the test's own: this machine's is not touched.

Kernels without the type `dummy` are asked for a bridge where an interface is needed.
"""

import os
import subprocess
import sys

import pytest

LOOK = """
import socket, subprocess, sys
from toono.wire.dummy import DummyLink, is_local
from toono.errors import OptionError

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def link(name="hub-dummy0", address="169.254.2.1", kind="bridge"):
    return DummyLink(name, address, kind)

def made(*named):
    one = link(*named)
    assert one.ensure()
    return one

def names():
    return {name for _, name in socket.if_nameindex()}

ip("link", "set", "lo", "up")
"""


def in_own_network(code: str) -> list[str]:
    """Run code as root of a new network namespace; return the lines it prints."""
    command = ["unshare", "--net", "--map-root-user", "--user"]
    allowed = subprocess.run([*command, "ip", "link"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("NOT RUN: no network namespace, or no ip(8), on this machine")
    done = subprocess.run(
        [*command, sys.executable, "-c", LOOK + code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("address", ["169.254.2.1", "fd00::2:1"])
def test_interface_has_its_address_until_it_is_removed(address):
    told = in_own_network(
        f"""
one = made("hub-dummy0", "{address}")
print("hub-dummy0" in names(), is_local("{address}"), one.on, one.ensure())
one.remove()
print("hub-dummy0" in names(), is_local("{address}"))
one.remove()
"""
    )
    assert told == ["True True hub-dummy0 False", "False False"]


def test_interface_or_address_that_somebody_took_away_is_put_back():
    told = in_own_network(
        """
one = made()
ip("link", "del", "hub-dummy0")
print(one.is_there, one.ensure(), one.is_there)
ip("addr", "del", "169.254.2.1/32", "dev", "hub-dummy0")
print(one.is_there, one.ensure(), one.is_there)
ip("link", "set", "hub-dummy0", "down")
one.ensure()
print(one.is_there)
"""
    )
    assert told == ["False True True", "False True True", "True"]


def test_interface_that_a_killed_hub_left_is_taken_over_and_removed():
    told = in_own_network(
        """
made()
second = link()
print(second.ensure())
second.remove()
print("hub-dummy0" in names())
"""
    )
    assert told == ["False", "False"]


def test_interface_that_somebody_else_made_is_used_and_stays():
    told = in_own_network(
        """
ip("link", "add", "hub-dummy0", "type", "bridge")
one = made()
one.remove()
print("hub-dummy0" in names(), is_local("169.254.2.1"))
"""
    )
    assert told == ["True True"]


def test_taken_address_is_named_and_nothing_is_left_behind():
    told = in_own_network(
        """
made("other0", "169.254.2.1")
try:
    link().ensure()
except OptionError as exc:
    print(exc)
print("hub-dummy0" in names())
"""
    )
    assert "--dummy-if-ip: 169.254.2.1 is another interface's" in told[0]
    assert "other0" in told[0]
    assert told[-1] == "False"


@pytest.mark.parametrize("address", ["169.254.2.1", "fd00::2:1"])
def test_kernel_without_the_kind_has_the_address_on_its_loopback(address):
    told = in_own_network(
        f"""
def nonsense():
    return link("hub-dummy0", "{address}", "nonsense")
one = nonsense()
print(one.ensure(), one.on, one.is_there, "hub-dummy0" in names())
ip("addr", "flush", "to", "{address}", "dev", "lo")
print(one.is_there, one.ensure())
left = nonsense()  # by a hub that was killed
print(left.ensure(), left.on)
left.remove()
print(is_local("{address}"))
"""
    )
    assert told == ["True lo True False", "False True", "False lo", "False"]


def test_address_that_somebody_else_gave_the_loopback_stays():
    told = in_own_network(
        """
ip("addr", "add", "169.254.2.1/32", "dev", "lo")
try:
    link(kind="nonsense").ensure()
except OptionError as exc:
    print(exc)
print(is_local("169.254.2.1"))
"""
    )
    assert "already: lo" in told[0]
    assert told[-1] == "True"


def test_what_is_being_made_while_the_hub_stops_is_not_left():
    told = in_own_network(
        """
one = made()
one.remove()
print(one.ensure(), "hub-dummy0" in names())
"""
    )
    assert told == ["False False"]


def test_missing_right_is_said_by_the_kernel_itself():
    told = in_own_network(
        """
import ctypes, os
drop_all = ctypes.CDLL(None).prctl
for capability in range(41):
    drop_all(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: the program has none
try:
    link().ensure()
except OptionError as exc:
    print(exc)
"""
    )
    assert "CAP_NET_ADMIN" in told[0]
