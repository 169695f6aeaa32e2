# SPDX-License-Identifier: Apache-2.0
"""What is asked ahead with callers' tokens, of a cloud that the test plays."""

import asyncio
import json

from toono.errors import UnreachableError
from toono.identity.ahead import CONFIGURATION, JWKS, REVIEW, Ahead
from toono.identity.book import Book
from toono.identity.rights import Rights, Verdict
from toono.identity.rows import KeySetRow, Question
from toono.kube.request import Caller, parse
from toono.runtime.tasks import cancel_and_wait, spawn
from toono.store.memory import MemoryStore
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.clock import VirtualClock, settle

NOW = 1_800_000_000.0
PODS = "/api/v1/namespaces/shop/pods"


class Scene:
    """Rights, who asks ahead for them, and the cloud's answers."""

    def __init__(self, store: MemoryStore) -> None:
        self.clock = VirtualClock(NOW)
        self.keys = TokenKeys(algorithm="ES256")
        self.rights = Rights(Book(store), clock=self.clock)
        self.asked: list[tuple[str, object]] = []
        self.key_code = 200
        self.document: bytes | None = None
        self.review: object = {"allowed": True}
        self.review_code = 201
        self.fails = False

    async def ask(self, method, path, token, content) -> tuple[int, bytes]:
        assert token.count(b".") == 2 or token == b"opaque"
        spec = json.loads(content)["spec"]["resourceAttributes"] if content else None
        self.asked.append((path, spec))
        assert method == ("POST" if content else "GET")
        if self.fails:
            raise UnreachableError("cut")
        if path == CONFIGURATION:
            return self.key_code, json.dumps({"issuer": self.keys.issuer}).encode()
        if path == JWKS:
            found = self.keys.jwks() if self.document is None else self.document
            return self.key_code, found
        assert path == REVIEW
        told = self.review
        content = told if isinstance(told, bytes) else json.dumps({"status": told})
        return self.review_code, content if isinstance(
            told, bytes
        ) else content.encode()

    def token(self, account: str = "web", **claims) -> bytes:
        given = {"now": self.clock.wall(), "seconds": 100_000} | claims
        return self.keys.mint("shop", account, **given).encode()

    def caller(self, token: bytes) -> Caller:
        return Caller(connection=1, local=("", 0), remote=("", 0), token=token)

    async def learn(self, token: bytes, target: str = PODS, code: int = 200) -> None:
        one = self.caller(token)
        call = parse("GET", target.encode(), {b"user-agent": b"x/1"}, one)
        self.rights.learn(one, call, code, node=False)
        await asyncio.wait_for(self.ahead.idle(), 5)

    async def judge(self, token: bytes, target: str) -> Verdict:
        one = self.caller(token)
        call = parse("GET", target.encode(), {b"user-agent": b"x/1"}, one)
        return (await self.rights.judge(one, call)).verdict

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def play(scenario, store: MemoryStore | None = None) -> None:
    async def run() -> None:
        scene = Scene(store or MemoryStore())
        await scene.rights.open()
        scene.ahead = Ahead(scene.rights, scene.ask, clock=scene.clock)
        task = spawn(scene.ahead.run(), name="ahead")
        try:
            await scenario(scene)
        finally:
            await cancel_and_wait(task)

    asyncio.run(run())


def test_the_first_token_brings_the_key_set_and_its_owner_s_rights() -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.token()
        await scene.learn(token)
        assert scene.paths()[:2] == [CONFIGURATION, JWKS]
        # What was learned before is the owner's now, with any token of its own.
        assert await scene.judge(scene.token(seconds=5000), PODS) is Verdict.ALLOWED
        verbs = [spec["verb"] for path, spec in scene.asked if path == REVIEW]
        assert verbs == ["get", "list", "watch"]
        assert scene.asked[-1][1] == {
            "verb": "watch",
            "group": "",
            "resource": "pods",
            "namespace": "shop",
        }
        assert await scene.judge(token, PODS + "/any") is Verdict.ALLOWED
        assert await scene.judge(token, PODS + "?watch=1") is Verdict.ALLOWED
        assert await scene.judge(token, "/api/v1/pods") is Verdict.UNKNOWN

    play(scenario)


