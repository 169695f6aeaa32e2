# SPDX-License-Identifier: Apache-2.0
"""An interface of this node's own with one address, by rtnetlink (rtnetlink(7)).

Its address is the same on every node and leaves none: pods call it, nobody outside can.
Four messages are spoken here rather than by a library, which would cost more memory
than the whole of the hub's certificates. What is not ours is never changed or removed.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from toono.errors import OptionError

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
NEWLINK, DELLINK, NEWADDR, GETADDR, ERROR = 16, 17, 20, 22, 2
REQUEST, ACK, EXCLUSIVE, DUMP, CREATE = 0x1, 0x4, 0x200, 0x300, 0x400
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 18, 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFF_UP, NO_DETECTION = 0x1, 0x2
"""NO_DETECTION: an IPv6 address may be used at once, nobody else can have it."""


@dataclass(slots=True)
class DummyLink:
    """The interface `name` with `address`; `kind` is the kernel's word for its type."""

    name: str
    address: str
    kind: str = "dummy"
    made: bool = field(default=False, init=False)

    def ensure(self) -> bool:
        """Have interface and address; say whether anything had to be made.

        OptionError says what is in the way. Calling it again costs some microseconds.
        """
        changed = not self._exists()
        if changed:
            self._make()
        try:
            return self._set_up() or changed
        except OptionError:
            self.remove()
            raise

    def remove(self) -> None:
        """Take the interface away, if this object made it."""
        if not self.made:
            return
        self.made = False
        with suppress(OSError):
            index = socket.if_nametoindex(self.name)
            _ask(DELLINK, _LINK.pack(0, 0, index, 0, 0))

    def _exists(self) -> bool:
        try:
            socket.if_nametoindex(self.name)
        except OSError:
            return False
        return True

    def _make(self) -> None:
        kind = _attribute(IFLA_INFO_KIND, self.kind.encode())
        body = _LINK.pack(0, 0, 0, 0, 0)
        body += _attribute(IFLA_IFNAME, self.name.encode() + b"\0")
        body += _attribute(IFLA_LINKINFO, kind)
        try:
            _ask(NEWLINK, body, CREATE | EXCLUSIVE)
        except OSError as exc:
            raise self._refused(exc) from exc
        self.made = True

    def _set_up(self) -> bool:
        """Give it its address and put it up; say whether it lacked the address."""
        try:
            index = socket.if_nametoindex(self.name)
            if holders(self.address) - {index}:
                raise OptionError(
                    "--dummy-if-ip",
                    f"{self.address} is another interface's of this machine already",
                    "choose another address, or give it up there",
                )
            lacked = self._add(index)
            _ask(NEWLINK, _LINK.pack(0, 0, index, IFF_UP, IFF_UP))
        except OSError as exc:
            raise self._refused(exc) from exc
        return lacked

    def _add(self, index: int) -> bool:
        v6 = ":" in self.address
        family = socket.AF_INET6 if v6 else socket.AF_INET
        raw = socket.inet_pton(family, self.address)
        body = _ADDRESS.pack(family, len(raw) * 8, NO_DETECTION if v6 else 0, 0, index)
        body += _attribute(IFA_LOCAL, raw) + _attribute(IFA_ADDRESS, raw)
        try:
            _ask(NEWADDR, body, CREATE | EXCLUSIVE)
        except FileExistsError:
            return False
        return True

    def _refused(self, failure: OSError) -> OptionError:
        why = f"{self.name} cannot be made: {failure.strerror}"
        if isinstance(failure, PermissionError):
            remedy = "give the hub CAP_NET_ADMIN, or --enable-dummy-if=false"
        elif failure.errno == errno.EOPNOTSUPP:
            remedy = "load the kernel's module dummy, or give --enable-dummy-if=false"
        else:
            remedy = "make it by hand, or give --enable-dummy-if=false"
        return OptionError("--enable-dummy-if", why, remedy)


def holders(address: str) -> set[int]:
    """Return the interfaces, by number, that have an address."""
    v6 = ":" in address
    family = socket.AF_INET6 if v6 else socket.AF_INET
    raw = socket.inet_pton(family, address)
    found: set[int] = set()
    body = _ADDRESS.pack(family, 0, 0, 0, 0)
    header = _HEADER.pack(_HEADER.size + len(body), GETADDR, REQUEST | DUMP, 1, 0)
    with _netlink() as netlink:
        netlink.send(header + body)
        while True:
            for kind, content in _messages(netlink.recv(65536)):
                if kind != NEWADDR:
                    return found
                index = _ADDRESS.unpack_from(content)[4]
                if raw in _values(content[_ADDRESS.size :], IFA_LOCAL, IFA_ADDRESS):
                    found.add(index)


def _messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    while len(answer) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(answer)
        if length < _HEADER.size:
            return
        yield kind, answer[_HEADER.size : length]
        answer = answer[(length + 3) & ~3 :]


def _values(attributes: bytes, *kinds: int) -> Iterator[bytes]:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if length < _ATTRIBUTE.size:
            return
        if kind in kinds:
            yield attributes[_ATTRIBUTE.size : length]
        attributes = attributes[(length + 3) & ~3 :]


def _netlink() -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    netlink.settimeout(1.0)
    return netlink


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def _ask(kind: int, body: bytes, flags: int = 0) -> None:
    """Send one message and wait for its acknowledgement; OSError with its errno."""
    header = _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | ACK | flags, 1, 0)
    with _netlink() as netlink:
        netlink.send(header + body)
        answer = netlink.recv(8192)
    _, told, _, _, _ = _HEADER.unpack_from(answer)
    (code,) = struct.unpack_from("=i", answer, _HEADER.size)
    if told != ERROR or code == 0:
        return
    raise OSError(-code, os.strerror(-code))
