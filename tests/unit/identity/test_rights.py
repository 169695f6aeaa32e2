# SPDX-License-Identifier: Apache-2.0
"""Whose is a call, and what follows: plain values, a memory store, a virtual clock."""

import asyncio

import pytest

from toono.identity.book import Book
from toono.identity.rights import (
    NODE,
    Rights,
    RightsSettings,
    Verdict,
    is_loopback,
    is_of_pod,
    question_of,
)
from toono.identity.rows import Question
from toono.identity.sockets import Owner, SocketLookupError
from toono.identity.tokens import read_key_set
from toono.kube.request import Call, Caller, parse
from toono.store.memory import MemoryStore
from toono.testing.apiserver.tokens import TokenKeys
from toono.testing.clock import VirtualClock

NOW = 1_800_000_000.0
KEYS = TokenKeys(algorithm="ES256")
HOST = frozenset({"/system.slice/kubelet.service"})
ROOT = Owner(0, HOST)


def caller(**fields) -> Caller:
    given = {"connection": 1, "local": ("127.0.0.1", 1), "remote": ("127.0.0.1", 2)}
    return Caller(**(given | fields))


def is_node(one: Caller, owner: Owner | Exception = ROOT, **settings) -> bool:
    def look_up(*_) -> Owner:
        if isinstance(owner, Exception):
            raise owner
        return owner

    async def scenario() -> bool:
        rights = make(owner=look_up, **settings)
        call = Call(method="GET", target=b"/", path="/", verb="get", caller=one)
        may = await rights.may(one, call)
        assert await rights.is_node(one) is may
        return may

    return asyncio.run(scenario())


def make(*, owner=None, clock=None, **settings) -> Rights:
    book = Book(MemoryStore())
    chosen = RightsSettings(**{"node_name": "edge-1", **settings})
    look_up = owner or (lambda *_: ROOT)
    clock = clock or VirtualClock(NOW)
    rights = Rights(book, clock=clock, settings=chosen, owner=look_up)
    rights.verifier.use(read_key_set(KEYS.issuer, KEYS.jwks()))
    return rights


def test_the_node_is_root_of_the_host_on_loopback_without_credentials() -> None:
    assert is_node(caller())
    assert is_node(caller(local=("::1", 1), remote=("::1", 2)))


@pytest.mark.parametrize(
    "fields",
    [
        {"token": b"abc"},
        {"impersonates": True},
        {"certificate": b"der"},
        {"remote": ("10.0.0.7", 2)},
        {"local": ("169.254.2.1", 1)},
        {"remote": ("", 0)},
    ],
    ids=["token", "impersonation", "certificate", "pod", "dummy", "unknown"],
)
def test_whoever_brings_something_or_comes_from_elsewhere_is_not(fields) -> None:
    assert not is_node(caller(**fields))


def test_another_user_is_the_node_only_if_told_so() -> None:
    someone = Owner(1000, HOST)
    assert not is_node(caller(), someone)
    assert is_node(caller(), someone, node_uids=frozenset({1000}))


@pytest.mark.parametrize(
    "group",
    [
        "/kubepods/burstable/pod1/abc",
        "/kubepods.slice/kubepods-besteffort.slice/x.scope",
        "/kubelet.slice/kubelet-kubepods.slice/x",
        "/docker/0abc/kubepods/pod2",
    ],
)
def test_root_in_a_pod_of_the_host_s_network_is_not_the_node(group: str) -> None:
    assert is_of_pod(group)
    assert not is_node(caller(), Owner(0, HOST | {group}))


def test_any_doubt_is_a_no() -> None:
    assert not is_node(caller(), SocketLookupError("gone"))
    assert not is_node(caller(), PermissionError("hidden"))
    for hidden in ("/../../pod2/abc", "/.."):
        assert not is_node(caller(), Owner(0, HOST | {hidden}))


def test_a_connection_is_looked_up_once() -> None:
    asked = []

    def look_up(client, server, uids) -> Owner:
        assert uids == {0}
        asked.append(client)
        return Owner(0, HOST)

    async def scenario() -> None:
        rights = make(owner=look_up)
        for _ in range(3):
            assert await rights.is_node(caller())
        assert await rights.is_node(caller(connection=2, remote=("127.0.0.1", 3)))

    asyncio.run(scenario())
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("", False),
        ("localhost", False),
        ("::ffff:127.0.0.1", False),
    ],
)
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


