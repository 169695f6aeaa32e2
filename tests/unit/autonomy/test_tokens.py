# SPDX-License-Identifier: Apache-2.0
import asyncio
import base64
import json

import msgspec
import pytest

from toono.autonomy.tokens import (
    LEAST_SECONDS,
    PREFIX,
    Tokens,
    expiry_of,
    question_of,
)
from toono.autonomy.vault import Vault
from toono.identity.sealed import Seal
from toono.kube.request import Caller, parse
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock

NODE = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
YEAR = 365 * 86400.0
ASKED = {
    "kind": "TokenRequest",
    "apiVersion": "authentication.k8s.io/v1",
    "metadata": {},
    "spec": {
        "audiences": ["b", "a"],
        "expirationSeconds": 3607,
        "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "u"},
    },
}


def call_of(account: str = "web", *, agent: str = "kubelet/v1", namespace="shop"):
    target = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return parse("POST", target.encode(), {b"user-agent": agent.encode()}, NODE)


def jwt(exp: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode()
    return f"head.{claims.rstrip('=')}.signature"


def answered(token: str, told: str = "2026-11-21T02:00:07Z") -> dict:
    return {**ASKED, "status": {"token": token, "expirationTimestamp": told}}


class Rig:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        vault = Vault(MemoryStore(), Seal.fleeting(), prefix=PREFIX, clock=self.clock)
        self.tokens = Tokens(vault, clock=self.clock)

    def told(self, answer: dict) -> float:
        from datetime import datetime

        text = answer["status"]["expirationTimestamp"]
        return datetime.fromisoformat(text).timestamp()


def test_a_token_is_given_again_while_it_really_lives() -> None:
    async def scenario() -> None:
        rig = Rig()
        ends = rig.clock.wall() + YEAR
        rig.tokens.take(call_of(), ASKED, answered(jwt(ends)))
        assert len(rig.tokens) == 1
        for _ in range(3):
            found = await rig.tokens.find(call_of(), ASKED)
            assert found is not None
            assert found["status"]["token"] == jwt(ends)
            assert rig.told(found) == int(rig.clock.wall() + 3607)
            await rig.clock.advance(YEAR / 4)
        await rig.clock.advance(YEAR / 4 - 1000)
        found = await rig.tokens.find(call_of(), ASKED)
        assert found is not None
        assert rig.told(found) == int(ends)
        await rig.clock.advance(1001 - LEAST_SECONDS)
        assert await rig.tokens.find(call_of(), ASKED) is None

    asyncio.run(scenario())


def test_what_is_no_jwt_lives_as_long_as_was_told() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.clock._wall = rig.told(answered("")) - 1000
        rig.tokens.take(call_of(), ASKED, answered("opaque"))
        found = await rig.tokens.find(call_of(), ASKED)
        assert found is not None
        assert rig.told(found) == rig.told(answered(""))
        await rig.clock.advance(1000)
        assert await rig.tokens.find(call_of(), ASKED) is None

    asyncio.run(scenario())


def test_another_question_gets_nothing() -> None:
    async def scenario() -> None:
        rig = Rig()
        token = jwt(rig.clock.wall() + YEAR)
        rig.tokens.take(call_of(), ASKED, answered(token))
        spec = ASKED["spec"]
        assert await rig.tokens.find(call_of(), ASKED) is not None
        swapped = {**ASKED, "spec": {**spec, "audiences": ["a", "b"]}}
        assert await rig.tokens.find(call_of(), swapped) is not None
        longer = {**ASKED, "spec": {**spec, "expirationSeconds": 7200}}
        assert await rig.tokens.find(call_of(), longer) is not None
        for call in (
            call_of(agent="kube-proxy/v1"),
            call_of("other"),
            call_of(namespace="b"),
        ):
            assert await rig.tokens.find(call, ASKED) is None
        ref = {**spec["boundObjectRef"], "uid": "another"}
        for changed in ({"audiences": ["a"]}, {"boundObjectRef": ref}):
            asked = {**ASKED, "spec": {**spec, **changed}}
            assert await rig.tokens.find(call_of(), asked) is None
        assert await rig.tokens.find(call_of(), {"kind": "TokenRequest"}) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "status", [{}, {"token": ""}, {"token": "opaque"}, {"token": 7}, None, []]
)
def test_what_is_no_token_is_not_kept(status) -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.tokens.take(call_of(), ASKED, {**ASKED, "status": status})
        bad = {"token": "opaque", "expirationTimestamp": "soon"}
        rig.tokens.take(call_of(), ASKED, {**ASKED, "status": bad})
        assert len(rig.tokens) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.!.c", "a.e30.c", "a.W10.c"])
def test_what_is_no_jwt_tells_no_end(token: str) -> None:
    assert expiry_of(token) == 0.0


def test_questions_without_bound_object_or_audience_differ_from_those_with() -> None:
    bare = {"kind": "TokenRequest", "spec": {"audiences": None}}
    assert question_of(call_of(), bare) != question_of(call_of(), ASKED)
    assert msgspec.msgpack.encode(question_of(call_of(), bare))


def test_a_token_is_fresh_for_half_of_its_life() -> None:
    async def scenario() -> None:
        rig = Rig()
        begun = rig.clock.wall()
        assert rig.tokens.told(call_of(), ASKED) is None
        rig.tokens.take(call_of(), ASKED, answered(jwt(begun + 3600)))
        await rig.clock.advance(1799)
        assert rig.tokens.told(call_of(), ASKED) == begun
        await rig.clock.advance(2)
        assert rig.tokens.told(call_of(), ASKED) is None

    asyncio.run(scenario())


def test_the_end_of_what_is_kept_can_be_asked() -> None:
    async def scenario() -> None:
        rig = Rig()
        ends = rig.clock.wall() + YEAR
        assert rig.tokens.ends_at(call_of(), ASKED) == 0.0
        rig.tokens.take(call_of(), ASKED, answered(jwt(ends)))
        assert rig.tokens.ends_at(call_of(), ASKED) == ends
        assert rig.tokens.ends_at(call_of("other"), ASKED) == 0.0

    asyncio.run(scenario())
