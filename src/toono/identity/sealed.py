# SPDX-License-Identifier: Apache-2.0
"""The node's own key: what is kept of others' tokens is kept under it, and no other way.

AES-256-GCM with the place of the row as associated data, so that no sealed value can
be moved to where it means something else. The key is a file of mode 0600 beside the
database; without it (a copied database, a stolen card with another node's key) what
is sealed is lost, and asked for again. It knows nothing of what it seals.
"""

import hashlib
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

KEY_BYTES = 32
NONCE_BYTES = 12
NAME = "node.key"


class Seal:
    """Seals and opens bytes under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes")
        self._key = key

    @classmethod
    def fleeting(cls) -> "Seal":
        """Return a seal that nobody can open after this process."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def close(self, content: bytes, *, place: bytes) -> bytes:
        """Return `content` sealed for `place`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 12 MB

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, content, place)

    def open(self, sealed: bytes, *, place: bytes) -> bytes | None:
        """Return what was sealed for `place`; None where it is not that, or not ours."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._key).decrypt(nonce, rest, place)
        except (InvalidTag, ValueError):
            return None

    def digest(self, content: bytes) -> bytes:
        """Return a name for `content` that tells nothing of it without the key."""
        return hashlib.blake2b(content, key=self._key, digest_size=16).digest()


def node_seal(directory: Path) -> Seal:
    """Return the seal of the node key in `directory`, made there if there is none.

    Where it can be neither read nor written the seal is fleeting: then tokens do not
    outlive this process, and everything else works.
    """
    path = directory / NAME
    try:
        key = _read(path)
        if key is None:
            key = secrets.token_bytes(KEY_BYTES)
            _write(path, key)
    except OSError as exc:
        log.warning(
            "the node's key cannot be kept: tokens will not outlive a restart",
            extra={"path": str(path), "err": str(exc)},
        )
        return Seal.fleeting()
    return Seal(key)


def _read(path: Path) -> bytes | None:
    """Return the key; None where there is none, or what is there is no key."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        os.fchmod(file, 0o600)
        key = os.read(file, KEY_BYTES + 1)
    finally:
        os.close(file)
    return key if len(key) == KEY_BYTES else None


def _write(path: Path, key: bytes) -> None:
    """Put a key in place whole: a crash leaves the old state or the new one."""
    part = path.with_name(path.name + ".part")
    with suppress(FileNotFoundError):
        part.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(part, flags, 0o600)
    try:
        os.write(file, key)
        os.fsync(file)
    finally:
        os.close(file)
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
