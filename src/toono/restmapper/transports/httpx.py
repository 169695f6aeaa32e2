# SPDX-License-Identifier: Apache-2.0
"""The mapper over an httpx.AsyncClient.

    client = httpx.AsyncClient(base_url="https://10.0.0.1:6443", verify=context)
    async with RESTMapper(HttpxTransport(client)) as mapper:
        await mapper.rest_mapping(GroupKind("apps", "Deployment"))

The client's base URL, credentials and TLS are its owner's; the adapter never closes it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from toono.restmapper.transport import Reply, TransportError


class HttpxTransport:
    """A `Transport`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        """Send a GET request."""
        try:
            async with self._client.stream(
                "GET",
                target,
                headers=dict(headers),
                timeout=None,
                follow_redirects=False,
            ) as response:
                yield reply_of(response)
        except (httpx.HTTPError, httpx.StreamError) as exc:
            raise TransportError(str(exc) or type(exc).__name__) from exc


def reply_of(response: httpx.Response) -> Reply:
    """The reply; its body as it came, since the mapper undoes gzip itself."""
    return Reply(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        chunks=response.aiter_raw(),
    )
