# SPDX-License-Identifier: Apache-2.0
"""The kubelet's calls about its Lease: answered by the hub where it renews itself.

Those that pass are looked at, so that the hub knows the kubelet's own renewals from a
stranger's. Nothing here decides who renews.
"""

from collections.abc import Awaitable, Callable

from toono.autonomy.distribution import Marked, of_agent
from toono.autonomy.renewal import LeaseKeeper
from toono.cache.received import media_type_of
from toono.errors import RequestError
from toono.kube.request import Call
from toono.pipeline import heads
from toono.runtime.clock import Clock
from toono.wire.messages import Body, BytesBody, Headers, Request, Response

MAX_BYTES = 256 * 1024
MAX_AGENTS = 1024
Passing = Callable[[Call, Request], Awaitable[tuple[str, Response]]]


class LeaseGate:
    """Stands before the route for calls that `concerns` is true of."""

    def __init__(self, keeper: LeaseKeeper, clock: Clock) -> None:
        self.keeper = keeper
        self._clock = clock
        self.agents: set[str] = set()
        """Who has been looked at."""

    def concerns(self, call: Call) -> bool:
        """Say whether a call is about this node's Lease."""
        return self.keeper.concerns(call)

    def hear(self, call: Call) -> None:
        """Look at who calls: some agents are known to renew past every hub."""
        agent = call.user_agent
        if agent in self.agents or len(self.agents) > MAX_AGENTS:
            return
        self.agents.add(agent)
        marked = of_agent(agent)
        if marked is not None:
            self.recognised(marked)

    def recognised(self, marked: Marked) -> None:
        """Take that the node is of a distribution that may renew past every hub."""
        now = self._clock.monotonic()
        self.keeper.duty.recognised(now, marked.name, marked.evidence)

    async def __call__(
        self, call: Call, request: Request, passing: Passing
    ) -> tuple[str, Response]:
        """Answer a call of the node's about its Lease, or pass it and look on."""
        if call.verb == "get":
            told = await self.keeper.answer(call, b"")
            return _local(*told) if told else await passing(call, request)
        content = await _read(request.body)
        request.body = BytesBody(content)
        told = await self.keeper.answer(call, content)
        if told is not None:
            return _local(*told)
        status, media_type, answer = 0, "", b""
        try:
            route, response = await passing(call, request)
            status = response.status
            fields = {name.lower(): value for name, value in response.headers}
            media_type = media_type_of(fields)
            if isinstance(response.content, bytes):
                answer = response.content
        finally:
            self.keeper.passed(status, media_type, answer)
        return route, response


def _local(status: int, media_type: str, content: bytes) -> tuple[str, Response]:
    headers: Headers = [
        (b"Cache-Control", b"no-cache, private"),
        (b"Content-Type", media_type.encode()),
        heads.VIA,
        heads.HIT,
    ]
    return "local", Response(status=status, headers=headers, content=content)


async def _read(body: Body) -> bytes:
    pieces, size = [], 0
    while piece := await body.read():
        size += len(piece)
        if size > MAX_BYTES:
            raise RequestError(
                413, "RequestEntityTooLarge", f"a Lease has at most {MAX_BYTES} bytes"
            )
        pieces.append(piece)
    return b"".join(pieces)
