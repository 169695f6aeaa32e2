# SPDX-License-Identifier: Apache-2.0
"""The mapper over a kr8s API object.

    api = await kr8s.asyncio.api()
    async with RESTMapper(Kr8sTransport(api)) as mapper:
        await mapper.rest_mapping(GroupKind("apps", "Deployment"))

kr8s finds the cluster and keeps the credentials new.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from kr8s.asyncio import Api

from toono.restmapper.transport import Reply, TransportError
from toono.restmapper.transports.httpx import reply_of


class Kr8sTransport:
    """A `Transport`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @asynccontextmanager
    async def get(
        self, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reply]:
        """Send a GET request."""
        root, _, rest = target.removeprefix("/").partition("/")
        try:
            async with self._api.call_api(
                "GET",
                version="",
                base="/" + root,
                url=rest,
                raise_for_status=False,
                stream=True,
                headers=dict(headers),
                timeout=None,
                follow_redirects=False,
            ) as response:
                yield reply_of(response)
        except (httpx.HTTPError, httpx.StreamError) as exc:
            raise TransportError(str(exc) or type(exc).__name__) from exc
