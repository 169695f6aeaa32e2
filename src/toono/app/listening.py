# SPDX-License-Identifier: Apache-2.0
"""Binds listeners; one that cannot be bound names the option that chose it."""

import asyncio
import logging
import ssl

from toono.app.settings import HubSettings
from toono.certs.files import Held, read_held
from toono.certs.serving import serving_context, warn_of_problems
from toono.errors import OptionError
from toono.runtime.clock import Clock
from toono.wire.server import Server
from toono.wire.sockets import why_not_bound

log = logging.getLogger(__name__)

Listening = tuple[str, int]


async def listen(
    server: Server,
    host: str,
    port: int,
    option: str,
    *,
    tls: ssl.SSLContext | None = None,
) -> Listening:
    """Bind one listener; return host and port. OptionError says what is in the way."""
    try:
        return await server.start(host, port, tls=tls)
    except OSError as exc:
        raise OptionError(
            option,
            f"{host}:{port} cannot be listened on: {why_not_bound(exc)}",
            "stop what uses it, or choose another port",
        ) from exc


async def listen_to_node(server: Server, settings: HubSettings) -> list[Listening]:
    """Listen where the node's own programs call, without TLS."""
    return [
        await listen(server, host, port, "--proxy-port")
        for host, port in settings.listen
    ]


class PodsDoor:
    """The listeners for pods, over TLS: open as soon as there is a certificate.

    Later certificates are followed by each handshake (`certs.serving`); listeners and
    connections stay.
    """

    def __init__(self, server: Server, settings: HubSettings, *, clock: Clock) -> None:
        self._server, self._settings, self._clock = server, settings, clock
        kept = settings.certificates
        self._awaits = kept is not None and kept.serving
        self.bound: list[Listening] = []
        self.problem = ""

    async def open(self) -> None:
        """Listen where a certificate is at hand; one that was given must be."""
        files = self._settings.serving
        if files is None or self.bound:
            return
        if self._awaits:
            found = await asyncio.to_thread(read_held, files.certificate)
            if not isinstance(found, Held):
                return
        tls = serving_context(files, clock=self._clock)
        for host, port in self._settings.listen_tls:
            warn_of_problems(files, address=host, now=self._clock.wall())
            self.bound.append(
                await listen(self._server, host, port, "--proxy-secure-port", tls=tls)
            )

    async def certificate_changed(self) -> None:
        """There is a new certificate, perhaps the first."""
        files = self._settings.serving
        if self.bound and files is not None:
            for host, _ in self.bound:
                warn_of_problems(files, address=host, now=self._clock.wall())
            return
        try:
            await self.open()
            self.problem = ""
        except OptionError as exc:  # the hub works on: pods alone miss it
            self.problem = str(exc)
            log.error("pods cannot reach this hub", extra={"why": self.problem})
            return
        addresses = [f"{host}:{port}" for host, port in self.bound]
        log.info("serving pods", extra={"addresses": addresses})
