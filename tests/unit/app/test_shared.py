# SPDX-License-Identifier: Apache-2.0
"""What shared watches put on the board."""

import asyncio
from pathlib import Path

from tests.rig import hub_over
from toono.app.shared import question_of
from toono.multiplex.shared import DEFAULTS


def test_each_resource_has_a_feed_that_shows_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with hub_over([("127.0.0.1", 9)], tmp_path, shared=DEFAULTS) as hub:
            names = [name for name, _ in hub.board.duties]
            assert (names.count("shared-feed"), names.count("shared-tick")) == (3, 3)
            gauges = {name: read for name, _, read in hub.board.gauges}
            assert gauges["toono_shared_watches"]() == 0.0
            assert gauges["toono_shared_watches_cut"]() == 0.0
        async with hub_over([("127.0.0.1", 9)], tmp_path) as hub:
            assert hub.chain.shared is None

    asyncio.run(story())


def test_what_is_asked_of_the_cloud_is_all_of_a_resource() -> None:
    question = question_of(DEFAULTS[1])
    assert question.target() == "/apis/discovery.k8s.io/v1/endpointslices"
    assert question.rule == "list, watch endpointslices.discovery.k8s.io"
    assert question.accept(listed=True).startswith(
        "application/vnd.kubernetes.protobuf,"
    )
