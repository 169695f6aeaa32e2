# SPDX-License-Identifier: Apache-2.0
"""The mapper over the official client: python examples/restmapper/over_kubernetes.py"""

import asyncio

from kubernetes import client
from seed import cluster, play

from toono.restmapper.transports.kubernetes import KubernetesTransport


async def main() -> None:
    async with cluster() as server:
        configuration = client.Configuration(host=server.url)
        with client.ApiClient(configuration) as api:
            transport = KubernetesTransport(api)
            await play(server, transport)
            transport.close()


asyncio.run(main())