def test_the_key_set_outlives_the_hub() -> None:
    store = MemoryStore()
    tokens = []

    async def first(scene: Scene) -> None:
        tokens.append(scene.token())
        await scene.learn(tokens[0])

    async def second(scene: Scene) -> None:
        assert await scene.judge(tokens[0], PODS) is Verdict.ALLOWED
        assert scene.asked == []

    play(first, store)
    play(second, store)


def test_a_kept_key_set_that_is_damaged_is_told_and_not_used(caplog) -> None:
    async def scenario(scene: Scene) -> None:
        scene.rights.book.keep_key_set(KeySetRow("i", b"{}", NOW))
        scene.rights.believe_kept_keys()
        assert scene.rights.verifier.keys == 0

    play(scenario)
    assert "kept key set cannot be used" in caplog.text


def test_a_no_is_kept_as_a_no_and_a_doubt_as_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        scene.review = {"allowed": False}
        await scene.learn(scene.token())
        await scene.learn(scene.token())
        told = dict(scene.rights.book.told(scene_identity(scene)))
        watch = Question("watch", "", "pods", "", "shop")
        assert told[watch].allowed is False
        other = scene.token("other")
        scene.review = {"allowed": False, "evaluationError": "webhook down"}
        await scene.learn(other)
        for odd in (b"<html>", {"allowed": True}):
            scene.review, scene.review_code = odd, 201 if odd == b"<html>" else 403
            await scene.learn(other, PODS.replace("shop", "bank"))
        user = scene.rights.verifier.check(other, now=NOW).identity
        assert {question.verb for question, _ in scene.rights.book.told(user)} == {
            "list"
        }

    play(scenario)


def scene_identity(scene: Scene) -> str:
    return scene.rights.verifier.check(scene.token(), now=NOW).identity


def test_one_right_is_asked_ahead_once_in_a_while() -> None:
    async def scenario(scene: Scene) -> None:
        token = scene.token()
        await scene.learn(token)
        for _ in range(3):
            await scene.learn(token)
        assert scene.paths().count(REVIEW) == 3
        await scene.clock.advance(1801)
        await scene.learn(token)
        assert scene.paths().count(REVIEW) == 6
        await scene.learn(token, PODS + "/a/status")
        assert scene.paths().count(REVIEW) == 6

    play(scenario)


def test_keys_are_fetched_again_when_old_or_unknown_but_not_for_each_token() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.learn(scene.token())
        assert scene.paths().count(JWKS) == 1
        strange = TokenKeys(algorithm="ES256").mint("shop", "x", now=NOW).encode()
        await scene.learn(strange)
        assert scene.paths().count(JWKS) == 1
        await scene.clock.advance(61)
        scene.keys.add_key("ES256")
        fresh = scene.token()
        await scene.learn(fresh)
        assert scene.paths().count(JWKS) == 2
        assert await scene.judge(fresh, PODS) is Verdict.ALLOWED
        await scene.clock.advance(3601)
        await scene.learn(fresh)
        assert scene.paths().count(JWKS) == 3
        await scene.clock.advance(61)
        await scene.learn(b"opaque")
        assert scene.paths().count(JWKS) == 3

    play(scenario)


def test_keys_are_fetched_again_when_the_cluster_has_another_issuer() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.learn(scene.token())
        scene.keys = TokenKeys(algorithm="ES256", issuer="https://moved")
        fresh = scene.token()
        await scene.clock.advance(61)
        await scene.learn(fresh)
        assert scene.paths().count(JWKS) == 1
        await scene.clock.advance(3600)
        await scene.learn(fresh)
        assert scene.paths().count(JWKS) == 2
        assert scene.rights.verifier.check(fresh, now=NOW).user

    play(scenario)


def test_for_whom_nobody_can_judge_nothing_waits() -> None:
    async def scenario(scene: Scene) -> None:
        await scene.learn(scene.token())
        for token in (b"opaque", scene.token(now=NOW + 9000)):
            one = scene.caller(token)
            call = parse("GET", PODS.encode(), {}, one)
            scene.rights.learn(one, call, 200, node=False)
            assert scene.ahead._waiting.empty()

    play(scenario)


