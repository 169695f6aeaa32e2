# SPDX-License-Identifier: Apache-2.0
"""TLS contexts from files, made anew when the files change.

A new file that cannot be used is told once and the old context stays: a rotation that
went wrong must not cut off a node that works.
"""

import asyncio
import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from toono.runtime.clock import Clock
from toono.wire.messages import Peer

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFiles:
    """What the hub shows and believes as a client; None: no client certificate."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    awaited: bool = False
    """The certificate may not be there yet: until it is, none is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFiles:
    """What the hub shows and believes as a server."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """Verifies client certificates, which stay optional."""


class Contexts:
    """The current context of a set of files; OSError or ssl.SSLError at the start."""

    def __init__(self, files: ClientFiles | ServerFiles, *, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._signature = _signature(files)
        self._context = make_context(files)
        self._looked_at = clock.monotonic()
        self.changes = 0

    def look_again(self) -> None:
        """The files have changed, by who says so: the next `current` looks at them."""
        self._looked_at = float("-inf")

    def current(self) -> ssl.SSLContext:
        """Return the context of the files as they are, looked at once a second."""
        now = self._clock.monotonic()
        if now - self._looked_at < POLL_SECONDS:
            return self._context
        self._looked_at = now
        signature = _signature(self._files)
        if signature == self._signature:
            return self._context
        self._signature = signature
        try:
            self._context = make_context(self._files)
            self.changes += 1
        except (OSError, ssl.SSLError) as exc:
            log.warning(
                "a changed certificate cannot be used; the old one stays",
                extra={"files": str(self._files), "err": str(exc)},
            )
        return self._context


def make_context(files: ClientFiles | ServerFiles) -> ssl.SSLContext:
    """Return a context that believes the given files and nothing else.

    Unlike `ssl.create_default_context` it reads no system roots and no environment
    (SSLKEYLOGFILE would write every secret to a file).
    """
    if isinstance(files, ServerFiles):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if files.client_ca is not None:
            context.load_verify_locations(cafile=files.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=files.ca)
        if files.certificate is not None and _is_there(files):
            context.load_cert_chain(files.certificate, files.key)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_there(files: ClientFiles) -> bool:
    """Whether to load the certificate; only one that is awaited may be unusable."""
    if not files.awaited or files.certificate is None:
        return True
    try:
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trial.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError):
        return False
    return True


def peer_of(transport: asyncio.BaseTransport, *, number: int, tls: bool) -> Peer:
    """Return who is at the other end of a connection that was accepted."""
    return Peer(
        connection=number,
        local=(transport.get_extra_info("sockname") or ("", 0))[:2],
        remote=(transport.get_extra_info("peername") or ("", 0))[:2],
        certificate=peer_certificate(transport),
        tls=tls,
    )


def peer_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """Return the verified certificate of the peer (DER), None where it showed none."""
    tls = transport.get_extra_info("ssl_object")
    if isinstance(tls, ssl.SSLObject):
        return tls.getpeercert(binary_form=True)
    return None


def _signature(files: ClientFiles | ServerFiles) -> Signature:
    paths: tuple[Path | None, ...]
    if isinstance(files, ServerFiles):
        paths = (files.certificate, files.key, files.client_ca)
    else:
        paths = (files.ca, files.certificate, files.key)
    found = []
    for path in paths:
        if path is not None:
            try:
                stat = os.stat(path)
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                found.append((0, 0, 0))
    return tuple(found)
