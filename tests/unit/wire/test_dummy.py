# SPDX-License-Identifier: Apache-2.0
"""An interface in a network of the test's own: this machine's is not touched.

Kernels without the type `dummy` are asked for a bridge instead; the messages are the same.
"""

import os
import subprocess
import sys

import pytest

from toono.errors import OptionError
from toono.wire.dummy import DummyLink

LOOK = """
import socket, sys
from toono.wire import dummy
from toono.errors import OptionError

def link(name, address):
    try:
        made = dummy.DummyLink(name, address)
        made.ensure()
        return made
    except OptionError as exc:
        if "module dummy" not in str(exc):
            raise
        made = dummy.DummyLink(name, address, kind="bridge")
        made.ensure()
        return made

def names():
    return {name for _, name in socket.if_nameindex()}

def held(address):
    return bool(dummy.holders(address))
"""


def in_own_network(code: str) -> str:
    """Run code as root of a new network namespace; return what it prints."""
    command = ["unshare", "--net", "--map-root-user", "--user"]
    allowed = subprocess.run([*command, "true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("NOT RUN: this machine lets nobody make a network namespace")
    done = subprocess.run(
        [*command, sys.executable, "-c", LOOK + code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("address", ["169.254.2.1", "fd00::2:1"])
def test_interface_has_its_address_until_it_is_removed(address):
    told = in_own_network(
        f"""
one = link("hub-dummy0", "{address}")
print("hub-dummy0" in names(), held("{address}"), one.ensure())
one.remove()
print("hub-dummy0" in names(), held("{address}"))
one.remove()
"""
    )
    assert told.splitlines() == ["True True False", "False False"]


def test_interface_that_somebody_took_away_is_made_again():
    told = in_own_network(
        """
one = link("hub-dummy0", "169.254.2.1")
other = dummy.DummyLink("hub-dummy0", "169.254.2.1")
other.made = True
other.remove()
print(held("169.254.2.1"), one.ensure(), held("169.254.2.1"))
"""
    )
    assert told.split() == ["False", "True", "True"]


def test_interface_of_somebody_else_s_is_used_and_stays():
    told = in_own_network(
        """
first = link("hub-dummy0", "169.254.2.1")
second = dummy.DummyLink("hub-dummy0", "169.254.2.1")
print(second.ensure())
second.remove()
print("hub-dummy0" in names())
"""
    )
    assert told.split() == ["False", "True"]


def test_taken_address_is_named_and_nothing_is_left_behind():
    told = in_own_network(
        """
link("other0", "169.254.2.1")
try:
    link("hub-dummy0", "169.254.2.1")
except OptionError as exc:
    print(exc)
print("hub-dummy0" in names())
"""
    )
    assert "--dummy-if-ip: 169.254.2.1 is another interface's" in told
    assert told.split()[-1] == "False"


def test_missing_right_or_type_is_said_with_what_to_do(monkeypatch):
    def refuse(*_) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("toono.wire.dummy._ask", refuse)
    with pytest.raises(OptionError, match="CAP_NET_ADMIN"):
        DummyLink("no-such-link0", "169.254.2.1").ensure()


def test_type_that_the_kernel_lacks_is_said():
    told = in_own_network(
        """
try:
    dummy.DummyLink("x0", "169.254.2.1", kind="nonsense").ensure()
except OptionError as exc:
    print(exc)
"""
    )
    assert "load the kernel's module dummy" in told
