# SPDX-License-Identifier: Apache-2.0
"""A Lease of another node, renewed in the cloud: only forward, only its renewTime."""

import asyncio
import json

import pytest

from toono.errors import BadResponseError, UpstreamError
from toono.pool.delegate import Heartbeat
from toono.pool.heartbeat import ATTEMPTS, MAX_LEASE_BYTES, CloudLeases
from toono.wire.messages import Answer, BytesBody

OLD, NEW = "2026-11-21T01:00:00.000000Z", "2026-11-21T01:00:10.000000Z"
LEASE = {
    "metadata": {"name": "edge-2", "resourceVersion": "7"},
    "spec": {"holderIdentity": "edge-2", "renewTime": OLD},
}
TARGET = b"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/edge-2"


class Cloud:
    """Answers in turn; remembers what it was asked."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bytes, bytes]] = []

    async def __call__(self, method: str, target: bytes, content: bytes) -> Answer:
        self.asked.append((method, target, content))
        status, told = self.answers.pop(0)
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        return Answer(
            status=status, reason=b"", headers=[], fields={}, body=BytesBody(body)
        )


def renew(cloud: Cloud, node: str = "edge-2") -> bool:
    return asyncio.run(CloudLeases(cloud).renew(Heartbeat(node, NEW)))


def test_nothing_but_the_time_changes() -> None:
    cloud = Cloud((200, LEASE), (200, {}))
    assert renew(cloud)
    (get, put) = cloud.asked
    assert get == ("GET", TARGET, b"")
    assert put[:2] == ("PUT", TARGET)
    spec = LEASE["spec"] | {"renewTime": NEW}
    assert json.loads(put[2]) == LEASE | {"spec": spec}


@pytest.mark.parametrize("at", [NEW, "2026-11-21T01:00:11.000000Z"])
def test_it_never_goes_back(at) -> None:
    cloud = Cloud((200, LEASE | {"spec": {"renewTime": at}}))
    assert renew(cloud)
    assert len(cloud.asked) == 1


def test_a_lease_that_was_never_renewed_is() -> None:
    cloud = Cloud((200, LEASE | {"spec": {}}), (200, {}))
    assert renew(cloud)


def test_what_the_cloud_does_not_have_is_not_made() -> None:
    cloud = Cloud((404, {}))
    assert not renew(cloud)


@pytest.mark.parametrize("node", ["", "..", "a/b", "."])
def test_a_name_that_is_none_is_not_asked_for(node) -> None:
    assert not renew(Cloud(), node)


def test_who_comes_between_is_asked_again() -> None:
    cloud = Cloud((200, LEASE), (409, {}), (200, LEASE), (200, {}))
    assert renew(cloud)
    assert renew_error(*[(200, LEASE), (409, {})] * ATTEMPTS) is UpstreamError


def renew_error(*answers: tuple[int, object]) -> type[Exception]:
    with pytest.raises((UpstreamError, BadResponseError)) as caught:
        renew(Cloud(*answers))
    return caught.type


@pytest.mark.parametrize(
    "answers",
    [
        [(403, {})],
        [(200, b"<html>")],
        [(200, b"[" * 5000)],
        [(200, [1])],
        [(200, {"spec": 1})],
        [(200, b" " * (MAX_LEASE_BYTES + 1))],
        [(200, LEASE), (403, {})],
        [(500, LEASE)],
    ],
)
def test_what_is_no_lease_is_an_error(answers) -> None:
    assert issubclass(renew_error(*answers), BadResponseError)
