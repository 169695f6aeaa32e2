# SPDX-License-Identifier: Apache-2.0
"""One copy, every form: recorded answers, each seen once, asked for in each other form.

What is compared is the real API server's own answer to that question in that form;
put aside are only ages and, where two recordings were made at two moments, the version
of the list.
"""

import asyncio
import itertools
import json
import os
import re

import pytest

from tests.rig import ask, begin, body, headers_of, hub_over, recordings, status_of
from tests.rig import until as wait_until
from toono.codec import cbor
from toono.codec.protobuf import ProtobufCodec
from toono.testing.replay import Recorded, Replay

WIRE = {
    (one.method, one.target, one.accept): one
    for one in recordings("exchanges")
    if one.method == "GET"
}
MINE = frozenset({os.getuid()})
JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
WHOLE, TABLE, PART = "whole", "table", "metadata"
HOLDS = {WHOLE: {WHOLE, TABLE, PART}, TABLE: {TABLE, PART}, PART: {PART}}
"""Which facts are among those of each kind of answer."""

LISTS = (
    "/api/v1/pods",
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/x.example.com/v1/crontabs",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/coordination.k8s.io/v1/leases",
)
ONES = (
    "/api/v1/namespaces/default/pods/web-0",
    "/api/v1/nodes/edge-1",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/edge-1",
)
DOCUMENT = re.compile(r"/(version|api|api/v1|apis(/[^/]+){0,2}|openapi/v3.*)\Z")
WHOLE_LIST = re.compile(r"(\?limit=500(&resourceVersion=0)?)?\Z")


def kind_of(one: Recorded) -> str:
    if "as=Table" in one.accept:
        return TABLE
    return PART if "as=PartialObjectMetadata" in one.accept else WHOLE


def family(path: str) -> list[Recorded]:
    """Return the recordings of one question, each in a form of its own."""
    found = {}
    for one in WIRE.values():
        name, _, query = one.target.partition("?")
        plain = WHOLE_LIST.match("?" + query if query else "") or path in ONES
        if name == path and plain and one.status == 200 and "cbor" not in one.accept:
            found[one.accept] = one
    return list(found.values())


CBOR = [
    one
    for one in WIRE.values()
    if one.accept == cbor.MEDIA_TYPE and "watch" not in one.target
]
"""Asked for, and never kept: it passes online as it is."""


def of_path(path: str) -> list[Recorded]:
    """Return the recordings of one path in CBOR."""
    return [one for one in CBOR if one.target.partition("?")[0] == path]


DEFINITIONS = [
    one for one in family(LISTS[4]) if kind_of(one) == WHOLE and one.accept == PROTOBUF
]
PAIRS = [
    (seen, asked)
    for path in LISTS + ONES
    for seen, asked in itertools.product(family(path), family(path) + of_path(path))
    if kind_of(asked) in HOLDS[kind_of(seen)]
]
LOSSY = [
    (seen, asked)
    for path in LISTS + ONES
    for seen, asked in itertools.product(family(path), repeat=2)
    if kind_of(asked) not in HOLDS[kind_of(seen)]
]


def test_no_pair_is_left_out() -> None:
    """Counts of what was recorded: a filter that matches less would prove less."""
    assert [len(family(path)) for path in LISTS] == [5, 4, 4, 4, 4, 4]
    assert [len(family(path)) for path in ONES] == [4, 2, 2]
    assert (len(PAIRS), len(LOSSY), len(CBOR)) == (97, 38, 3)


def by_seen(pairs) -> list:
    """Group pairs by what was seen, so that one hub answers all that are asked."""
    grouped = {}
    for seen, asked in pairs:
        grouped.setdefault((seen.target, seen.accept), (seen, []))[1].append(asked)
    return list(grouped.values())


def identify(value) -> str:
    if isinstance(value, Recorded):
        return f"{value.target[:60]} {value.accept[:60]}"
    return str(len(value))


async def hub_that_saw(seen: Recorded, tmp_path):
    replay = Replay([seen, *DEFINITIONS])
    await replay.start()
    context = hub_over([replay.address], tmp_path, agents=("*",), node_uids=MINE)
    hub = await context.__aenter__()
    await wait_until(lambda: hub.upstream.online)
    assert body(await ask(hub, seen.request)) == seen.body
    if "crontabs" in seen.target:  # whose columns stand in their definition
        for one in DEFINITIONS:
            assert status_of(await ask(hub, one.request)) == 200
    await replay.aclose()
    return context, hub


