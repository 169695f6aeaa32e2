# SPDX-License-Identifier: Apache-2.0
"""Every recorded exchange has its place: what it teaches, and in which forms.

The table says of each one which test holds it, or why nothing is learned from it. Here
are writes and plain watches, each seen once and asked for in every other form; lists,
single objects, watch-lists and documents are in `test_forms`, refusals in
`test_bad_input`.
"""

import asyncio
import json
import os
import re

import pytest

from tests.conformance.exchanges import FOLDER
from tests.rig import ask, begin, body, get, hub_over, status_of, until
from toono.codec import cbor
from toono.codec.json import JSONCodec
from toono.codec.protobuf import ProtobufCodec
from toono.codec.transcode import to_json
from toono.testing.replay import Recorded, Replay, read_exchange

MINE = frozenset({os.getuid()})
NAMES = [one["name"] for one in json.loads((FOLDER / "index.json").read_text())]
WIRE = {name: read_exchange(FOLDER / f"{name}.request")[0] for name in NAMES}

JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
META = "as={};g=meta.k8s.io;v=v1"
TABLE = f"{JSON};{META.format('Table')}"
PART = f"{JSON};{META.format('PartialObjectMetadata')}"
CODECS = {JSON: JSONCodec(), PROTOBUF: ProtobufCodec()}
PARTS = f"{JSON};{META.format('PartialObjectMetadataList')}"
FORMS = (JSON, PROTOBUF, TABLE, PART, cbor.MEDIA_TYPE)

