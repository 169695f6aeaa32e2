# SPDX-License-Identifier: Apache-2.0
import asyncio
import functools
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cache.kit import Cache, pod, pod_list
from toono.cache.policy import DEFAULT_AGENTS, Policy
from toono.config.live import (
    ACCOUNTS_KEY,
    MAX_CHARS,
    MAX_NAMES,
    ROW_KEY,
    LiveAgents,
    parse_accounts,
    parse_agents,
)
from toono.errors import StoreFullError
from toono.kube.component import component_of
from toono.store.base import Batch
from toono.testing.clock import VirtualClock

PODS = "/api/v1/pods"
BY_NAME, BY_LABEL = "by name", "by label"


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("", set()),
        (" , ,", set()),
        ("a", {"a"}),
        (" Cilium-Agent,b ,,", {"cilium-agent", "b"}),
        ("*", {"*"}),
        ("a,*", {"a", "*"}),
        ("kubelet/v1.34", {"kubelet"}),
        ("../../etc/passwd", {"%2E."}),
        ("%2E.", {"%2E."}),
    ],
)
def test_names_are_read_as_yurthub_writes_them(text: str, agents: set) -> None:
    assert parse_agents(text) == agents


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "a\nb",
        "a,/etc",
        "a\0b",
        "cilium-*",
        "a" * (MAX_CHARS + 1),
        ",".join(f"a{number}" for number in range(MAX_NAMES + 1)),
    ],
)
def test_a_list_with_one_bad_name_is_bad_as_a_whole(text: str) -> None:
    assert not isinstance(parse_agents(text), frozenset)


@given(st.text(max_size=200))
def test_whatever_is_written_names_safe_components_or_is_bad(text: str) -> None:
    found = parse_agents(text)
    if not isinstance(found, frozenset):
        assert found.why
        return
    for name in found - {"*"}:
        assert component_of(name.replace("%", "")) or "%" in name
        assert not set(name) & set("/\\ ,*\0")
        assert name not in ("", ".", "..")
        assert not name.startswith("_")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_what_is_shown_as_not_kept_can_be_added_as_it_is_shown(agents: list) -> None:
    shown = {component_of(agent.decode("latin-1")) for agent in agents} - {""}
    assert parse_agents(", ".join(sorted(shown))) == shown


def configmap(text: str | None, accounts: str | None = None) -> bytes:
    data = {} if text is None else {"cache_agents": text, "servicetopology": ""}
    if accounts is not None:
        data[ACCOUNTS_KEY] = accounts
    return json.dumps({"metadata": {"name": "yurt-hub-cfg"}, "data": data}).encode()


def on_a_loop(test):
    """Run a test that waits for nothing where stores can make futures."""

    @functools.wraps(test)
    def run(*given, **named) -> None:
        async def scenario() -> None:
            test(*given, **named)

        asyncio.run(scenario())

    return run


class Live:
    """A cache whose policy follows what a test says of ConfigMaps."""

    def __init__(self, *fixed: str, store=None) -> None:
        self.cache = Cache(store)
        self.policies: list[Policy] = []
        self.live = LiveAgents(
            self.cache.store,
            self.cache.scopes,
            fixed=fixed,
            changed=self.changed,
        )

    def changed(self, policy: Policy) -> None:
        self.policies.append(policy)
        self.cache.recorder.policy = policy

    def say(self, text: str | None, *, source: str = BY_NAME) -> None:
        self.live.take(source, {"yurt-hub-cfg": configmap(text)})

    @property
    def extra(self) -> set[str]:
        return set(self.live.policy.agents - DEFAULT_AGENTS)


def test_added_agents_are_kept_at_once_and_removed_ones_given_up() -> None:
    async def scenario() -> None:
        one = Live()
        one.say("Cilium-Agent, b")
        for agent in ("cilium-agent", "b", "kubelet", "stranger"):
            await one.cache.take(PODS, pod_list(20, pod("a", 5)), agent=f"{agent}/v1")
        one.say("b")
        kept = [scope.question.component for scope in one.cache.scopes.all()]
        assert kept == ["b", "kubelet"]
        one.live.take(BY_NAME, {})
        kept = [scope.question.component for scope in one.cache.scopes.all()]
        assert kept == ["kubelet"]
        assert one.extra == set()

    asyncio.run(scenario())


def test_what_was_kept_by_hand_or_header_outlives_other_removals() -> None:
    async def scenario() -> None:
        one = Live()
        one.say("b")
        one.cache.recorder.policy = Policy.of("*")
        await one.cache.take(PODS, pod_list(20, pod("a", 5)), agent="header/v1")
        one.say("")
        assert [s.question.component for s in one.cache.scopes.all()] == ["header"]
        one.say("*")
        one.say("")
        assert list(one.cache.scopes.all()) == []

    asyncio.run(scenario())


def test_a_star_retires_nobody() -> None:
    async def scenario() -> None:
        one = Live()
        one.say("b")
        await one.cache.take(PODS, pod_list(20, pod("a", 5)), agent="b/v1")
        one.say("*")
        assert [s.question.component for s in one.cache.scopes.all()] == ["b"]

    asyncio.run(scenario())


