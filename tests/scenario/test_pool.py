# SPDX-License-Identifier: Apache-2.0
"""Hubs that share: what one knows, another answers while it is cut off."""

import asyncio

from tests.pool import PROXY, SLICES, pools
from tests.rig import ask, begin, get, headers_of, until


def test_a_follower_that_is_cut_off_answers_newer_than_its_disk(tmp_path) -> None:
    async def scenario() -> None:
        async with pools(tmp_path) as pool:
            pool.add_slice("a")
            await pool.join("edge-1")
            await pool.join("edge-2")
            follower = await pool.follower()
            assert await follower.names() == {"a"}
            await pool.published(1)
            await follower.cut_cloud()
            pool.add_slice("b")
            await pool.published(2)
            await until(lambda: follower.member.adopting.versions, 20)
            assert await follower.names() == {"a", "b"}
            answer = await ask(follower.hub, get(SLICES, agent=PROXY))
            assert dict(headers_of(answer))["Cache-Status"].startswith("toono; hit")
            await follower.restore_cloud()
            pool.add_slice("c")
            assert await follower.names() == {"a", "b", "c"}

    asyncio.run(scenario())
