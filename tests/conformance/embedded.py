# SPDX-License-Identifier: Apache-2.0
"""The embedded API server with the recorded world in it, on a clock of the test's."""

import asyncio
from types import TracebackType
from typing import Self

from tests.conformance.exchanges import Exchange
from tests.conformance.world import Object, told
from toono.testing import APIServer, Storage
from toono.testing.clock import VirtualClock, settle

CRD_VERSION = 234
"""What the CRD's creation got: what is newer is loaded once the CRD is there."""


class Embedded:
    """`toono.testing.apiserver` as a party of the conversation."""

    def __init__(self) -> None:
        self._clock = VirtualClock()
        self._server = APIServer(Storage(0), clock=self._clock)
        self._later: list[tuple[str, dict]] = []

    async def __aenter__(self) -> Self:
        for plural, content in told():
            if int(content["metadata"]["resourceVersion"]) < CRD_VERSION:
                self._server.load(plural, content)
            else:
                self._later.append((plural, content))
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.aclose()

    async def connect(
        self, exchange: Exchange | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        del exchange  # knows no identities
        return await asyncio.open_connection(*self._server.address, limit=2**20)

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
