# SPDX-License-Identifier: Apache-2.0
"""The program that makes and removes the interface that pods call, with pyroute2.

It is run for a moment by `wire.dummy`: pyroute2 costs 8 MB and 0.13 s to import, and a
hub that finds its interface needs none of it. What is not ours is never removed: ours
carry a mark that outlives the hub that made them.
"""

import errno
import ipaddress
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from pyroute2 import IPRoute

MARK = "toono: removed when the hub stops"
"""The interface's alias (IFLA_IFALIAS)."""
LABEL, PROTOCOL = "lo:toono", 116
"""Mark an address on the loopback: IPv4 has labels, IPv6 has IFA_PROTO (Linux 5.18)."""
LOOPBACK, LOOPBACK_INDEX = "lo", 1
NO_DETECTION = 0x2
"""An IPv6 address may be used at once: nobody else can have it."""
HAVE, DROP = "have", "drop"


class Told(msgspec.Struct, frozen=True):
    """What became of it."""

    on: str = ""
    """The interface that has the address now; empty: none has."""
    made: bool = False
    """Something was missing."""
    code: int = 0
    """The kernel's error, 0 for none."""
    taken: str = ""
    """The interface of somebody else that has the address."""
    lacks: str = ""
    """The library that is not installed."""


class Entry(Protocol):
    """What the kernel tells of one address."""

    def get_attr(self, name: str) -> object:
        """Return an attribute, None where it has none of this name."""

    def __getitem__(self, name: str) -> int: ...


def have(ip: "IPRoute", name: str, address: str, kind: str) -> Told:
    """Give `address` to an interface `name`, made where there is none."""
    held = _holders(ip, address)
    if LOOPBACK_INDEX in held and _is_marked(held[LOOPBACK_INDEX]):
        return Told(on=LOOPBACK)
    index = _index(ip, name)
    for other in held.keys() - {index}:
        return Told(taken=socket.if_indextoname(other))
    if index is not None:
        return Told(on=name, made=_set_up(ip, index, address, held))
    if not _is_made(ip, name, kind):
        _give(ip, LOOPBACK_INDEX, address, marked=True)
        return Told(on=LOOPBACK, made=True)
    index = _index(ip, name)
    assert index is not None, "it was made a moment ago"
    ip.link("set", index=index, ifalias=MARK)
    _set_up(ip, index, address, held)
    return Told(on=name, made=True)


def drop(ip: "IPRoute", name: str, address: str) -> Told:
    """Remove the interface and the loopback's address, as far as a hub made them."""
    for link in ip.get_links(ifname=name):
        if link.get_attr("IFLA_IFALIAS") == MARK:
            ip.link("del", index=link["index"])
    found = _holders(ip, address).get(LOOPBACK_INDEX)
    if found is not None and _is_marked(found):
        length = found["prefixlen"]
        ip.addr("del", index=LOOPBACK_INDEX, address=address, prefixlen=length)
    return Told()


def _is_made(ip: "IPRoute", name: str, kind: str) -> bool:
    """Make an interface; say whether this kernel has such a kind at all."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        ip.link("add", ifname=name, kind=kind)
    except NetlinkError as exc:
        if exc.code == errno.EOPNOTSUPP:
            return False
        raise
    return True


def _set_up(ip: "IPRoute", index: int, address: str, held: Mapping[int, Entry]) -> bool:
    """Put it up and give it its address; say whether it lacked that."""
    ip.link("set", index=index, state="up")
    if index in held:
        return False
    _give(ip, index, address, marked=False)
    return True


def _give(ip: "IPRoute", index: int, address: str, *, marked: bool) -> None:
    more: dict[str, object] = {"index": index, "address": address}
    if ":" in address:
        more |= {"prefixlen": 128, "flags": NO_DETECTION}
        mark: dict[str, object] = {"proto": PROTOCOL}
    else:
        more |= {"prefixlen": 32}
        mark = {"label": LABEL}
    ip.addr("add", **more, **(mark if marked else {}))


def _is_marked(entry: Entry) -> bool:
    return entry.get_attr("IFA_LABEL") == LABEL or (
        entry.get_attr("IFA_PROTO") == PROTOCOL
    )


def _index(ip: "IPRoute", name: str) -> int | None:
    for index in ip.link_lookup(ifname=name):
        return int(index)
    return None


def _holders(ip: "IPRoute", address: str) -> dict[int, Entry]:
    """Return the kernel's entries of an address, by the interface that has it."""
    wanted = ipaddress.ip_address(address)
    family = socket.AF_INET if wanted.version == 4 else socket.AF_INET6
    found = {}
    for one in ip.get_addr(family=family):
        text = one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS")
        if text and ipaddress.ip_address(text) == wanted:
            found[one["index"]] = one
    return found


def run(what: str, name: str, address: str, kind: str) -> Told:
    """Do it in this process; what the kernel refuses is told, too."""
    try:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError
    except ImportError as exc:
        return Told(lacks=str(exc.name))
    try:
        with IPRoute() as ip:
            return (
                have(ip, name, address, kind)
                if what == HAVE
                else drop(ip, name, address)
            )
    except NetlinkError as exc:
        return Told(code=exc.code)
    except OSError as exc:  # no netlink at all, as in a strict sandbox
        return Told(code=exc.errno or errno.EIO)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(run(*sys.argv[1:5])))
