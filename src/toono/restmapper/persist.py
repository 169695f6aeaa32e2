# SPDX-License-Identifier: Apache-2.0
"""The mapper's own file: what discovery said, kept across restarts and power cuts.

One file per cluster: documents as they came, with their ETags, and what was learned
besides. Written whole, then renamed; read only if its checksum holds and it belongs to
this cluster. Whatever is wrong with it costs what it held, never a start.
"""

import hashlib
import logging
import os
import secrets
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from toono.restmapper.values import APIResource, GroupVersion

log = logging.getLogger(__name__)

MAGIC = b"toono.restmapper 1\n"
DIGEST_BYTES = hashlib.sha256().digest_size
MAX_FILE_BYTES = 256 << 20


class KeptPage(msgspec.Struct, frozen=True):
    """One document as it came."""

    path: str
    group: str
    version: str
    """Of the page, "" for roots and groups."""
    media_type: str
    etag: str
    body: bytes


class KeptRow(msgspec.Struct, frozen=True):
    """One resource that was learned and that no document showed yet."""

    gv: GroupVersion
    plural: str
    resource: APIResource


class Kept(msgspec.Struct, frozen=True):
    """All that the file holds."""

    identity: str
    version: bytes
    """The body of /version, b"" if it was never seen."""
    plain: bool
    """The server refused the aggregated form."""
    pages: tuple[KeptPage, ...]
    rows: tuple[KeptRow, ...] = ()


_decoder = msgspec.msgpack.Decoder(Kept)


def write(path: Path, kept: Kept) -> None:
    """Replace the file; after a power cut the old or the new one is there, whole.

    Blocks on the disk: call it in a thread. Raises OSError.
    """
    content = MAGIC + zlib.compress(msgspec.msgpack.encode(kept), 6)
    replace_file(path, content + hashlib.sha256(content).digest())


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write beside, sync, rename over, sync the directory."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, identity: str) -> Kept | None:
    """What the file holds for this cluster; None for whatever is not that."""
    try:
        _sweep(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("too large")
        content = path.read_bytes()
        kept = _checked(content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, zlib.error, msgspec.DecodeError) as exc:
        log.warning(
            "kept discovery cannot be used; starting without it",
            extra={"file": str(path), "reason": str(exc)},
        )
        return None
    if kept.identity != identity:
        log.warning(
            "kept discovery is of another cluster; starting without it",
            extra={"file": str(path)},
        )
        return None
    return kept


def identity_in(path: Path) -> str | None:
    """Whose file it is, for who wants to read any; None where it is not sound."""
    try:
        return _checked(path.read_bytes()).identity
    except (OSError, ValueError, zlib.error, msgspec.DecodeError):
        return None


def _checked(content: bytes) -> Kept:
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if not body.startswith(MAGIC):
        raise ValueError("not a file of this mapper")
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("the checksum does not hold")
    return _decoder.decode(zlib.decompress(body[len(MAGIC) :]))


def _sweep(path: Path) -> None:
    """Remove what a write that was cut off left behind."""
    leftovers: Sequence[Path] = list(path.parent.glob(f".{path.name}.*.new"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)


def identity_of(certificate_authority: bytes) -> str:
    """A cluster's identity out of its CA certificate: names and addresses change."""
    return hashlib.sha256(certificate_authority).hexdigest()
