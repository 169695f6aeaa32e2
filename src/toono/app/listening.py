# SPDX-License-Identifier: Apache-2.0
"""Binds listeners; one that cannot be bound names the option that chose it."""

import os
import ssl

from toono.app.settings import HubSettings
from toono.certs.serving import serving_context, warn_of_problems
from toono.errors import OptionError
from toono.runtime.clock import Clock
from toono.wire.server import Server
from toono.wire.tls import ServerFiles

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
            f"{host}:{port} cannot be listened on: {_reason(exc)}",
            "stop what uses it, or choose another port",
        ) from exc


def _reason(exc: OSError) -> str:
    """Return the system's words; asyncio's own repeat the address."""
    known = exc.errno is not None and exc.errno > 0  # a resolver's codes are negative
    return os.strerror(exc.errno).lower() if known else str(exc.strerror or exc)


async def listen_to_node(server: Server, settings: HubSettings) -> list[Listening]:
    """Listen where the node's own programs call, without TLS."""
    return [
        await listen(server, host, port, "--proxy-port")
        for host, port in settings.listen
    ]


async def listen_to_pods(
    server: Server, settings: HubSettings, files: ServerFiles, *, clock: Clock
) -> list[Listening]:
    """Listen with TLS; what pods would find wrong with it is said first."""
    tls = serving_context(files, clock=clock)
    bound = []
    for host, port in settings.listen_tls:
        warn_of_problems(files, address=host, now=clock.wall())
        bound.append(await listen(server, host, port, "--proxy-secure-port", tls=tls))
    return bound
