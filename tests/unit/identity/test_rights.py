# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from toono.identity.rights import Rights, is_loopback, is_of_pod
from toono.identity.sockets import Owner, SocketLookupError
from toono.kube.request import Call, Caller

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

    rights = Rights(owner=look_up, **settings)
    call = Call(method="GET", target=b"/", path="/", verb="get", caller=one)
    may = asyncio.run(rights.may(one, call))
    assert asyncio.run(rights.is_node(one)) is may
    return may


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


def test_a_connection_is_looked_up_once() -> None:
    asked = []

    def look_up(client, server) -> Owner:
        asked.append(client)
        return Owner(0, HOST)

    async def scenario() -> None:
        rights = Rights(owner=look_up)
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