@pytest.mark.parametrize("bad", ["a b", "x-*", "/"])
@on_a_loop
def test_a_bad_value_keeps_the_last_good_one_and_is_shown(bad: str, caplog) -> None:
    one = Live()
    one.say("good")
    with caplog.at_level(logging.WARNING):
        one.say(bad)
        one.say(bad)
    assert one.extra == {"good"}
    assert "yurt-hub-cfg" in one.live.problem
    assert one.live.bad_values == 1
    assert len(caplog.records) == 1
    one.say("better")
    assert one.extra == {"better"}
    assert one.live.problem == ""


@on_a_loop
def test_what_is_no_configmap_changes_nothing() -> None:
    one = Live()
    one.say("good")
    for content in (b"", b"[]", b'{"data":{"cache_agents":7}}', b"\xff"):
        one.live.take(BY_NAME, {"x": content})
        assert one.extra == {"good"}
        assert one.live.problem


@on_a_loop
def test_equal_words_are_taken_once() -> None:
    one = Live()
    for _ in range(3):
        one.say("a")
        one.say("a", source=BY_LABEL)
    assert len(one.policies) == 2


@on_a_loop
def test_options_and_several_configmaps_are_read_as_one() -> None:
    one = Live("fixed")
    one.say("a")
    one.say("b", source=BY_LABEL)
    assert one.extra == {"fixed", "a", "b"}
    one.say(None)
    assert one.extra == {"fixed", "b"}
    assert one.live.names == {"b"}


def test_the_last_good_agents_survive_a_restart_until_the_cloud_says_else() -> None:
    async def scenario() -> None:
        one = Live("fixed")
        one.say("a")
        one.say("b", source=BY_LABEL)
        for agent in ("a", "b", "fixed"):
            await one.cache.take(PODS, pod_list(20, pod("a", 5)), agent=f"{agent}/v1")
        again = Live(store=one.cache.store)
        await again.cache.scopes.open()
        await again.live.open()
        assert again.extra == {"a", "b"}
        kept = [scope.question.component for scope in again.cache.scopes.all()]
        assert kept == ["a", "b"]
        again.live.take(BY_NAME, {})
        assert again.extra == {"b"}
        kept = [scope.question.component for scope in again.cache.scopes.all()]
        assert kept == ["b"]
        await again.cache.scopes.aclose()

    asyncio.run(scenario())


def test_a_row_that_cannot_be_read_is_as_none() -> None:
    async def scenario() -> None:
        one = Live("fixed")
        one.cache.store.apply(Batch(puts=[(ROW_KEY, b"\xc1")]))
        await one.live.open()
        assert one.extra == {"fixed"}

    asyncio.run(scenario())


def test_a_disk_that_is_full_costs_only_the_memory_over_a_restart(monkeypatch) -> None:
    one = Live()

    def full(batch, *, sync=False):
        raise StoreFullError("full")

    monkeypatch.setattr(one.cache.store, "apply", full)
    one.say("a")
    assert one.extra == {"a"}


def test_each_configmap_is_followed_by_the_right_that_it_takes() -> None:
    one = Live()
    followers = one.live.followers(None, namespace="edge", clock=VirtualClock())
    assert len(followers) == 3
    assert one.live.forbidden == 0
    followers[0].forbidden = True
    assert one.live.forbidden == 1
    targets = [follower._followed.target for follower in followers]
    assert targets[:2] == [
        "/api/v1/namespaces/edge/configmaps?fieldSelector=metadata.name%3Dyurt-hub-cfg",
        "/api/v1/namespaces/edge/configmaps?fieldSelector=metadata.name%3Dyurthub-cfg",
    ]
    assert "labelSelector=openyurt.io%2Fconfigmap-name" in targets[2]


def test_service_accounts_are_a_rule_of_their_own() -> None:
    user = "system:serviceaccount:kube-system:cilium"
    assert parse_accounts("kube-system/cilium, ,") == {user}
    assert parse_accounts("") == frozenset()
    for bad in ("cilium", "a/*", "a" * (MAX_CHARS + 1)):
        found = parse_accounts(bad)
        assert not isinstance(found, frozenset)
        assert found.key == ACCOUNTS_KEY
    many = ",".join(f"a/b{number}" for number in range(MAX_NAMES + 1))
    assert not isinstance(parse_accounts(many), frozenset)


def test_a_service_account_is_kept_whatever_it_calls_itself() -> None:
    async def scenario() -> None:
        one = Live()
        user = "system:serviceaccount:kube-system:cilium"
        one.live.take(BY_NAME, {"x": configmap("mine", "kube-system/cilium")})
        assert one.extra == {"mine", user}
        one.cache.recorder.policy = Policy.of("go-http-client", "mine")
        for agent in ("go-http-client", "mine", "kubelet"):
            await one.cache.take(PODS, pod_list(20, pod("a", 5)), agent=f"{agent}/1")
        one.live.take(BY_NAME, {"x": configmap("mine", "no account")})
        problem = f"{ACCOUNTS_KEY}: 'no account' is no service account"
        assert problem in one.live.problem
        assert len(list(one.cache.scopes.all())) == 3
        one.live.take(BY_NAME, {"x": configmap("mine")})
        assert one.extra == {"mine"}
        kept = {scope.question.component for scope in one.cache.scopes.all()}
        assert kept == {"mine", "kubelet"}

    asyncio.run(scenario())
