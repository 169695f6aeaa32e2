# SPDX-License-Identifier: Apache-2.0
"""The mapper over httpx: python examples/restmapper/over_httpx.py"""

import asyncio

import httpx
from seed import cluster, play

from toono.restmapper.transports.httpx import HttpxTransport


async def main() -> None:
    async with (
        cluster() as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
    ):
        await play(server, HttpxTransport(client))


asyncio.run(main())