WRITES = {
    "crd-create": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}",
    "create-configmap": "/api/v1/namespaces/default/configmaps/{}",
    "update-configmap": "/api/v1/namespaces/default/configmaps/{}",
    "patch-configmap-merge-patch": "/api/v1/namespaces/default/configmaps/{}",
    "patch-configmap-strategic-merge-patch": "/api/v1/namespaces/default/configmaps/{}",
    "patch-configmap-json-patch": "/api/v1/namespaces/default/configmaps/{}",
    "apply-configmap": "/api/v1/namespaces/default/configmaps/{}",
    "patch-node-status": "/api/v1/nodes/{}",
    "update-lease": (
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}"
    ),
    "create-event": "/api/v1/namespaces/default/events/{}",
    "delete-pod-graceful": "/api/v1/namespaces/shop/pods/{}",
}
"""What answers with an object: it teaches a GET of its name."""
WATCHES = {
    "watch-pods-json": "list-pods-json",
    "watch-pods-protobuf": "list-pods-protobuf",
    "watch-pods-client-go": "list-pods-node-field",
}
"""What goes on from a list: the list is the one that was recorded, told at the version
at which the watch began."""
ELSEWHERE = {
    "test_forms: in every form": (
        "list-pods-json list-pods-protobuf list-pods-table list-pods-partial "
        "list-pods-partial-protobuf list-services-json list-services-protobuf "
        "list-services-table list-services-partial list-endpointslices-json "
        "list-endpointslices-protobuf list-endpointslices-table "
        "list-endpointslices-partial list-crontabs-json list-crontabs-table "
        "list-crontabs-partial list-crontabs-protobuf-json list-crds-json "
        "list-crds-protobuf list-crds-table list-crds-partial list-leases-json "
        "list-leases-protobuf list-leases-table list-leases-partial get-pod-json "
        "get-pod-protobuf get-pod-table get-pod-partial get-node-json "
        "get-node-protobuf get-lease-json get-lease-protobuf get-pod-404 "
        "get-pod-404-protobuf discovery-core-v1 discovery-protobuf "
        "watchlist-pods-json watchlist-pods-protobuf watchlist-pods-partial "
        "watchlist-pods-cbor"
    ),
    "test_forms: asked for in it, never learned from it": (
        "list-pods-cbor list-crontabs-cbor get-pod-cbor"
    ),
    "test_forms: documents, in the one form that they have": (
        "discovery-api-legacy discovery-apis-legacy discovery-api-aggregated "
        "discovery-apis-aggregated discovery-group discovery-group-version "
        "discovery-apiextensions version openapi-v3-index openapi-v3-crontabs "
        "after-v2-discovery-group after-v2-discovery-apis-aggregated"
    ),
    "test_exchanges: the same question, by the same bytes": (
        "list-pods-node-field list-pods-label list-pods-label-set list-pods-namespace "
        "list-pods-empty list-nodes-protobuf get-kube-proxy-configmap "
        "get-service-kubernetes watchlist-crontabs"
    ),
    "test_pages: a page is no list, and a version is answered by the newest": (
        "list-pods-page-1 list-pods-page-2 list-pods-continue-expired "
        "list-pods-rv-exact list-pods-rv-expired list-pods-rv-future"
    ),
    "test_bad_input: the same refusal": (
        "list-pods-continue-malformed list-pods-rv-invalid list-pods-match-without-rv "
        "list-pods-bad-selector list-pods-bad-field list-pods-accept-unknown "
        "list-crontabs-protobuf watch-pods-cbor watchlist-invalid watch-rv-invalid"
    ),
    "test_watch_list and the reflector: too old is told in the stream": (
        "watch-rv-expired watch-rv-expired-protobuf"
    ),
    "a Table with an option of its own is made from objects, by `cache.rows`": (
        "list-pods-table-object list-pods-table-none"
    ),
    "readiness is the hub's own": "healthz readyz-verbose livez",
    "an ETag that agrees holds no document": "discovery-apis-aggregated-304",
    "what is not served now may be served when the link is back: 503": (
        "discovery-group-version-404 discovery-group-404 get-resource-404 get-path-404 "
        "after-crd-delete-list after-crd-delete-group watch-not-watchable"
    ),
    "a right is learned, and no object": (
        "list-secrets-forbidden list-pods-unauthorized list-pods-anonymous"
    ),
    "a refused or practised write changes nothing": (
        "create-configmap-exists create-configmap-dry-run update-configmap-conflict "
        "patch-unsupported-type create-malformed create-invalid method-not-allowed "
        "update-lease-conflict evict-pod delete-collection"
    ),
    "test_sweep and test_spool: tokens and reviews have stores of their own": (
        "create-token create-subjectaccessreview create-selfsubjectaccessreview "
        "create-selfsubjectreview"
    ),
    "here: what is gone is gone in every form": "delete-configmap delete-configmap-404",
    "here: a burst with an end is a list, whatever it was asked by": (
        "watch-crontabs-json"
    ),
    "here: what it tells is lossy": (
        "watch-pods-rv-0 watch-pods-no-rv watch-single-name watch-pods-table "
        "watch-pods-partial"
    ),
    "here: a status is read as its object": "get-pod-status",
}
"""Where the others are held, or why there is nothing to hold."""


def test_every_exchange_has_its_place() -> None:
    placed = [name for names in ELSEWHERE.values() for name in names.split()]
    assert len(placed) == len(set(placed))
    assert {*placed, *WRITES, *WATCHES} == set(NAMES)
    assert len(NAMES) == 136


async def hub_that_saw(tmp_path, *seen: Recorded):
    replay = Replay(list(seen))
    await replay.start()
    context = hub_over([replay.address], tmp_path, agents=("*",), node_uids=MINE)
    hub = await context.__aenter__()
    await until(lambda: hub.upstream.online)
    for one in seen:
        assert body(await ask(hub, one.request)) == one.body
    await replay.aclose()
    return context, hub


def asked(target: str, accept: str) -> bytes:
    return get(target, agent="other/v1", accept=accept)


def metadata_of(told: bytes) -> dict:
    """Return the metadata of one object in any form but protobuf."""
    content = cbor.decode(told) if told.startswith(cbor.TAG) else json.loads(told)
    if content["kind"] == "Table":
        (row,) = content["rows"]
        content = row["object"]
    return content["metadata"]