# -- owners of tokens ------------------------------------------------------------


def token(account: str = "web", **claims) -> bytes:
    given = {"now": NOW, "seconds": 100_000}
    return KEYS.mint("shop", account, **(given | claims)).encode()


def call(target: str, one: Caller, agent: bytes = b"reader/1", method="GET") -> Call:
    return parse(method, target.encode(), {b"user-agent": agent}, one)


def holder(given: bytes | None = None, **fields) -> Caller:
    return caller(token=token() if given is None else given, **fields)


PODS = "/api/v1/namespaces/shop/pods"


def verdict(rights: Rights, one: Caller, target: str = PODS, **how) -> Verdict:
    async def ask() -> Verdict:
        return (await rights.judge(one, call(target, one, **how))).verdict

    return asyncio.run(ask())


def play(scenario) -> None:
    async def run() -> None:
        clock = VirtualClock(NOW)
        await scenario(make(clock=clock), clock)

    asyncio.run(run())


async def judged(rights: Rights, one: Caller, target: str = PODS, **how) -> Verdict:
    return (await rights.judge(one, call(target, one, **how))).verdict


def learn(rights, one, target=PODS, code=200, node=False, **how) -> None:
    rights.learn(one, call(target, one, **how), code, node=node)


def test_who_was_allowed_online_is_allowed_offline_and_nobody_else() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one, other = holder(), holder(token("other"))
        assert await judged(rights, one) is Verdict.UNKNOWN
        learn(rights, one)
        learn(rights, other, code=403)
        assert await judged(rights, one) is Verdict.ALLOWED
        assert await judged(rights, other) is Verdict.FORBIDDEN
        assert await judged(rights, one, PODS + "/a") is Verdict.UNKNOWN
        assert await judged(rights, one, PODS + "?watch=1") is Verdict.UNKNOWN
        assert await judged(rights, one, "/api/v1/pods") is Verdict.UNKNOWN
        # Whoever says who it is by User-Agent alone is still the token's owner.
        assert await judged(rights, one, agent=b"kubelet/1") is Verdict.ALLOWED

    play(scenario)


def test_a_right_is_the_owner_s_not_the_token_s() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        learn(rights, holder())
        assert await judged(rights, holder(token(seconds=50_000))) is Verdict.ALLOWED
        # A service account made anew under the same name is somebody else.
        anew = holder(token(uid="another"))
        assert await judged(rights, anew) is Verdict.UNKNOWN

    play(scenario)


def test_a_right_lapses_a_day_after_it_was_last_heard() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder(token(seconds=1_000_000))
        learn(rights, one)
        await clock.advance(24 * 3600)
        assert await judged(rights, one) is Verdict.ALLOWED
        await clock.advance(1)
        assert await judged(rights, one) is Verdict.UNKNOWN
        learn(rights, one)
        assert await judged(rights, one) is Verdict.ALLOWED

    play(scenario)


def test_a_right_from_the_future_is_none() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder(token(seconds=1_000_000, now=NOW - 90_000))
        learn(rights, one)
        clock._wall -= 3600  # what no clock should do, and clocks do
        assert await judged(rights, one) is Verdict.UNKNOWN

    play(scenario)


def test_an_ended_token_is_401_after_its_leeway() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder(token(seconds=600))
        learn(rights, one)
        await clock.advance(600 + 299)
        assert await judged(rights, one) is Verdict.ALLOWED
        await clock.advance(1)
        assert await judged(rights, one) is Verdict.UNAUTHENTICATED

    play(scenario)


def test_a_token_that_the_cloud_refused_stays_refused() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder()
        learn(rights, one)
        learn(rights, one, code=401)
        assert await judged(rights, one) is Verdict.UNAUTHENTICATED
        # Its signature spelled in another way is still the same token.
        last = one.token[-1:]
        twin = holder(one.token[:-1] + (b"B" if last == b"A" else b"A"))
        assert await judged(rights, twin) is Verdict.UNAUTHENTICATED
        assert await judged(rights, holder(token(seconds=9999))) is Verdict.ALLOWED
        learn(rights, one)
        assert await judged(rights, one) is Verdict.ALLOWED

    play(scenario)


