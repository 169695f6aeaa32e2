# SPDX-License-Identifier: Apache-2.0
"""Who owns the other end of a loopback connection: asked of the kernel.

NETLINK_SOCK_DIAG (sock_diag(7)) answers for one exact connection with its owner's
uid, its inode and its control group's number; the group's path comes from the cgroup2
mount, or, where the machine has cgroup v1 beside it, from the processes that hold the
socket. Whatever cannot be found out is an error, and an error means no.
"""

import os
import socket
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from toono.identity.holders import PROC, Holders

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
INET_DIAG_CGROUP_ID = 21
ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_MESSAGE = struct.Struct("=BBBB")
_ATTRIBUTE = struct.Struct("=HH")
CGROUP = Path("/sys/fs/cgroup")

Address = tuple[str, int]


class Owner(NamedTuple):
    """Who holds a socket."""

    uid: int
    cgroups: frozenset[str]
    """Paths of the control groups, in every hierarchy, of the processes with it: of all
    that may not be the node, and where there is none of one."""


class SocketLookupError(OSError):
    """The kernel did not say whose socket it is."""


Lookup = Callable[[Address, Address, frozenset[int]], Owner]
"""(client's end, server's end, users whose groups matter) → who holds it"""


class Sockets:
    """Asks who owns a connection, from any thread."""

    def __init__(self, *, proc: Path = PROC) -> None:
        self._holders = Holders(proc=proc)

    def __call__(self, client: Address, server: Address, uids: frozenset[int]) -> Owner:
        """Return who holds the client's end; SocketLookupError if unsure.

        Groups of other users than `uids` are not looked for: that may cost 10 ms,
        which nobody else shall make us spend for each connection that he opens.
        """
        uid, inode, group = _ask(client, server)
        if uid not in uids:
            return Owner(uid, frozenset())
        path = _unified_path(group)
        if path is not None and path != "/":
            return Owner(uid, frozenset({path}))
        return Owner(uid, self._groups_of_holders(inode))

    def _groups_of_holders(self, inode: int) -> frozenset[str]:
        """Return the groups of who holds the socket, by /proc."""
        if inode == 0:
            raise SocketLookupError("nobody holds the socket any more")
        groups: set[str] = set()
        for pid in self._holders.of(inode):
            groups.update(_groups_of(pid))
        if not groups:
            raise SocketLookupError("no process is seen to hold the socket")
        return frozenset(groups)


def owner_of(client: Address, server: Address, uids: frozenset[int]) -> Owner:
    """Return who holds the client's end of one connection, looked up by itself."""
    return Sockets()(client, server, uids)


def user_of(client: Address, server: Address) -> int:
    """Return the user of the client's end alone, which one question to the kernel says.

    It takes as long as accepting the connection did, and waits for nobody.
    """
    return _ask(client, server)[0]


def _ask(client: Address, server: Address) -> tuple[int, int, int]:
    v6 = ":" in client[0]
    family = socket.AF_INET6 if v6 else socket.AF_INET
    source = socket.inet_pton(family, client[0]).ljust(16, b"\0")
    target = socket.inet_pton(family, server[0]).ljust(16, b"\0")
    ports = struct.pack(">HH", client[1], server[1])
    identity = ports + source + target + struct.pack("=I", 0) + b"\xff" * 8
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0xFF, 0, ALL_STATES) + identity
    header = _HEADER.pack(
        _HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0
    )
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG
    ) as netlink:
        netlink.settimeout(1.0)
        netlink.send(header + request)
        answer = netlink.recv(8192)
    return _read(answer, ports, source, target)


def _read(
    answer: bytes, ports: bytes, source: bytes, target: bytes
) -> tuple[int, int, int]:
    if len(answer) < _HEADER.size:
        raise SocketLookupError("the kernel's answer is too short")
    length, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != SOCK_DIAG_BY_FAMILY or length > len(answer):
        raise SocketLookupError("the kernel knows no such connection")
    body = answer[_HEADER.size : length]
    base = _MESSAGE.size
    found = body[base : base + 36]
    if found != ports + source + target:
        raise SocketLookupError("the kernel answered for another connection")
    tail = base + 48  # after the socket's identity: expires, queues, uid, inode
    _, _, _, uid, inode = struct.unpack_from("=IIIII", body, tail)
    return uid, inode, _cgroup_id(body[tail + 20 :])


def _cgroup_id(attributes: bytes) -> int:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if length < _ATTRIBUTE.size:
            break
        if kind == INET_DIAG_CGROUP_ID and length >= 12:
            return int(struct.unpack_from("=Q", attributes, 4)[0])
        attributes = attributes[(length + 3) & ~3 :]
    return 0


def _unified_path(group: int) -> str | None:
    """Return the path of a cgroup v2 group by its number (its directory's inode)."""
    if group == 0 or not (CGROUP / "cgroup.controllers").exists():
        return None
    return _path_of(CGROUP, group)


@lru_cache(maxsize=1024)
def _path_of(top: Path, group: int) -> str:
    """Find a group; the kernel gives no number twice, and moves none (cgroups(7))."""
    if os.stat(top).st_ino == group:
        return "/"
    for directory, names, _ in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            try:
                if os.stat(path).st_ino == group:
                    return "/" + os.path.relpath(path, top)
            except OSError:
                continue  # a pod ended meanwhile
    raise SocketLookupError("the socket's control group is gone")


def _groups_of(pid: str) -> set[str]:
    text = Path(f"{PROC}/{pid}/cgroup").read_text()
    groups = {
        line.split(":", 2)[2] for line in text.splitlines() if line.count(":") > 1
    }
    if not groups:
        raise SocketLookupError(f"process {pid} shows no control group")
    return groups
