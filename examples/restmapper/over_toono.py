# SPDX-License-Identifier: Apache-2.0
"""The mapper over toono's own client: python examples/restmapper/over_toono.py"""

import asyncio
from collections.abc import Mapping

from seed import cluster, play

from toono.restmapper.transports.relay import RelayTransport
from toono.wire.client import Answer, Origin


async def main() -> None:
    async with cluster() as server:
        origin = Origin(*server.address, tls=lambda credential: None)

        async def send(target: str, headers: Mapping[str, str]) -> Answer:
            sent = {"Host": origin.authority, **headers}
            fields = [(name.encode(), value.encode()) for name, value in sent.items()]
            return await origin.send(
                "GET", target.encode(), fields, None, credential=None
            )

        await play(server, RelayTransport(send))
        origin.close()


asyncio.run(main())
