# SPDX-License-Identifier: Apache-2.0
"""The mapper over toono's own client, or any other whose bodies are read in pieces.

    async def send(target, headers):
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        return await origin.send("GET", target.encode(), fields, None, credential=None)

    async with RESTMapper(RelayTransport(send)) as mapper: ...

It knows the shape of `toono.wire.messages.Answer`, not the module: the mapper stands
below the wire.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from toono.restmapper.transport import Reply


class Body(Protocol):
    """A body that is read in pieces."""

    async def read(self) -> bytes:
        """The next piece, b"" at the end."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class Answer(Protocol):
    """The head of an answer, and its body."""

    @property
    def status(self) -> int: ...

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """By lower-case name."""
        ...

    @property
    def body(self) -> Body: ...


Send = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
"""(target, headers) → the answer, once its head is here."""


class RelayTransport:
    """A `Transport`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        """Send a GET request; what the client raises must be ours or OSError."""
        answer = await self._send(target, headers)
        try:
            yield Reply(
                status=answer.status,
                headers={
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in answer.fields.items()
                },
                chunks=_chunks(answer.body),
            )
        finally:
            answer.body.close()


async def _chunks(body: Body) -> AsyncIterator[bytes]:
    while piece := await body.read():
        yield piece
