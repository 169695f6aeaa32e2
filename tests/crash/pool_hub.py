# SPDX-License-Identifier: Apache-2.0
"""One whole hub of a pool, as a process that is killed: run as `python -m
tests.crash.pool_hub DIRECTORY NAME CLOUD_PORT ETCD_PORT...`.

Writes the port of its proxy to DIRECTORY/port once it serves.
"""

import asyncio
import sys
from pathlib import Path

from toono.app import Hub, HubSettings
from toono.config.pool import PoolSettings
from toono.upstream.health import HealthSettings

LOOPBACK = "127.0.0.1"


async def main(directory: Path, name: str, cloud: int, etcd: list[int]) -> None:
    settings = HubSettings(
        servers=((LOOPBACK, cloud),),
        tls=None,
        node_name=name,
        cache_path=directory / "cache",
        listen=((LOOPBACK, 0),),
        status_listen=None,
        health=HealthSettings(down_interval=0.1, up_after=1),
        pool=PoolSettings(
            endpoints=tuple((LOOPBACK, port) for port in etcd),
            tls=None,
            lease=1.0,
            renew=0.25,
            retry=0.1,
        ),
    )
    async with Hub(settings) as hub:
        beside = directory / "port.new"
        beside.write_text(str(hub.addresses[0][1]))
        beside.rename(directory / "port")
        await asyncio.Event().wait()


if __name__ == "__main__":
    place, name, *ports = sys.argv[1:]
    asyncio.run(main(Path(place), name, int(ports[0]), [int(one) for one in ports[1:]]))
