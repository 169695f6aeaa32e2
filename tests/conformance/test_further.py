# SPDX-License-Identifier: Apache-2.0
"""The embedded server answers what a kube-apiserver answered to further questions."""

import asyncio
import json
from functools import cache

import pytest

from tests.conformance.embedded import Embedded
from tests.conformance.further import ANSWERS, QUESTIONS, ask_all, told

RECORDED = json.loads(ANSWERS.read_text())


@cache
def answers() -> list[dict]:
    """Ask once for all tests."""

    async def play() -> list[dict]:
        async with Embedded() as server:
            found = await ask_all(server)
        return [told(*pair) for pair in zip(QUESTIONS, found, strict=True)]

    return asyncio.run(play())


@pytest.mark.parametrize("place", range(len(RECORDED)), ids=lambda place: f"{place:02}")
def test_a_further_question_is_answered_as_by_the_real_server(place: int) -> None:
    assert answers()[place] == RECORDED[place]


def test_every_question_has_its_answer() -> None:
    assert len(RECORDED) == len(QUESTIONS)