def test_a_refusal_of_what_fails_by_itself_is_not_remembered() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        early = holder(token(now=clock.wall() + 1000, seconds=9000))
        forged = holder(early.token[:-4] + b"AAAA")
        for one in (early, forged):
            learn(rights, one, code=401)
        assert await judged(rights, early) is Verdict.UNKNOWN
        learn(rights, holder())
        await clock.advance(1000)
        assert await judged(rights, early) is Verdict.ALLOWED
        assert await judged(rights, forged) is Verdict.UNAUTHENTICATED

    play(scenario)


def test_a_token_may_be_taken_until_it_is_known_to_be_bad() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        good, ended = token(seconds=9000), token(seconds=-9000)
        assert rights.may_be_taken(good)
        assert not rights.may_be_taken(ended)
        assert not rights.may_be_taken(good[:-4] + b"AAAA")
        learn(rights, holder(good), code=401)
        assert not rights.may_be_taken(good)

    play(scenario)


def test_a_token_that_anybody_can_make_up_is_taken_once_the_api_server_took_it() -> (
    None
):
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder(b"opaque")
        assert not rights.may_be_taken(one.token)
        learn(rights, one, code=403)  # it is somebody, who may not
        assert rights.may_be_taken(one.token)
        assert not rights.may_be_taken(b"opaqve")
        learn(rights, one, code=401)
        assert not rights.may_be_taken(one.token)

    play(scenario)


def test_an_opaque_token_is_known_by_itself_alone() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder(b"opaque-token")
        assert await judged(rights, one) is Verdict.UNKNOWN
        learn(rights, one)
        assert await judged(rights, one) is Verdict.ALLOWED
        assert await judged(rights, holder(b"opaque-toker")) is Verdict.UNKNOWN
        learn(rights, one, code=401)
        assert await judged(rights, one) is Verdict.UNAUTHENTICATED

    play(scenario)


def test_what_was_learned_before_the_keys_came_is_the_owner_s_then() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        known = rights.verifier._set
        rights.verifier.use(known._replace(keys={}))
        one = holder()
        learn(rights, one)
        rights.verifier.use(known)
        assert await judged(rights, one) is Verdict.ALLOWED
        owner = rights.verifier.check(one.token, now=clock.wall()).identity
        assert dict(rights.book.told(owner))
        assert not dict(rights.book.told(rights.book.identity_of(one.token)))

    play(scenario)


def test_only_reads_and_plain_words_teach() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder()
        learn(rights, one, method="POST", code=403)
        learn(rights, one, code=404)
        learn(rights, one, code=500)
        learn(rights, holder(impersonates=True))
        learn(rights, caller(remote=("10.0.0.9", 1)), code=403)
        assert await judged(rights, one) is Verdict.UNKNOWN
        assert list(rights.book.told(NODE)) == []

    play(scenario)


def test_nobody_and_impersonation_are_never_answered() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder()
        learn(rights, one)
        as_admin = holder(one.token, impersonates=True)
        assert await judged(rights, as_admin) is Verdict.UNKNOWN
        nobody = caller(remote=("10.244.0.9", 4))
        assert await judged(rights, nobody) is Verdict.UNKNOWN

    play(scenario)


def test_the_operator_s_list_lets_reads_through_and_no_more() -> None:
    user = "system:serviceaccount:shop:web"
    listed = frozenset({(user, "pods"), (user, "leases.coordination.k8s.io")})
    leases = "/apis/coordination.k8s.io/v1/leases"

    async def scenario() -> None:
        rights = make(allowed=listed)
        assert await judged(rights, holder()) is Verdict.ALLOWED
        assert await judged(rights, holder(), leases) is Verdict.ALLOWED
        assert await judged(rights, holder(), "/api/v1/secrets") is Verdict.UNKNOWN
        assert await judged(rights, holder(), method="POST") is Verdict.UNKNOWN
        assert await judged(rights, holder(token("other"))) is Verdict.UNKNOWN
        forged = TokenKeys(algorithm="ES256").mint("shop", "web", now=NOW).encode()
        assert await judged(rights, holder(forged)) is not Verdict.ALLOWED
        rights = make(allowed=frozenset({(user, "*")}))
        assert await judged(rights, holder(), "/api/v1/secrets") is Verdict.ALLOWED

    asyncio.run(scenario())


