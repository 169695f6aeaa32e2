# SPDX-License-Identifier: Apache-2.0
"""The embedded API server answers as a kube-apiserver did."""

import asyncio
from functools import cache

import pytest

from tests.conformance.conversation import Conversation
from tests.conformance.embedded import Embedded
from tests.conformance.exchanges import Answer, Exchange, read
from tests.conformance.judge import differences

EXCHANGES = read()


@cache
def answers() -> dict[str, Answer]:
    """Have the conversation once for all tests."""

    async def play() -> dict[str, Answer]:
        async with Embedded() as server:
            return await Conversation(server).play()

    return asyncio.run(play())


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each.name)
def test_the_embedded_server_answers_as_recorded(exchange: Exchange) -> None:
    found = differences(exchange, answers()[exchange.name])
    assert not found, "\n".join(found)
