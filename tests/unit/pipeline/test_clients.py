# SPDX-License-Identifier: Apache-2.0
"""Who a client is for the limits: nothing that it may choose by itself."""

import asyncio

import pytest

from toono.identity.book import Book
from toono.identity.rights import Rights
from toono.identity.sockets import Owner
from toono.kube.request import Call, Caller, parse
from toono.pipeline import clients
from toono.pipeline.clients import KUBELET, Clients, by_address
from toono.store.memory import MemoryStore
from toono.testing.clock import VirtualClock

HERE = "127.0.0.1"
LINK = "169.254.2.1"
ROOT = Owner(0, frozenset({"/system.slice/kubelet.service"}))
POD = Owner(0, frozenset({"/kubepods.slice/kubepods-pod1.slice"}))


def call(
    agent: str,
    *,
    source: str = HERE,
    to: str = HERE,
    token: bytes = b"",
    connection: int = 1,
    impersonates: bool = False,
) -> Call:
    caller = Caller(
        connection=connection,
        local=(to, 10261),
        remote=(source, 5),
        token=token,
        impersonates=impersonates,
    )
    return parse("GET", b"/api/v1/pods", {b"user-agent": agent.encode()}, caller)


def rights(owner: Owner = POD) -> Rights:
    store = MemoryStore()
    return Rights(Book(store), clock=VirtualClock(), owner=lambda *_: owner)


async def of(known: Rights, *calls: Call) -> list[clients.Client]:
    """Return whose the calls are, each once its connection was looked at."""
    told = Clients(known)
    for one in calls:
        await known.is_node(one.caller)
    return [told.of(one) for one in calls]


def test_the_node_s_programs_are_told_apart_by_name() -> None:
    kubelet, proxy = call("kubelet/v1"), call("kube-proxy/v1")
    found = asyncio.run(of(rights(ROOT), kubelet, proxy))
    assert found == [KUBELET, ("node", "kube-proxy")]


@pytest.mark.parametrize(
    ("source", "to"),
    [(HERE, HERE), ("::1", "::1"), (LINK, LINK), ("10.0.0.7", LINK)],
    ids=["loopback", "loopback-6", "host-network", "pod"],
)
def test_a_pod_is_one_client_whatever_it_calls_itself(source: str, to: str) -> None:
    names = [call(name, source=source, to=to) for name in ("kubelet", "a", "b", "")]
    assert set(asyncio.run(of(rights(), *names))) == {(source, "")}


def test_a_connection_nobody_has_looked_at_is_not_the_kubelet_s() -> None:
    assert Clients(rights(ROOT)).of(call("kubelet")) == (HERE, "")


def test_who_impersonates_is_not_the_kubelet() -> None:
    one = call("kubelet", impersonates=True)
    assert asyncio.run(of(rights(ROOT), one)) == [(HERE, "")]


def test_on_the_machine_s_own_address_a_token_that_was_taken_is_its_owner() -> None:
    async def story() -> None:
        known = rights()
        first, second = call("a", token=b"one"), call("b", token=b"two")
        assert await of(known, first, second) == [(HERE, ""), (HERE, "")]
        for one in (first, second):
            known.learn(one.caller, one, 200, node=False)
        again = call("c", token=b"one", connection=9)
        mine, other, same = await of(known, first, second, again)
        assert mine == same
        assert len({mine, other, (HERE, "")}) == 3

    asyncio.run(story())


def test_a_token_made_up_anew_each_time_makes_no_new_client() -> None:
    async def story() -> None:
        known = rights()
        calls = [call("a", token=b"made-up-%d" % n) for n in range(100)]
        for one in calls:
            known.learn(one.caller, one, 401, node=False)
        assert set(await of(known, *calls)) == {(HERE, "")}

    asyncio.run(story())


def test_a_pod_with_an_address_of_its_own_gains_nothing_by_tokens() -> None:
    async def story() -> None:
        known = rights()
        calls = [call("a", source="10.0.0.7", token=b"token-%d" % n) for n in range(3)]
        for one in calls:
            known.learn(one.caller, one, 200, node=False)
        assert set(await of(known, *calls)) == {("10.0.0.7", "")}

    asyncio.run(story())


def test_a_connection_that_comes_under_another_token_is_that_one_s() -> None:
    async def story() -> None:
        known = rights()
        told, first, second = (
            Clients(known),
            *(call("a", token=t) for t in (b"1", b"2")),
        )
        for one in (first, second):
            known.learn(one.caller, one, 200, node=False)
        assert told.of(first) == told.of(first) != told.of(second)
        assert told.of(first)[0] == known.owner_of(b"1")

    asyncio.run(story())


def test_what_is_remembered_of_connections_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(clients, "MAX_CONNECTIONS", 3)
    known = rights()
    told = Clients(known)

    async def story() -> None:
        for number in range(10):
            one = call("a", token=b"token", connection=number)
            known.learn(one.caller, one, 200, node=False)
            told.of(one)

    asyncio.run(story())
    assert list(told._owners) == [7, 8, 9]


def test_without_rights_an_address_is_a_client() -> None:
    assert by_address(call("kubelet")) == by_address(call("a")) == (HERE, "")
