# SPDX-License-Identifier: Apache-2.0
"""Which questions are shared, and what is passed on to the cloud instead."""

import asyncio

import pytest

from toono.filters.follow import Question
from toono.kube.request import Call, Caller, parse
from toono.multiplex import shared as module
from toono.multiplex.feed import Feed
from toono.multiplex.shared import DEFAULTS, Resource, Shared
from toono.runtime.tasks import spawn
from toono.testing.clock import VirtualClock, settle
from toono.wire.messages import Response

from .kit import CODEC, PROTOBUF, bookmark, list_body, service

NOBODY = Caller(connection=1, local=("", 0), remote=("", 0))
SERVICES = "/api/v1/services"


def call(query: str, path: str = SERVICES, *, accept: str = PROTOBUF) -> Call:
    fields = {b"accept": accept.encode(), b"user-agent": b"agent/1"}
    return parse("GET", f"{path}?{query}".encode(), fields, NOBODY)


async def nowhere(target: str, accept: str, *, cached: bool) -> Response:
    raise AssertionError("nothing is asked here")


def opened(*, live: bool = True) -> tuple[Shared, Feed]:
    feed = Feed(Question(SERVICES), nowhere, clock=VirtualClock(), kept=lambda _: False)
    if live:
        parts = CODEC.split_list(list_body(9, service("web", 5)))
        feed.listed(CODEC, parts, cached=False)
        feed.watching(live=True)
    return Shared({DEFAULTS[0]: feed}, [(b"Via", b"x")]), feed


def say(feed: Feed, frame: bytes) -> None:
    event = CODEC.read_event(frame)
    assert event.object is not None
    feed.happened(CODEC, event, event.object, frame)


def test_resources_by_name() -> None:
    slices = Resource("discovery.k8s.io", "v1", "endpointslices")
    assert Resource.of("discovery.k8s.io/v1/endpointslices") == slices
    assert slices.path == "/apis/discovery.k8s.io/v1/endpointslices"
    assert Resource.of(" /v1/services ") == DEFAULTS[0]
    assert DEFAULTS[0].path == SERVICES
    for text in ("services", "v1/services", "a/b/c/d", "/v1/", "//services"):
        assert Resource.of(text) is None


def test_a_node_s_pods_are_never_shared_with_its_kubelet() -> None:
    """A list that lacks them must come by who asks a second time."""
    pods = Resource("", "v1", "pods")
    shared = Shared({pods: opened()[1]}, [])
    assert shared.takes(call("resourceVersion=0", pods.path))
    for query in ("resourceVersion=0", "watch=true&resourceVersion=7"):
        query += "&fieldSelector=spec.nodeName%3Dedge-1"
        assert not shared.takes(call(query, pods.path))


def test_a_node_s_pods_are_shared_by_who_shows_a_token() -> None:
    """No kubelet does: twenty agents are not to cost the cloud twenty watches."""
    pods = Resource("", "v1", "pods")
    shared = Shared({pods: opened()[1]}, [])
    fields = {b"accept": PROTOBUF.encode(), b"user-agent": b"agent/1"}
    agent = Caller(connection=1, local=("", 0), remote=("", 0), token=b"t")
    for query in ("resourceVersion=0", "watch=true&resourceVersion=5"):
        target = f"/api/v1/pods?{query}&fieldSelector=spec.nodeName%3Dedge-1".encode()
        assert shared.takes(parse("GET", target, fields, agent))
        assert not shared.takes(parse("GET", target, fields, NOBODY))


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ("resourceVersion=0", True),
        ("resourceVersion=0&limit=500", True),
        ("resourceVersion=5&resourceVersionMatch=NotOlderThan", True),
        ("watch=true&resourceVersion=0", True),
        ("watch=true&resourceVersion=7", True),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", True),
        (
            "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
            "&resourceVersion=0",
            False,
        ),
        ("", False),
        ("limit=500", False),
        ("resourceVersion=5&limit=500", False),
        ("resourceVersion=5&resourceVersionMatch=Exact", False),
        ("resourceVersion=0&continue=abc", False),
        ("watch=true", False),
        ("resourceVersion=0&fieldSelector=metadata.name%3Dweb", False),
        ("resourceVersion=0&shardSelector=x", False),
        ("resourceVersion=x", False),
    ],
)
def test_what_a_watch_cache_answers_is_shared(query: str, taken: bool) -> None:
    assert opened()[0].takes(call(query)) is taken


def test_other_things_are_not_shared() -> None:
    shared, _ = opened()
    query = "resourceVersion=0"
    assert not shared.takes(call(query, "/api/v1/pods"))
    assert not shared.takes(call(query, "/api/v1/namespaces/a/services/web"))
    assert not shared.takes(call(query, "/api/v1/namespaces/a/services/web/status"))
    table = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
    assert not shared.takes(call(query, accept=table))
    own = {b"user-agent": b"toono"}
    assert not shared.takes(parse("GET", f"{SERVICES}?{query}".encode(), own, NOBODY))
    head = parse("HEAD", f"{SERVICES}?{query}".encode(), {}, NOBODY)
    assert not shared.takes(head)


def answer(shared: Shared, query: str, accept: str = PROTOBUF) -> Response | None:
    return asyncio.run(shared.answer(call(query, accept=accept)))


@pytest.mark.parametrize(
    ("accept", "listed", "watched"),
    [
        (PROTOBUF, PROTOBUF, f"{PROTOBUF};stream=watch"),
        ("application/json", "application/json", "application/json"),
        (f"{PROTOBUF}, */*", PROTOBUF, f"{PROTOBUF};stream=watch"),
        ("*/*", "application/json", "application/json"),
    ],
)
def test_each_reader_has_its_form(accept: str, listed: str, watched: str) -> None:
    async def story() -> None:
        shared, _ = opened()
        for query, wanted in (("", listed), ("watch=true&", watched)):
            one = call(f"{query}resourceVersion=0", accept=accept)
            response = await shared.answer(one)
            assert response is not None
            assert response.headers == [
                (b"Content-Type", wanted.encode()),
                (b"Via", b"x"),
            ]

    asyncio.run(story())


def test_a_form_that_cannot_be_made_is_the_cloud_s_to_refuse() -> None:
    for accept in ("application/yaml", "application/*"):
        assert answer(opened()[0], "resourceVersion=0", accept) is None


def test_a_version_before_history_is_the_cloud_s_to_know() -> None:
    async def story() -> None:
        shared, _ = opened()
        for version, is_ours in ((8, False), (9, True), (10, False)):
            one = call(f"watch=true&resourceVersion={version}")
            assert (await shared.answer(one) is not None) is is_ours

    asyncio.run(story())


def test_a_list_waits_for_the_version_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEVEL_SECONDS", 0.01)

    async def story() -> None:
        shared, feed = opened()
        one = call("resourceVersion=12&resourceVersionMatch=NotOlderThan")
        assert await shared.answer(one) is None
        monkeypatch.setattr(module, "LEVEL_SECONDS", 5.0)
        got: list[Response | None] = []

        async def asking() -> None:
            got.append(await shared.answer(one))

        task = spawn(asking(), name="asking")
        await settle()
        say(feed, bookmark(11))
        await settle()
        assert got == []
        say(feed, bookmark(12))
        await task
        assert got[0] is not None
        assert feed.state.moved == []

    asyncio.run(story())


def test_who_cannot_wait_for_the_feed_asks_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READY_SECONDS", 0.01)
    shared, feed = opened(live=False)
    assert answer(shared, "resourceVersion=0") is None
    feed.refused = True
    feed.denied()
    assert answer(shared, "resourceVersion=0") is None
