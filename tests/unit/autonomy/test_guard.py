# SPDX-License-Identifier: Apache-2.0
"""What takes away half of a node's pods is believed only after a second read."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.autonomy.lease_world import CALLER
from toono.autonomy.cloud import Told
from toono.autonomy.guard import ACCEPT, PodGuard, sudden_loss
from toono.errors import UpstreamError
from toono.kube.request import Call, parse

PODS = "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1"
NAMES = [("default", f"p{number}") for number in range(10)]
SETS = st.frozensets(st.sampled_from(NAMES))


def call(target: str = PODS, method: str = "GET") -> Call:
    return parse(method, target.encode(), {}, CALLER)


@given(known=SETS, told=SETS)
def test_a_loss_of_half_or_more_is_sudden(known, told) -> None:
    gone = known - told
    lost = sudden_loss(known, told)
    assert lost == (gone if 2 * len(gone) >= len(known) else frozenset())


def test_an_only_pod_is_all_of_them() -> None:
    assert sudden_loss(NAMES[:1], []) == {NAMES[0]}
    assert sudden_loss([], NAMES) == frozenset()


class Cloud:
    def __init__(self, told: Told | Exception) -> None:
        self.told = told
        self.asked: list = []

    async def ask(self, method, target, *, accept) -> Told:
        self.asked.append((method, target, accept))
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


def listed(*names: tuple[str, str], status: int = 200, **meta: str) -> Told:
    content = {
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "9"} | meta,
        "items": [
            {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"namespace": space, "name": name, "resourceVersion": "3"},
            }
            for space, name in names
        ],
    }
    packed = json.dumps(content, separators=(",", ":")).encode()
    return Told(status, "application/json", packed)


def asked(told: Told | Exception, lost=NAMES[:2]) -> tuple[bool, PodGuard, Cloud]:
    cloud = Cloud(told)
    guard = PodGuard(cloud, "edge-1")
    return asyncio.run(guard.confirms(call(), lost)), guard, cloud


def test_a_second_read_that_agrees_confirms() -> None:
    confirmed, guard, cloud = asked(listed(NAMES[5]))
    assert confirmed
    assert (guard.confirmed, guard.refused, guard.problem) == (1, 0, "")
    assert cloud.asked == [("GET", PODS, ACCEPT)]
    assert "resourceVersion" not in PODS


def test_a_second_read_that_knows_the_pods_holds_the_list_back() -> None:
    confirmed, guard, _ = asked(listed(NAMES[0], NAMES[5]))
    assert not confirmed
    assert guard.refused == 1
    problem = "a list without 2 pods was held back: 1 of them are there"
    assert guard.problem == problem
    assert asyncio.run(guard.confirms(call(), ()))
    assert guard.problem == ""


@pytest.mark.parametrize(
    "told",
    [
        UpstreamError("cut"),
        Told(200, "text/html", b"<html>Sign in</html>"),
        Told(200, "application/json", b"{}"),
        Told(200, "application/json", b'{"kind":"Status","status":"Failure"}'),
        listed(status=401),
        listed(status=403),
        listed(status=429),
        listed(status=500),
        listed(resourceVersion=""),
        listed(resourceVersion="0"),
        listed(**{"continue": "more"}),
    ],
)
def test_whatever_is_no_list_confirms_nothing(told) -> None:
    confirmed, guard, _ = asked(told)
    assert not confirmed
    assert guard.refused == 1


def test_nothing_lost_asks_nobody() -> None:
    confirmed, _, cloud = asked(UpstreamError("cut"), lost=())
    assert confirmed
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("target", "concerned"),
    [
        (PODS, True),
        (PODS + "&limit=500&resourceVersion=0", True),
        (PODS + "&watch=true&resourceVersion=5", True),
        (PODS + "%2Cstatus.phase%21%3DFailed", True),
        (PODS + "&continue=x", True),
        (PODS.replace("%3D", "%3D%3D"), True),
        (PODS.replace("%3D", "%21%3D"), False),
        (PODS.replace("edge-1", "edge-10"), False),
        (PODS.replace("/pods", "/namespaces/a/pods"), False),
        (PODS.replace("/pods", "/secrets"), False),
        ("/apis/a.example/v1/pods?fieldSelector=spec.nodeName%3Dedge-1", False),
        ("/api/v1/pods", False),
        ("/api/v1/namespaces/default/pods/a", False),
    ],
)
def test_which_questions_are_the_nodes_pods(target, concerned) -> None:
    assert PodGuard(Cloud(listed()), "edge-1").concerns(call(target)) is concerned
