# SPDX-License-Identifier: Apache-2.0
"""The embedded API server with the recorded world in it, on a clock of the test's."""

import asyncio
import ssl
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.conformance.exchanges import Exchange, had_by
from tests.conformance.world import Object, told
from toono.testing import APIServer, Storage
from toono.testing.apiserver.access import Access
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.certificates import Authority, Pair
from toono.testing.clock import VirtualClock, settle
from toono.wire.tls import ServerFiles, make_context

ISSUER = "https://kubernetes.default.svc"
CRD_VERSION = 234
"""What the CRD's creation got: what is newer is loaded once the CRD is there."""


class Embedded:
    """`toono.testing.apiserver` as a party of the conversation."""

    def __init__(self) -> None:
        self._clock = VirtualClock()
        self._server = APIServer(Storage(0), clock=self._clock)
        keys = TokenKeys(issuer=ISSUER, algorithm="ES256")
        self._server.authorizer = Access(self._server.storage, keys, clock=self._clock)
        self._clients: dict[str, ssl.SSLContext] = {}
        self._open = ExitStack()
        self._later: list[tuple[str, dict]] = []

    async def __aenter__(self) -> Self:
        for plural, content in told():
            if int(content["metadata"]["resourceVersion"]) < CRD_VERSION:
                self._server.load(plural, content)
            else:
                self._later.append((plural, content))
        directory = self._open.enter_context(TemporaryDirectory())
        authority = Authority(Path(directory))
        self._clients = {
            "": _client(authority, None),
            "admin": _client(authority, authority.user("admin", "system:masters")),
            "edge-1": _client(authority, authority.node("edge-1")),
        }
        await self._server.start(tls=_serving(authority))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.aclose()
        self._open.close()

    async def connect(
        self, exchange: Exchange | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = self._clients[had_by(exchange)]
        return await asyncio.open_connection(
            *self._server.address, ssl=tls, limit=2**20
        )

    def as_sent(self, plural: str, content: Object) -> Object:
        del plural  # stores what it is sent
        return content

    async def let_time_pass(self) -> None:
        await self._clock.advance(0.5)

    async def before(self, name: str) -> None:
        if name == "discovery-api-legacy":
            await settle()
            await self._clock.advance(1)
            for plural, content in self._later:
                self._server.load(plural, content)
        elif name == "watch-rv-expired":
            self._server.storage.narrow()


def _serving(authority: Authority) -> ssl.SSLContext:
    pair = authority.server("127.0.0.1")
    files = ServerFiles(
        certificate=pair.certificate, key=pair.key, client_ca=authority.file
    )
    return make_context(files)


def _client(authority: Authority, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context
