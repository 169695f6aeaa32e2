# SPDX-License-Identifier: Apache-2.0
"""What the tree holds, by its writer: questions, their versions, and a sum of each file.

The manifest is written after the files it names are on the disk, so a file may be
newer than it says and never older: one that is there, at the version named, with
another sum, is damaged. What it does not name was written since, or by YurtHub.

The tree lags behind the database: what a question is told to have held, it held at the
version that stands beside it. Its files prove it only if all are there as noted.
"""

import zlib
from typing import Literal

import msgspec

from toono.cache.scope import Question
from toono.codec.base import Style
from toono.kube.names import newer

NAME = "scopes.json"
FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024


class FileFact(msgspec.Struct, array_like=True, frozen=True):
    """One file as it was written, and which state of its object it holds."""

    crc: int
    size: int
    uid: str
    resource_version: str
    epoch: int

    @property
    def state(self) -> tuple[int, str, str]:
        """Equal for equal states of one object."""
        return (self.epoch, self.uid, self.resource_version)


class ScopeFact(msgspec.Struct, frozen=True, kw_only=True):
    """A question when its files were written: it had `count` objects at `version`."""

    question: Question
    kind: str
    list_kind: str
    api_version: str = ""
    style: Style = "typed"
    version: int
    epoch: int
    complete: bool
    count: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `files` is by folder and by path below it, parts joined with /."""

    scopes: tuple[ScopeFact, ...] = ()
    files: dict[str, dict[str, FileFact]] = {}


class _Sealed(msgspec.Struct, frozen=True):
    format: Literal[1]
    crc32: int
    content: msgspec.Raw


_decode_sealed = msgspec.json.Decoder(_Sealed).decode
_decode = msgspec.json.Decoder(Manifest).decode


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as its file holds it."""
    content = msgspec.json.encode(manifest)
    return b'{"format":%d,"crc32":%d,"content":%b}\n' % (
        FORMAT,
        zlib.crc32(content),
        content,
    )


def decode(content: bytes) -> Manifest | None:
    """Read what `encode` wrote; None where it is torn, or of another format."""
    try:
        sealed = _decode_sealed(content)
        inner = bytes(sealed.content)
        return _decode(inner) if zlib.crc32(inner) == sealed.crc32 else None
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None


def is_sound(fact: FileFact | None, content: bytes, resource_version: str) -> bool:
    """Say whether a file that parses may be shown, by what the manifest says of it."""
    if fact is None or (fact.crc, fact.size) == (zlib.crc32(content), len(content)):
        return True
    return newer(resource_version, fact.resource_version)