@pytest.mark.parametrize("name", WRITES)
def test_what_a_write_answers_is_known_in_each_form(name: str, tmp_path) -> None:
    seen = WIRE[name]
    written = json.loads(seen.body)
    target = WRITES[name].format(written["metadata"]["name"])

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, seen)
        for accept in FORMS:
            answer = await ask(hub, asked(target, accept))
            assert status_of(answer) == 200, (accept, body(answer))
            told = body(answer)
            if accept == JSON:
                assert told == seen.body
            elif accept == cbor.MEDIA_TYPE:
                assert cbor.decode(told) == written
            elif accept == PROTOBUF:
                assert read(told) == written
            else:
                assert metadata_of(told) == written["metadata"]
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


def read(told: bytes) -> dict:
    one = CODECS[PROTOBUF].read_single(told)
    plain = to_json(one.object.data, kind=one.kind, api_version=one.api_version)
    return {"kind": one.kind, "apiVersion": one.api_version, **json.loads(plain)}


@pytest.mark.parametrize("name", ["delete-configmap", "delete-configmap-404"])
def test_what_is_gone_is_gone_in_each_form(name: str, tmp_path) -> None:
    async def scenario() -> None:
        context, hub = await hub_that_saw(
            tmp_path, WIRE["create-configmap"], WIRE[name]
        )
        target = WIRE[name].target
        for accept in FORMS:
            assert status_of(await ask(hub, asked(target, accept))) == 404, accept
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


# -- watches -----------------------------------------------------------------------------


def codec_of(one: Recorded):
    head = one.response.partition(b"\r\n\r\n")[0]
    return CODECS[PROTOBUF if PROTOBUF.encode() in head else JSON]


def with_body(one: Recorded, content: bytes) -> Recorded:
    head = one.response.partition(b"\r\n\r\n")[0].split(b"\r\n")
    framing = (b"content-length", b"transfer-encoding")
    kept = [line for line in head if not line.lower().startswith(framing)]
    kept.append(b"Content-Length: %d" % len(content))
    return one._replace(response=b"\r\n".join(kept) + b"\r\n\r\n" + content)


def listed_at(name: str, version: str) -> tuple[Recorded, dict[str, str]]:
    """Return a list as if told at `version`, and its objects' versions by name."""
    one = WIRE[name]
    parts = codec_of(one).split_list(one.body)
    old = parts.resource_version.encode()
    assert len(old) == len(version)
    body = one.body.replace(old, version.encode(), 1)
    return with_body(one, body), {
        item.name: item.resource_version for item in parts.items
    }


def after(frames: list[bytes], codec, held: dict[str, str], start: str):
    """Return what a client holds after these frames, and at which version."""
    held = dict(held)
    for frame in frames:
        event = codec.read_event(frame)
        start = event.object.resource_version
        if event.type == "DELETED":
            del held[event.object.name]
        elif event.type != "BOOKMARK":
            held[event.object.name] = start
    return held, start


def seen_in(answer: bytes, accept: str) -> tuple[dict[str, str], str]:
    """Return (objects' versions by name, version) of a list in any form."""
    told = body(answer)
    if accept == PROTOBUF:
        parts = CODECS[PROTOBUF].split_list(told)
        held = {item.name: item.resource_version for item in parts.items}
        return held, parts.resource_version
    content = cbor.decode(told) if accept == cbor.MEDIA_TYPE else json.loads(told)
    items = content.get("items") or [row["object"] for row in content.get("rows", ())]
    metas = [item["metadata"] for item in items]
    held = {meta["name"]: meta["resourceVersion"] for meta in metas}
    return held, content["metadata"]["resourceVersion"]


