# SPDX-License-Identifier: Apache-2.0
"""An interface of this node's own with one address that pods call.

Its address is the same on every node and leaves none: pods call it, nobody outside can.
Whether it is there costs some microseconds to see; it is made and removed by a program
of its own (`wire.links`), so that a running hub carries none of what that takes.
"""

import errno
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

import msgspec

from toono.errors import OptionError
from toono.wire.links import DROP, HAVE, Told

SECONDS = 20.0
"""For the program; it takes 0.3."""
ANY_PORT = 9
OFF = "--enable-dummy-if=false"

_told = msgspec.json.Decoder(Told).decode


@dataclass(slots=True)
class DummyLink:
    """The interface `name` with `address`; `kind` is the kernel's word for its type."""

    name: str
    address: str
    kind: str = "dummy"
    on: str = field(default="", init=False)
    """What has the address; the loopback where the kernel has no such kind."""
    _removed: bool = field(default=False, init=False)
    _one: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    """Threads call: what is being made while the hub stops is removed after it."""

    @property
    def is_there(self) -> bool:
        """Say whether interface and address are there; nothing is changed or waited for."""
        with suppress(OSError):
            socket.if_nametoindex(self.on or self.name)
            return is_local(self.address)
        return False

    def ensure(self) -> bool:
        """Have interface and address; say whether anything had to be made.

        OptionError says what is in the way. This blocks where something is missing.
        """
        if self.is_there:
            self.on = self.on or self.name
            return False
        with self._one:
            if self._removed:
                return False
            told = _run(HAVE, self)
            self.on = told.on or self.on
        if not told.on:
            raise self._refused(told)
        return told.made

    def remove(self) -> None:
        """Take it away if a hub made it, this or one that was killed. This blocks."""
        with self._one:
            self._removed = True
            if self.on:
                _run(DROP, self)

    def _refused(self, told: Told) -> OptionError:
        if told.taken:
            return OptionError(
                "--dummy-if-ip",
                f"{self.address} is another interface's of this machine already:"
                f" {told.taken}",
                "choose another address, or give it up there",
            )
        if told.lacks:
            why, remedy = f"{told.lacks} is not installed", f"install it, or give {OFF}"
        elif told.code in (errno.EPERM, errno.EACCES):
            why = os.strerror(told.code)
            remedy = f"give the hub CAP_NET_ADMIN, or {OFF}"
        else:
            why, remedy = os.strerror(told.code), f"make it by hand, or give {OFF}"
        problem = f"{self.name} cannot be made: {why}"
        return OptionError("--enable-dummy-if", problem, remedy)


def is_local(address: str) -> bool:
    """Say whether an address is this machine's: only then packets to it come from it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked, suppress(OSError):
        asked.connect((address, ANY_PORT))
        return bool(asked.getsockname()[0] == address)
    return False


def _run(what: str, link: DummyLink) -> Told:
    flags = ["-I"] if sys.flags.isolated else ["-P"]
    named = [what, link.name, link.address, link.kind]
    try:
        done = subprocess.run(  # noqa: S603 - this very program, without a shell
            [sys.executable, *flags, "-m", "toono.wire.links", *named],
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
        return _told(done.stdout)
    except OSError as exc:
        return Told(code=exc.errno or errno.EIO)
    except subprocess.TimeoutExpired:
        return Told(code=errno.ETIMEDOUT)
    except (subprocess.CalledProcessError, msgspec.MsgspecError):
        return Told(code=errno.EIO)
