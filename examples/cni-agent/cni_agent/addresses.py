# SPDX-License-Identifier: Apache-2.0
"""Which container has which address: a file each, and a lock for all of a network.

Only the standard library: this is part of the plugin, which runs on the host.
"""

import fcntl
import ipaddress
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NoAddressError(Exception):
    """The range has no address left, or not the one that was asked for."""


class Addresses:
    """The addresses of one network on one node."""

    def __init__(self, directory: Path, range_: Network) -> None:
        self._directory, self._range = directory, range_

    @property
    def gateway(self) -> str:
        """The first address is the node's own."""
        return str(self._range.network_address + 1)

    def allocate(self, owner: str, wanted: str = "") -> str:
        """Return the address of an owner; the one it has, where it has one."""
        with self._locked():
            for address, other in self._held():
                if other == owner and wanted in ("", address):
                    return address
            for address in [wanted] if wanted else self._candidates():
                path = self._directory / address
                if self._is_of_range(address) and not path.exists():
                    path.write_text(owner)
                    return address
        what = f"{wanted} is taken or not of" if wanted else "no address is left in"
        raise NoAddressError(f"{what} {self._range}")

    def of(self, owner: str) -> str:
        """Return the address that an owner has; empty for none."""
        with self._locked():
            return next((a for a, other in self._held() if other == owner), "")

    def release(self, owner: str) -> None:
        """Give back what an owner has; nothing is fine, too."""
        with self._locked():
            for address, other in self._held():
                if other == owner:
                    (self._directory / address).unlink()

    def _held(self) -> list[tuple[str, str]]:
        files = sorted(self._directory.glob("[0-9a-f]*"))
        return [(path.name, path.read_text()) for path in files]

    def _candidates(self) -> Iterator[str]:
        # The network's own address and the gateway's are nobody's.
        return map(str, itertools.islice(self._range.hosts(), 1, None))

    def _is_of_range(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        reserved = (self._range.network_address, self._range.broadcast_address)
        inside = found in self._range and found not in reserved
        return inside and str(found) != self.gateway

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # closing lets go, dying too
            yield
