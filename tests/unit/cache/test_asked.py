# SPDX-License-Identifier: Apache-2.0
import msgspec

from tests.unit.cache.kit import CALLER, call
from toono.cache.asked import MAX_COMPONENTS, MAX_RESOURCES, Asked
from toono.cache.policy import Policy

POLICY = Policy.of()


def names(asked: Asked, policy: Policy = POLICY) -> list[object]:
    return [one["component"] for one in asked.not_kept(policy)]


def test_who_asked_and_was_not_kept_is_listed_busiest_first() -> None:
    asked = Asked()
    for agent in ("a/v1", "b/v1", "b/v2", "kubelet/v1"):
        asked.note(call("/api/v1/pods", agent=agent), POLICY, now=5.0)
    asked.note(call("/apis/apps/v1/deployments", agent="b/v1"), POLICY, now=7.0)
    assert asked.not_kept(POLICY) == [
        {
            "component": "b",
            "requests": 3,
            "lastSeen": 7.0,
            "ownToken": False,
            "resources": ["deployments.apps", "pods"],
        },
        {
            "component": "a",
            "requests": 1,
            "lastSeen": 5.0,
            "ownToken": False,
            "resources": ["pods"],
        },
    ]


def test_what_can_never_be_kept_is_not_told() -> None:
    asked = Asked()
    for told in (
        call("/version", agent="a/v1"),
        call("/api/v1/pods", agent=""),
        call("/api/v1/pods/x", agent="a/v1", method="DELETE"),
        call("/apis/authentication.k8s.io/v1/tokenreviews", agent="a/v1"),
        msgspec.structs.replace(call("/api/v1/pods", agent="a/v1"), edge_cache=True),
    ):
        asked.note(told, POLICY, now=5.0)
    assert names(asked) == []


def test_who_is_kept_by_now_is_not_told() -> None:
    asked = Asked()
    asked.note(call("/api/v1/pods", agent="a/v1"), POLICY, now=5.0)
    asked.note(call("/api/v1/pods", agent="b/v1"), POLICY, now=5.0)
    assert names(asked, Policy.of("a")) == ["b"]
    assert names(asked, Policy.of("*")) == []


def test_a_token_of_its_own_is_told() -> None:
    asked = Asked()
    own = msgspec.structs.replace(CALLER, token=b"x")
    told = msgspec.structs.replace(call("/api/v1/pods", agent="a/v1"), caller=own)
    asked.note(told, POLICY, now=5.0)
    asked.note(call("/api/v1/pods", agent="a/v1"), POLICY, now=5.0)
    assert asked.not_kept(POLICY)[0]["ownToken"] is True


def test_whoever_makes_up_names_fills_no_memory() -> None:
    asked = Asked()
    for number in range(MAX_COMPONENTS + 1):
        asked.note(call("/api/v1/pods", agent=f"a{number}"), POLICY, now=5.0)
        asked.note(call("/api/v1/pods", agent="first"), POLICY, now=5.0)
    for number in range(MAX_RESOURCES + 9):
        asked.note(call(f"/api/v1/r{number}", agent="first"), POLICY, now=5.0)
    told = asked.not_kept(POLICY)
    assert len(told) == MAX_COMPONENTS
    assert told[0]["component"] == "first"
    assert len(told[0]["resources"]) == MAX_RESOURCES