def test_the_rule_that_lacks_is_told_once_and_asked_for_every_ten_minutes(
    caplog,
) -> None:
    async def scenario(scene: Scene) -> None:
        scene.key_code = 403
        for seconds in (0, 61, 599):
            await scene.clock.advance(seconds)
            await scene.learn(scene.token())
            assert not scene.ahead._asked
        assert scene.ahead.lacks == "get /openid/v1/jwks"
        assert scene.paths() == [CONFIGURATION, CONFIGURATION]
        scene.key_code = 200
        await scene.clock.advance(601)
        await scene.learn(scene.token())
        assert scene.ahead.lacks == ""

    play(scenario)
    assert caplog.text.count("system:service-account-issuer-discovery") == 1


def test_what_cannot_be_fetched_changes_nothing(caplog) -> None:
    async def scenario(scene: Scene) -> None:
        for change in ({"document": b"<html>"}, {"key_code": 500}, {"fails": True}):
            for name, value in change.items():
                setattr(scene, name, value)
            await scene.learn(scene.token())
            await scene.clock.advance(61)
        assert scene.rights.verifier.keys == 0
        assert len(scene.asked) == 4
        assert not scene.ahead._asked  # no right was asked for whom nobody knows

    play(scenario)
    assert "key set is not used" in caplog.text


def test_what_waits_is_bounded_and_holds_no_more_tokens() -> None:
    async def run() -> None:
        scene = Scene(MemoryStore())
        await scene.rights.open()
        scene.ahead = Ahead(scene.rights, scene.ask, clock=scene.clock)
        for _ in range(300):
            await scene.clock.advance(61)
            token = scene.token()
            one = scene.caller(token)
            call = parse("GET", PODS.encode(), {}, one)
            scene.rights.learn(one, call, 200, node=False)
        assert scene.ahead._waiting.qsize() == 256
        await settle()

    asyncio.run(run())


# -- asked now, for who may share an answer ----------------------------------------

LIST = Question("list", "", "pods", "", "shop", "", "spec.nodeName=edge-1")


async def warm(scene: Scene) -> None:
    """Let the key set be known, by somebody else's token."""
    await scene.learn(scene.token("other"))
    scene.asked.clear()


def lists(scene: Scene) -> int:
    return sum(spec["verb"] == "list" for path, spec in scene.asked if path == REVIEW)


def test_many_who_ask_at_once_cost_one_question_and_are_all_answered() -> None:
    async def scenario(scene: Scene) -> None:
        await warm(scene)
        callers = [scene.caller(scene.token(seconds=90_000 + n)) for n in range(5)]
        await asyncio.gather(
            *(scene.ahead.hear(one, LIST, since=NOW - 600) for one in callers)
        )
        assert lists(scene) == 1
        for one in callers:
            assert await scene.judge(one.token, PODS) is Verdict.ALLOWED
        await scene.ahead.idle()
        # The other ways to read are asked ahead, as after any answer.
        assert await scene.judge(callers[0].token, PODS + "?watch=1") is Verdict.ALLOWED
        await scene.ahead.hear(callers[0], LIST, since=NOW - 600)
        assert lists(scene) == 1

    play(scenario)


def test_a_no_is_not_asked_again_until_it_is_old() -> None:
    async def scenario(scene: Scene) -> None:
        await warm(scene)
        scene.review = {"allowed": False}
        caller = scene.caller(scene.token())
        for expected in (1, 1):
            await scene.ahead.hear(caller, LIST, since=scene.clock.wall() - 600)
            assert lists(scene) == expected
        await scene.clock.advance(700)
        await scene.ahead.hear(caller, LIST, since=scene.clock.wall() - 600)
        assert lists(scene) == 2

    play(scenario)


def test_who_cannot_be_judged_and_a_broken_link_leave_everything_open() -> None:
    async def scenario(scene: Scene) -> None:
        known = scene.caller(scene.token())
        await scene.ahead.hear(known, LIST, since=0)
        assert scene.asked == [], "the key set is not known yet"
        await warm(scene)
        for odd in (
            scene.caller(b""),
            scene.caller(b"opaque"),
            Caller(
                connection=1,
                local=("", 0),
                remote=("", 0),
                token=known.token,
                impersonates=True,
            ),
        ):
            await scene.ahead.hear(odd, LIST, since=0)
        assert scene.asked == []
        scene.fails = True
        await scene.ahead.hear(known, LIST, since=0)
        assert await scene.judge(known.token, PODS) is Verdict.UNKNOWN
        scene.fails = False
        await scene.ahead.hear(known, LIST, since=0)
        assert await scene.judge(known.token, PODS) is Verdict.ALLOWED

    play(scenario)