@pytest.mark.parametrize("name", WATCHES)
def test_a_watch_tells_in_each_form_what_it_told_in_its_own(
    name: str, tmp_path
) -> None:
    """After each of its frames; a new watch begins there too."""
    watch, codec = WIRE[name], codec_of(WIRE[name])
    start = re.search(r"resourceVersion=(\d+)", watch.target)[1]
    listed, held = listed_at(WATCHES[name], start)
    frames = codec.frames().feed(watch.body)
    target = re.sub(r"&?(limit|resourceVersion)=\d+", "", listed.target)
    assert len(frames) >= 3

    async def scenario(count: int) -> None:
        told = with_body(watch, b"".join(frames[:count]))
        context, hub = await hub_that_saw(tmp_path / f"{count}", listed, told)
        expected = after(frames[:count], codec, held, start)
        for accept in (JSON, PROTOBUF, TABLE, PARTS, cbor.MEDIA_TYPE):
            answer = await ask(hub, asked(target, accept))
            assert status_of(answer) == 200, (count, accept, body(answer))
            assert seen_in(answer, accept) == expected, (count, accept)
        for accept in (JSON, PROTOBUF + ";stream=watch", PART):
            joint = "&" if "?" in target.rstrip("?") else "?"
            request = asked(f"{target.rstrip('?')}{joint}watch=true", accept)
            reader, writer = await begin(hub, request)
            heard = b""
            while heard.count(b"ADDED") < len(expected[0]):
                heard += await reader.read(65536)
            writer.close()
        await context.__aexit__(None, None, None)

    for count in range(len(frames) + 1):
        asyncio.run(scenario(count))


LOSSY = ELSEWHERE["here: what it tells is lossy"].split()
"""A burst without an end, or a watch that goes on from what was never listed."""


@pytest.mark.parametrize("name", LOSSY)
def test_a_stream_that_proves_no_set_makes_no_list(name: str, tmp_path) -> None:
    """Nor an absence: what it did not name may be there."""
    seen = WIRE[name]
    target = seen.target.partition("?")[0]
    one = "/api/v1/namespaces/default/pods/nope"
    if "configmaps" in target:
        one = "/api/v1/namespaces/default/configmaps/nope"

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, seen)
        for accept in (JSON, PROTOBUF, TABLE, PARTS):
            assert status_of(await ask(hub, asked(target, accept))) == 503, accept
        assert status_of(await ask(hub, seen.request)) == 503
        assert status_of(await ask(hub, asked(one, JSON))) == 503
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_a_burst_with_an_end_is_a_list_in_each_form(tmp_path) -> None:
    seen = WIRE["watch-crontabs-json"]
    target = seen.target.partition("?")[0]

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, seen)
        for accept in (JSON, TABLE, PARTS, cbor.MEDIA_TYPE):
            answer = await ask(hub, asked(target, accept))
            held = {"tick-0": "295", "tick-1": "239"}
            assert seen_in(answer, accept) == (held, "295")
        assert status_of(await ask(hub, asked(target, PROTOBUF))) == 406
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_a_status_that_was_read_is_its_object(tmp_path) -> None:
    """An API server answers with the whole of it; below it nothing else is known."""
    seen = WIRE["get-pod-status"]
    whole = seen.target.removesuffix("/status")

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, seen)
        answer = await ask(hub, asked(whole, JSON))
        assert (status_of(answer), body(answer)) == (200, seen.body)
        for part in ("log", "scale", "eviction"):
            answer = await ask(hub, asked(f"{whole}/{part}", JSON))
            assert status_of(answer) == 503, part
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())


TABLES = WIRE["list-pods-json"], WIRE["list-pods-table"]


@pytest.mark.parametrize("seen", TABLES, ids=["made", "seen"])
def test_a_table_s_event_is_at_its_object_s_version(seen: Recorded, tmp_path) -> None:
    """Who is cut off among them goes on from the last one heard, and misses none."""

    async def scenario() -> None:
        context, hub = await hub_that_saw(tmp_path, seen)
        reader, writer = await begin(hub, asked("/api/v1/pods?watch=true", TABLE))
        await reader.readuntil(b"\r\n\r\n")
        heard = b""
        while heard.count(b"ADDED") < 3 or not heard.endswith(b"\n"):
            heard += await reader.read(65536)
        writer.close()
        events = [json.loads(line) for line in heard.splitlines() if b"ADDED" in line]
        assert len(events) == 3
        for table in (event["object"] for event in events):
            (row,) = table["rows"]
            own = row["object"]["metadata"]["resourceVersion"]
            assert table["metadata"]["resourceVersion"] == own
        await context.__aexit__(None, None, None)

    asyncio.run(scenario())
