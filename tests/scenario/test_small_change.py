# SPDX-License-Identifier: Apache-2.0
"""What a small change costs the disk: flash of edge nodes wears out by what is written."""

from tests.rig import until
from tests.scenario.test_again import asking, pod, sized, taken  # noqa: F401
from tests.unit.wire.kit import play

CHANGES = 40
MOST_BYTES = 10 * 1024
"""In the write-ahead log, for an object of 4 KiB."""


def test_a_change_of_4_kib_is_at_most_10_in_the_log(tmp_path, taken) -> None:  # noqa: F811
    async def scenario() -> None:
        async with asking(tmp_path, taken) as (_, cloud, client):
            (log,) = tmp_path.rglob("*.db-wal")
            size = before = log.stat().st_size
            for version in range(100, 100 + CHANGES):
                content = pod(version, 4096 - 150)
                assert 4000 < len(content) < 4100
                cloud.answer = sized(content)
                await client.ask()
                # Each is a commit of its own: none shares another's pages.
                await until(lambda size=size: log.stat().st_size > size)
                size = log.stat().st_size
            assert (size - before) / CHANGES <= MOST_BYTES

    play(scenario)
