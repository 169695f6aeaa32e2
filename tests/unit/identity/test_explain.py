# SPDX-License-Identifier: Apache-2.0
"""What people are told agrees with what callers hear."""

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from toono.errors import StoreUnavailableError
from toono.identity.book import Book
from toono.identity.explain import (
    LAPSED,
    THE_NODE,
    Explained,
    explain_nobody,
    explain_node,
    explain_token,
    kept_rights,
)
from toono.identity.rights import Rights, RightsSettings
from toono.identity.rows import KeySetRow, Question
from toono.kube.request import Caller, parse
from toono.runtime.clock import SystemClock
from toono.store.memory import MemoryStore
from toono.store.sqlite import NAME, open_store
from toono.testing.apiserver.tokens import Bound, TokenKeys
from toono.testing.clock import VirtualClock

NOW = 1_800_000_000.0
KEYS = TokenKeys(algorithm="ES256")
WEB = "system:serviceaccount:shop:web"
PODS = "/api/v1/namespaces/shop/pods"


class Scene:
    """Rights that learn, and a clock."""

    def __init__(self, **settings) -> None:
        self.clock = VirtualClock(NOW)
        chosen = RightsSettings(node_name="edge-1", **settings)
        self.rights = Rights(Book(MemoryStore()), clock=self.clock, settings=chosen)
        row = KeySetRow(KEYS.issuer, KEYS.jwks(), NOW)
        self.rights.book.keep_key_set(row)
        self.rights.believe_kept_keys()

    def token(self, **claims) -> bytes:
        given = {"now": NOW, "seconds": 1_000_000} | claims
        return KEYS.mint("shop", "web", **given).encode()

    def learn(self, token: bytes, target: str, code: int = 200) -> None:
        one = Caller(connection=1, local=("", 0), remote=("", 0), token=token)
        call = parse("GET", target.encode(), {b"user-agent": b"x/1"}, one)
        self.rights.learn(one, call, code, node=not token)

    def explain(self, token: bytes) -> Explained:
        return explain_token(self.rights, token, now=self.clock.wall())


def play(scenario, **settings) -> None:
    async def run() -> None:
        await scenario(Scene(**settings))

    asyncio.run(run())


def lines(one: Explained) -> list[tuple]:
    return [
        (right.resource, right.namespace, right.name, right.verbs, right.answer)
        for right in one.rights
    ]


def test_each_right_is_told_with_its_answer_and_its_end() -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.token(bound=Bound(kind="Pod", name="web-0", uid="u"))
        scene.learn(token, PODS)
        scene.learn(token, PODS + "?watch=true")
        scene.learn(token, PODS + "/a/status")
        scene.learn(token, "/apis/example.org/v1/widgets", 403)
        scene.learn(token, "/version")
        told = scene.explain(token)
        assert (told.user, told.token, told.pod) == (WEB, "valid", "web-0")
        assert (told.answer, told.ends_at) == (200, NOW + 1_000_000)
        assert lines(told) == [
            ("/version", "", "", ("get",), 200),
            ("pods", "shop", "*", ("list", "watch"), 200),
            ("pods/status", "shop", "a", ("get",), 200),
            ("widgets.example.org", "*", "*", ("list",), 403),
        ]
        assert {right.lapses_at for right in told.rights} == {NOW + 86400}

    play(scenario)


def test_a_right_that_lapsed_is_told_as_one_that_is_none() -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.token()
        scene.learn(token, PODS)
        await scene.clock.advance(86401)
        (right,) = scene.explain(token).rights
        assert (right.answer, right.why, right.lapses_at) == (503, LAPSED, None)
        assert right.heard_at == NOW

    play(scenario)


def test_the_operator_s_list_is_told_to_its_owners() -> None:
    async def scenario(scene: Scene) -> None:
        assert lines(scene.explain(scene.token())) == [
            ("services", "*", "*", ("get", "list", "watch"), 200)
        ]
        assert scene.explain(b"opaque").rights == ()

    allowed = frozenset({(WEB, "services"), ("other", "pods")})
    play(scenario, allowed=allowed)


