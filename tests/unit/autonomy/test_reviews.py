# SPDX-License-Identifier: Apache-2.0
import asyncio
import base64
import json

import pytest

from toono.autonomy.reviews import PREFIX, Reviews, question_of
from toono.autonomy.vault import Vault
from toono.identity.sealed import Seal
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock

ACCESS = {
    "kind": "SubjectAccessReview",
    "apiVersion": "authorization.k8s.io/v1",
    "metadata": {},
    "spec": {"user": "prometheus", "resourceAttributes": {"verb": "get"}},
}


def token_review(seconds_to_live: float, clock: VirtualClock) -> dict:
    claims = json.dumps({"exp": clock.wall() + seconds_to_live}).encode()
    token = f"h.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.s"
    return {
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "spec": {"token": token},
    }


class Rig:
    def __init__(self, **more) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore()
        vault = Vault(self.store, Seal.fleeting(), prefix=PREFIX, clock=self.clock)
        self.reviews = Reviews(vault, clock=self.clock, **more)


def test_a_verdict_holds_for_its_time() -> None:
    async def scenario() -> None:
        rig = Rig(lifetime=100.0)
        rig.reviews.take(ACCESS, {**ACCESS, "status": {"allowed": True}})
        assert len(rig.reviews) == 1
        await rig.clock.advance(99)
        found = await rig.reviews.find(ACCESS)
        assert found == {**ACCESS, "status": {"allowed": True}}
        await rig.clock.advance(1)
        assert await rig.reviews.find(ACCESS) is None

    asyncio.run(scenario())


def test_the_newest_verdict_counts() -> None:
    async def scenario() -> None:
        rig = Rig()
        for allowed in (True, True, False, True):
            status = {"allowed": allowed}
            rig.reviews.take(ACCESS, {**ACCESS, "status": status})
            found = await rig.reviews.find(ACCESS)
            assert found is not None
            assert found["status"] == status

    asyncio.run(scenario())


def test_the_same_verdict_again_is_not_written_each_time() -> None:
    async def scenario() -> None:
        rig = Rig(lifetime=100.0)
        answer = {**ACCESS, "status": {"allowed": True}}
        rig.reviews.take(ACCESS, answer)
        before = (await rig.store.scan(PREFIX)).rows
        await rig.clock.advance(9)
        rig.reviews.take(ACCESS, answer)
        assert (await rig.store.scan(PREFIX)).rows == before
        await rig.clock.advance(2)
        rig.reviews.take(ACCESS, answer)
        await rig.clock.advance(95)
        assert await rig.reviews.find(ACCESS) is not None

    asyncio.run(scenario())


def test_a_tokens_review_ends_with_the_token() -> None:
    async def scenario() -> None:
        rig = Rig()
        review = token_review(50, rig.clock)
        status = {"authenticated": True, "user": {"username": "a"}}
        rig.reviews.take(review, {**review, "status": status})
        assert (await rig.reviews.find(review))["status"] == status
        await rig.clock.advance(50)
        assert await rig.reviews.find(review) is None

    asyncio.run(scenario())


def test_another_question_has_no_verdict() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.reviews.take(ACCESS, {**ACCESS, "status": {"allowed": True}})
        spec = {"resourceAttributes": {"verb": "get"}, "user": "prometheus"}
        assert await rig.reviews.find({**ACCESS, "spec": spec}) is not None
        assert await rig.reviews.find({**ACCESS, "spec": {**spec, "user": "b"}}) is None
        assert await rig.reviews.find({**ACCESS, "kind": "Pod"}) is None
        for no_review in ({}, {"kind": "TokenReview"}, {**ACCESS, "spec": None}):
            assert question_of(no_review) is None

    asyncio.run(scenario())


@pytest.mark.parametrize("lifetime", [0.0, -1.0])
def test_turned_off_nothing_is_kept(lifetime: float) -> None:
    async def scenario() -> None:
        rig = Rig(lifetime=lifetime)
        rig.reviews.take(ACCESS, {**ACCESS, "status": {"allowed": True}})
        assert len(rig.reviews) == 0

    asyncio.run(scenario())


def test_an_answer_without_a_verdict_is_not_kept(monkeypatch) -> None:
    rig = Rig()
    rig.reviews.take(ACCESS, ACCESS)
    rig.reviews.take({"kind": "Pod"}, {"status": {}})
    assert len(rig.reviews) == 0


def test_only_so_many_verdicts_are_remembered_as_written(monkeypatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("toono.autonomy.reviews.MAX_NOTED", 2)
        rig = Rig()
        for number in range(5):
            asked = {**ACCESS, "spec": {"user": str(number)}}
            rig.reviews.take(asked, {**asked, "status": {"allowed": True}})
        assert len(rig.reviews._last) == 2
        assert len(rig.reviews) == 5

    asyncio.run(scenario())