def test_the_node_reads_what_a_token_s_owner_was_told_only_by_its_own_right() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        node, one = caller(), holder()
        assert await judged(rights, node) is Verdict.ALLOWED
        learn(rights, one, code=403)
        assert await judged(rights, node) is Verdict.ALLOWED
        learn(rights, one)
        assert await judged(rights, node) is Verdict.UNKNOWN
        assert await judged(rights, node, "/api/v1/nodes") is Verdict.ALLOWED
        learn(rights, node, node=True)
        await clock.advance(1_000_000)
        assert await judged(rights, node) is Verdict.ALLOWED  # it does not lapse
        learn(rights, node, code=403, node=True)
        assert await judged(rights, node) is Verdict.FORBIDDEN

    play(scenario)


def test_what_is_not_kept_feeds_nothing() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        learn(rights, holder(), agent=b"kubelet/v1.34")
        learn(rights, holder(), "/version")
        assert await judged(rights, caller()) is Verdict.ALLOWED
        rights._keeps = lambda call: call.component == "coredns"
        learn(rights, holder())
        assert await judged(rights, caller()) is Verdict.ALLOWED
        learn(rights, holder(), agent=b"coredns/1")
        assert await judged(rights, caller()) is Verdict.UNKNOWN

    play(scenario)


def test_discovery_is_a_question_of_its_path() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one = holder()
        learn(rights, one, "/apis?x=1", code=304)
        assert await judged(rights, one, "/apis") is Verdict.ALLOWED
        assert await judged(rights, one, "/apis/apps/v1") is Verdict.UNKNOWN
        assert await judged(rights, holder(token("other")), "/apis") is Verdict.UNKNOWN

    play(scenario)


def test_who_asks_ahead_is_told_of_tokens_alone() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        told = []
        rights.learned = lambda *what: told.append(what)
        one = holder()
        learn(rights, caller(), node=True)
        learn(rights, one, code=401)
        assert told == []
        learn(rights, one)
        [(who, question, checked)] = told
        assert (who, question) == (one, Question("list", "", "pods", "", "shop"))
        assert checked.user == "system:serviceaccount:shop:web"

    play(scenario)


def test_a_selector_that_pins_a_name_is_a_question_of_that_name() -> None:
    one = caller()
    pinned = call(PODS + "?fieldSelector=metadata.name%3Da", one)
    assert question_of(pinned) == Question("list", "", "pods", "", "shop", "a")
    both = call(PODS + "?fieldSelector=metadata.name%3Da,spec.nodeName%3Dn", one)
    assert question_of(both).selector == "metadata.name=a,spec.nodeName=n"
    labelled = call(PODS + "?labelSelector=a%3Db&fieldSelector=x%3Dy", one)
    assert question_of(labelled).selector == "a=b&x=y"
    status = call(PODS + "/a/status", one)
    assert question_of(status) == Question("get", "", "pods", "status", "shop", "a")


@pytest.mark.parametrize("clock", [0.0, 1_500_000_000.0])
def test_a_clock_that_is_wrong_makes_no_token_good(clock: float) -> None:
    rights = make(clock=VirtualClock(clock))
    assert verdict(rights, holder()) is Verdict.UNKNOWN


def test_who_shares_an_answer_online_was_lately_allowed_it() -> None:
    async def scenario(rights: Rights, clock: VirtualClock) -> None:
        one, asked = holder(), call(PODS, holder())
        assert not rights.heard_lately(one, asked, 600)
        learn(rights, one)
        assert rights.heard_lately(one, asked, 600)
        assert rights.heard_lately(holder(token(seconds=50_000)), asked, 600)
        assert not rights.heard_lately(caller(), asked, 600)
        assert not rights.heard_lately(holder(impersonates=True), asked, 600)
        await clock.advance(601)
        assert not rights.heard_lately(one, asked, 600)
        assert await judged(rights, one) is Verdict.ALLOWED  # cut off it still is
        learn(rights, one, code=403)
        assert not rights.heard_lately(one, asked, 600)
        learn(rights, one)
        learn(rights, one, code=401)
        assert not rights.heard_lately(one, asked, 600)

    play(scenario)
