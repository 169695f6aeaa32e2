# SPDX-License-Identifier: Apache-2.0
"""Binds listeners; one that cannot be bound names the option that chose it."""

import asyncio
import logging
import ssl

from toono.app.board import Board
from toono.app.dummy import Kept
from toono.app.settings import HubSettings
from toono.certs.files import Held, read_held
from toono.certs.serving import serving_context, warn_of_problems
from toono.errors import OptionError
from toono.identity.sockets import user_of
from toono.pipeline.chain import refuse
from toono.runtime.clock import Clock
from toono.wire.server import Handler, Server
from toono.wire.sockets import why_not_bound

log = logging.getLogger(__name__)

Listening = tuple[str, int]


def server_of(settings: HubSettings, handler: Handler, *, clock: Clock) -> Server:
    """Return what serves the node's programs and the pods; it listens nowhere yet."""

    def user(client: Listening, server: Listening) -> str:
        try:
            uid = user_of(client, server)
        except (OSError, ValueError):
            return ""  # the kernel does not say: all of this machine are one
        return "" if uid in settings.node_uids else f"user {uid}"

    return Server(handler, refuse=refuse, clock=clock, user_of=user)


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

    def __init__(
        self, server: Server, settings: HubSettings, board: Board, *, clock: Clock
    ) -> None:
        self._server, self._settings, self._clock = server, settings, clock
        self._board = board
        kept = settings.certificates
        self._awaits = kept is not None and kept.serving
        self._waiting = list(settings.listen_tls)
        """What is not bound yet."""
        self.bound: list[Listening] = []
        self.problem = ""
        board.notes["pods-door"] = lambda: self.problem

    async def open(self) -> None:
        """Listen where a certificate is at hand; one that was given must be."""
        files = self._settings.serving
        if files is None or not self._waiting:
            return
        if self._awaits:
            found = await asyncio.to_thread(read_held, files.certificate)
            if not isinstance(found, Held):
                return
        tls = serving_context(files, clock=self._clock)
        for host, port in list(self._waiting):
            warn_of_problems(files, address=host, now=self._clock.wall())
            self.bound.append(
                await listen(self._server, host, port, "--proxy-secure-port", tls=tls)
            )
            self._waiting.remove((host, port))
            self._tell(host)

    def _tell(self, host: str) -> None:
        door = self._settings.surroundings.door
        if door is not None and door.host == host:
            self._board.tell_door(opened=True)

    async def add(self, host: str) -> None:
        """Listen on one more address, now or once there is a certificate."""
        places = self._settings.listen_tls
        if places and host not in {known for known, _ in places}:
            self._waiting.append((host, places[0][1]))
            await self._try()

    async def certificate_changed(self) -> None:
        """There is a new certificate, perhaps the first."""
        files = self._settings.serving
        if files is None:
            return
        for host, _ in self.bound:
            warn_of_problems(files, address=host, now=self._clock.wall())
        await self._try()

    async def _try(self) -> None:
        before = len(self.bound)
        try:
            await self.open()
            self.problem = ""
        except OptionError as exc:  # the hub works on: pods alone miss it
            self.problem = str(exc)
            log.error("pods cannot reach this hub", extra={"why": self.problem})
        addresses = [f"{host}:{port}" for host, port in self.bound[before:]]
        if addresses:
            log.info("serving pods", extra={"addresses": addresses})


async def listen_on_dummy(
    kept: Kept,
    server: Server,
    settings: HubSettings,
    addresses: list[Listening],
    door: PodsDoor,
) -> None:
    """Listen on the interface's address, too, as soon as it is there."""
    host = kept.link.address
    bound = {known for known, _ in settings.listen}

    async def arrived() -> None:
        if host in bound:
            return
        if settings.listen:
            port = settings.listen[0][1]
            addresses.append(await listen(server, host, port, "--proxy-port"))
        bound.add(host)
        await door.add(host)

    await kept.start(arrived)
