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


def in_own_network(code: str, *words: object) -> list[str]:
    """Run code as root of a new network namespace; return the lines it prints."""
    command = ["unshare", "--net", "--map-root-user", "--user"]
    allowed = subprocess.run([*command, "ip", "link"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("LOUD: no network namespace, or no ip(8), on this machine")
    done = subprocess.run(
        [*command, sys.executable, "-c", LOOK + code, *map(str, words)],
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


HUB = """
import asyncio, os, signal
from pathlib import Path
from tests.rig import get, hub_over, status_of, until
from toono.app import dummy

dummy.LOOK_SECONDS = 0.05
directory = Path(sys.argv[1])

def running(**settings):
    chosen = {"dummy": link()} | settings
    return hub_over([("127.0.0.1", 9)], directory, **chosen)

def asking():
    return get("/api/v1/pods").replace(b"Connection: close", b"X-More: yes")

async def answered(reader, writer):
    writer.write(asking())
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0]
        await reader.readexactly(int(length))
    return status_of(head)

async def opened(place):
    async with asyncio.timeout(30):
        return await asyncio.open_connection(*place)
"""


def test_interface_taken_from_a_running_hub_is_back_and_no_connection_drops(tmp_path):
    told = in_own_network(
        HUB
        + """
async def go():
    async with running() as hub:
        await until(lambda: len(hub.addresses) == 2, 30)
        kept = [await opened(place) for place in hub.addresses]
        print([await answered(*one) for one in kept])
        for words in (("link", "del"), ("addr", "flush", "dev")):
            ip(*words, "hub-dummy0")
            assert not is_local("169.254.2.1")
            await until(lambda: is_local("169.254.2.1"), 30)
            print([await answered(*one) for one in kept])
            print(await answered(*await opened(hub.addresses[1])))
        assert len(hub.addresses) == 2
    print("hub-dummy0" in names())
asyncio.run(go())
""",
        tmp_path,
    )
    assert told == ["[503, 503]", *["[503, 503]", "503"] * 2, "False"]


def test_hub_takes_over_what_a_killed_one_left_and_removes_it(tmp_path):
    told = in_own_network(
        HUB
        + """
async def killed():
    async with running() as hub:
        await until(lambda: len(hub.addresses) == 2, 30)
        os.kill(os.getpid(), signal.SIGKILL)

async def again():
    async with running() as hub:
        print(len(hub.addresses), hub.board.notes["dummy-interface"]() or "well")

child = os.fork()
if not child:
    asyncio.run(killed())
os.waitpid(child, 0)
print("hub-dummy0" in names())
asyncio.run(again())
print("hub-dummy0" in names())
""",
        tmp_path,
    )
    assert told == ["True", "2 well", "False"]


def test_hub_whose_interface_is_taken_serves_the_node_and_says_it(tmp_path):
    told = in_own_network(
        HUB
        + """
async def go():
    ip("addr", "add", "169.254.2.1/32", "dev", "lo")
    async with running() as hub:
        await until(lambda: hub.board.notes["dummy-interface"](), 30)
        print(hub.board.notes["dummy-interface"]())
        print(await answered(*await opened(hub.addresses[0])), len(hub.addresses))
asyncio.run(go())
""",
        tmp_path,
    )
    assert "--dummy-if-ip: 169.254.2.1 is another interface's" in told[0]
    assert told[1] == "503 1"
