# SPDX-License-Identifier: Apache-2.0
"""What the mapper needs of an HTTP client: one method.

Adapters for httpx, kr8s, the official client and toono's own are in `transports`;
one for another client is a dozen lines.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from toono.restmapper.errors import MapperError


class TransportError(MapperError):
    """No answer could be had: refused, reset, timed out, TLS, no address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The head of an answer and its body, piece by piece."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    chunks: AsyncIterator[bytes]
    """The body; gzip may be undone or left as it came."""


class Transport(Protocol):
    """An HTTP client that knows the server and its credentials.

    `get` sends GET for `target` (origin form, such as "/apis?x=y") with `headers`
    added, follows no redirect, raises for no status, and gives the reply once its
    head is here; leaving the context closes what is left of it. It sets no timeout
    of its own: the mapper cancels. A client without an answer raises TransportError,
    OSError or TimeoutError.
    """

    def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Reply]:
        """Send a GET request; see the class."""
        ...


Fetch = Callable[
    [str, Mapping[str, str]], Awaitable[tuple[int, Mapping[str, str], bytes]]
]
"""(target, headers) → status, headers, whole body."""


class WholeBodies:
    """A transport out of a function that returns whole bodies.

    It cannot watch: give `watch=False` to the mapper, which then polls.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        status, answered, body = await self._fetch(target, headers)
        yield Reply(
            status=status,
            headers={name.lower(): value for name, value in answered.items()},
            chunks=_once(body),
        )


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