def test_a_token_that_is_no_good_has_no_rights() -> None:
    async def scenario(scene: Scene) -> None:
        good = scene.token()
        scene.learn(good, PODS)
        head, claims, _ = good.split(b".")
        for token, answer, word in (
            (scene.token(now=NOW - 9000, seconds=60), 401, "it has expired"),
            (scene.token(now=NOW + 9000), 503, "not valid yet"),
            (head + b"." + claims + b"." + b"A" * 86, 401, "signature"),
        ):
            told = scene.explain(token)
            assert (told.answer, told.rights) == (answer, ())
            assert word in told.why
        scene.learn(good, PODS, 401)
        told = scene.explain(good)
        assert (told.answer, told.rights) == (401, ())
        assert "has refused this token" in told.why

    play(scenario)


def test_a_token_that_nobody_can_judge_has_its_own_rights() -> None:
    async def scenario(scene: Scene) -> None:
        scene.learn(b"opaque", PODS)
        told = scene.explain(b"opaque")
        assert (told.user, told.token) == ("", "cannot be judged here")
        assert lines(told) == [("pods", "shop", "*", ("list",), 200)]
        assert "no JWT" in told.why

    play(scenario)


def test_the_node_reads_all_but_what_is_judged_by_its_own_verdicts() -> None:
    async def scenario(scene: Scene) -> None:
        for code, target in (
            (200, PODS),
            (403, "/api/v1/pods"),
            (200, "/api/v1/nodes"),
        ):
            scene.learn(b"", target, code)
        assert lines(explain_node(scene.rights)) == [("*", "*", "*", ("*",), 200)]
        scene.learn(scene.token(), PODS)
        told = explain_node(scene.rights)
        assert lines(told) == [
            ("*", "*", "*", ("*",), 200),
            ("pods", "*", "*", ("list",), 403),
            ("pods", "shop", "*", ("list",), 200),
        ]
        assert told.rights[0].why == THE_NODE

    play(scenario)


def test_nobody_hears_503_and_why() -> None:
    told = explain_nobody("user 1000 is none of --node-uids")
    assert (told.user, told.answer, told.rights) == ("nobody", 503, ())


QUESTIONS = [
    Question(verb, group, resource, sub, namespace, name)
    for verb, (group, resource), sub, namespace, name in itertools.product(
        ("get", "list"),
        (("", "pods"), ("example.org", "widgets")),
        ("", "status"),
        ("", "shop"),
        ("", "a"),
    )
]


@pytest.mark.parametrize("token", ["web", "opaque"])
def test_what_is_told_is_what_is_heard(token: str) -> None:
    """Each remembered question, by the very function that answers requests."""

    async def scenario(scene: Scene) -> None:
        shown = scene.token() if token == "web" else b"opaque"
        checked = scene.rights.verifier.check(shown, now=NOW)
        identity = scene.rights.identity_of(shown, checked)
        for number, question in enumerate(QUESTIONS):
            at = NOW - (90_000 if number % 3 == 0 else 10)
            book = scene.rights.book
            book.put(identity, question, allowed=number % 2 == 1, at=at)
        told = lines(scene.explain(shown))
        heard = {
            scene.rights.judge_token(shown, question).verdict.value
            for question, _ in scene.rights.book.told(identity)
        }
        assert {answer for *_, answer in told} == heard == {200, 403, 503}
        assert sum(len(verbs) for *_, verbs, _ in told) == len(
            list(scene.rights.book.told(identity))
        )

    play(scenario)


def test_the_rights_of_a_database_are_read_and_it_is_not_changed(
    tmp_path: Path,
) -> None:
    async def fill(token: bytes) -> None:
        store = await open_store(tmp_path, clock=SystemClock())
        scene = Scene()
        scene.rights.book = Book(store)
        await scene.rights.open()
        scene.rights.book.keep_key_set(KeySetRow(KEYS.issuer, KEYS.jwks(), NOW))
        scene.rights.believe_kept_keys()
        scene.learn(token, PODS)
        await store.aclose()

    async def look(token: bytes) -> Explained:
        clock = VirtualClock(NOW)
        settings = RightsSettings()
        rights = kept_rights(tmp_path / NAME, settings=settings, clock=clock)
        return explain_token(rights, token, now=NOW)

    token = Scene.token(None)
    asyncio.run(fill(token))
    before = (tmp_path / NAME).read_bytes()
    told = asyncio.run(look(token))
    assert lines(told) == [("pods", "shop", "*", ("list",), 200)]
    assert replace(told, rights=()).user == WEB
    assert (tmp_path / NAME).read_bytes() == before
    with pytest.raises(StoreUnavailableError):
        kept_rights(tmp_path / "x", settings=RightsSettings(), clock=VirtualClock(NOW))
