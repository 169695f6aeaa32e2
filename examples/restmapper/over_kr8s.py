# SPDX-License-Identifier: Apache-2.0
"""The mapper over kr8s: python examples/restmapper/over_kr8s.py"""

import asyncio

import kr8s.asyncio
from seed import cluster, play

from toono.restmapper.transports.kr8s import Kr8sTransport


async def main() -> None:
    async with cluster() as server:
        api = await kr8s.asyncio.api(url=server.url)
        await play(server, Kr8sTransport(api))


asyncio.run(main())