@pytest.mark.parametrize(("seen", "forms"), by_seen(PAIRS), ids=identify)
def test_what_was_seen_once_is_answered_in_each_form(seen, forms, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(seen, tmp_path)
        for asked in forms:
            answer = await ask(hub, asked.request)
            assert status_of(answer) == 200, (asked.accept, body(answer))
            assert content_type(answer) == content_type(asked.response)
            told, expected = body(answer), asked.body
            if asked.accept == seen.accept and kind_of(asked) != TABLE:
                assert told == expected  # the ages in a Table go on
            else:
                assert legible(told) == legible(expected), asked.accept
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("seen", CBOR, ids=identify)
def test_what_was_seen_in_cbor_is_unknown(seen: Recorded, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(seen, tmp_path)
        assert status_of(await ask(hub, seen.request)) == 503
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize(("seen", "forms"), by_seen(LOSSY), ids=identify)
def test_what_was_seen_in_part_is_never_made_whole(seen, forms, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(seen, tmp_path)
        for asked in forms:
            answer = await ask(hub, asked.request)
            assert status_of(answer) in (503, 406), asked.accept
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


def content_type(answer: bytes) -> str:
    return dict(headers_of(answer))["Content-Type"]


def legible(content: bytes) -> object:
    """Return an answer without what differs between two moments."""
    if content.startswith(b"k8s\0"):
        return legible_protobuf(content)
    in_cbor = content.startswith(cbor.TAG)
    document = cbor.decode(content) if in_cbor else json.loads(content)
    if document["kind"].endswith("List") or document["kind"] == "Table":
        document["metadata"].pop("resourceVersion")
    if document["kind"] == "Table":
        names = [column["name"] for column in document["columnDefinitions"]]
        for row in document["rows"]:
            row["cells"] = [
                cell
                for name, cell in zip(names, row["cells"], strict=True)
                if name not in ("Age", "Created At")
            ]
    return document


def legible_protobuf(content: bytes) -> object:
    codec = ProtobufCodec()
    try:
        parts = codec.split_list(content)
    except Exception:
        single = codec.read_single(content)
        return single.kind, single.api_version, single.object.data
    return parts.kind, parts.api_version, [item.data for item in parts.items]


# -- watch-lists -------------------------------------------------------------------------

BURSTS = [
    one
    for one in WIRE.values()
    if "sendInitialEvents" in one.target and one.status == 200
    if one.target.startswith("/api/v1/pods?")
]


BEGUN = [
    (seen, asked)
    for seen, asked in itertools.product(family("/api/v1/pods"), BURSTS)
    if kind_of(asked) in HOLDS[kind_of(seen)]
]


def test_no_burst_is_left_out() -> None:
    assert (len(BURSTS), len(BEGUN)) == (4, 11)


@pytest.mark.parametrize(("seen", "asked"), BEGUN, ids=identify)
def test_a_list_in_any_form_begins_a_watch_in_any_other(seen, asked, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(seen, tmp_path)
        reader, writer = await begin(hub, asked.request)
        heard = await reader.readuntil(b"k8s.io/initial-events-end")
        writer.close()
        assert status_of(heard) == 200
        assert content_type(heard) == content_type(asked.response)
        first = asked.body[: asked.body.index(b"k8s.io/initial-events-end")]
        assert heard.count(b"ADDED") == first.count(b"ADDED")
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


# -- what is no list, and what is not there ---------------------------------------------------------------------

ALONE = [
    one
    for one in WIRE.values()
    if (one.status == 200 and DOCUMENT.match(one.target))
    or (one.status == 404 and one.target.endswith("/pods/nope"))
]


def test_no_document_is_left_out() -> None:
    assert len(ALONE) == 14


@pytest.mark.parametrize("one", ALONE, ids=identify)
def test_each_exchange_is_answered_as_it_was_seen(one: Recorded, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(one, tmp_path)
        answer = await ask(hub, one.request)
        assert status_of(answer) == one.status
        assert content_type(answer) == content_type(one.response)
        assert body(answer) == one.body
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


RESOURCES = [one for one in ALONE if one.target == "/api/v1"]


@pytest.mark.parametrize("seen", RESOURCES, ids=identify)
def test_resources_are_told_in_each_form(seen: Recorded, tmp_path) -> None:
    assert len(RESOURCES) == 2

    async def scenario() -> None:
        context, hub = await hub_that_saw(seen, tmp_path)
        for asked in RESOURCES:
            answer = await ask(hub, asked.request)
            assert (status_of(answer), body(answer)) == (200, asked.body)
            assert content_type(answer) == content_type(asked.response)
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("seen", [o for o in ALONE if o.status == 404], ids=identify)
def test_an_absence_is_told_in_each_form(seen: Recorded, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(seen, tmp_path)
        for asked in ALONE:
            if asked.status == 404:
                answer = await ask(hub, asked.request)
                assert (status_of(answer), body(answer)) == (404, asked.body)
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())
