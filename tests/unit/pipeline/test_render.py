# SPDX-License-Identifier: Apache-2.0
"""One copy, any form: what is kept in one form answers in each other that holds it."""

import json

import msgspec
import pytest
import yaml

from tests.unit.cache.kit import (
    Cache,
    call,
    encode,
    partial_list,
    pod,
    pod_list,
    run,
    table,
)
from toono.cache.answer import Found
from toono.cache.forms import JSON, PROTOBUF
from toono.codec.page import Page
from toono.codec.protobuf import ProtobufCodec
from toono.errors import CannotTranscodeError, CodecError
from toono.kube.accept import parse_accept
from toono.kube.request import Call
from toono.pipeline.render import Rendering, form_for, rendering

PODS = "/api/v1/pods"
POD = "/api/v1/namespaces/default/pods/a"
WIDGETS = "/apis/x.example.com/v1/widgets"
META = "g=meta.k8s.io;v=v1"
TABLE = f"application/json;as=Table;{META}"
IN_PART = f"application/json;as=PartialObjectMetadataList;{META}"
PROTOBUF_IN_PART = f"{PROTOBUF};as=PartialObjectMetadataList;{META}"
NOW = 1_800_000_000.0


def asking(target: str, accept: str) -> Call:
    return msgspec.structs.replace(call(target), accept=parse_accept(accept))


async def made(
    cache: Cache, target: str, accept: str, definition: bytes | None = None
) -> tuple[Rendering, Found]:
    """Return what answers a question, and its rows."""
    asked = asking(target, accept)
    find = cache.answers.get if asked.name else cache.answers.list
    found = await find(asked, lambda scope: form_for(asked, scope) is not None)
    assert isinstance(found, Found), found
    form = form_for(asked, found.scope)
    assert form is not None
    written = rendering(asked, found.scope, form, definition=definition, now=NOW)
    return written, found


async def listed(cache: Cache, accept: str, target: str = PODS) -> bytes:
    written, found = await made(cache, target, accept)
    return b"".join(written.listed(found.items, Page(str(found.scope.version))))


def filled() -> tuple[Cache, bytes]:
    labels = {"app": "web"}
    created = "2027-01-15T07:59:00Z"
    return Cache(), pod_list(
        20, *(whole(pod(n, 5, creationTimestamp=created, labels=labels)) for n in "ab")
    )


def whole(content: dict) -> dict:
    """Return a pod as an API server writes it: what it always has, in its order."""
    meta = content["metadata"]
    meta = {k: meta[k] for k in meta if k != "labels"} | {"labels": meta["labels"]}
    spec = {"containers": None, **content["spec"]}
    return content | {"metadata": meta, "spec": spec, "status": {}}


def test_json_comes_back_from_protobuf_as_it_went_in() -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        protobuf = await listed(cache, PROTOBUF)
        assert [item.name for item in ProtobufCodec().split_list(protobuf).items] == [
            *("a", "b")
        ]
        other = Cache()
        recording = await other.recorder.begin(asking(PODS, PROTOBUF))
        assert recording is not None
        fields = {b"content-type": PROTOBUF.encode()}
        await recording.finish(200, fields, protobuf)
        assert await listed(other, JSON) == body
        for accept in (TABLE, IN_PART, PROTOBUF_IN_PART, "application/yaml"):
            assert await listed(other, accept) == await listed(cache, accept)

    run(scenario)


def test_the_form_that_is_kept_is_given_before_any_other() -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        for accept in ("", "*/*", "application/*", JSON):
            assert await listed(cache, accept) == body

    run(scenario)


def test_yaml_says_what_json_says() -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        written, found = await made(cache, POD, "application/yaml")
        text = yaml.safe_load(written.single(found.items[0], "5"))
        assert text["metadata"]["name"] == "a"
        assert yaml.safe_load(await listed(cache, "application/yaml")) == json.loads(
            body
        )

    run(scenario)


def test_a_table_is_computed_with_its_ages() -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        table = json.loads(await listed(cache, TABLE))
        assert table["kind"] == "Table"
        assert table["metadata"] == {"resourceVersion": "20"}
        names = [column["name"] for column in table["columnDefinitions"][:5]]
        assert names == ["Name", "Ready", "Status", "Restarts", "Age"]
        row = table["rows"][0]
        assert row["cells"][0] == "a"
        assert row["cells"][4] == "60s"
        assert row["object"]["kind"] == "PartialObjectMetadata"
        assert "spec" not in row["object"]

    run(scenario)


@pytest.mark.parametrize(
    ("include", "kind"), [("None", None), ("Object", "Pod"), ("Metadata", "Partial")]
)
def test_rows_hold_what_is_to_be_included(include: str, kind: str | None) -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        target = f"{PODS}?includeObject={include}"
        (row, _) = json.loads(await listed(cache, TABLE, target))["rows"]
        if kind is None:
            assert row["object"] is None
        else:
            assert row["object"]["kind"].startswith(kind)

    run(scenario)


def test_a_seen_table_answers_as_rows_alone() -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        table = await listed(cache, TABLE)
        other = Cache()
        recording = await other.recorder.begin(asking(PODS, TABLE))
        assert recording is not None
        await recording.finish(200, {b"content-type": JSON.encode()}, table)
        assert await listed(other, TABLE) == table
        bare = json.loads(await listed(other, TABLE, f"{PODS}?includeObject=None"))
        assert [row["object"] for row in bare["rows"]] == [None, None]
        sorting = asking(f"{PODS}?includeObject=Object", TABLE)
        (scope,) = other.scopes.all()
        assert form_for(sorting, scope) is None
        form = parse_accept(TABLE)[0]
        shown = rendering(sorting, scope, form, definition=None, now=NOW)
        with pytest.raises(CodecError):
            shown.listed([b"{}"], Page("20"))
        written, found = await made(other, POD, TABLE)
        one = json.loads(written.single(found.items[0], "5"))
        assert [row["cells"][0] for row in one["rows"]] == ["a"]
        assert one["metadata"]["resourceVersion"] == "5"
        frames = written.added(found.items * 2, ["5", "6"])
        tables = [json.loads(frame)["object"] for frame in frames]
        versions = [one["metadata"]["resourceVersion"] for one in tables]
        assert versions == ["5", "6"]  # each its own: who is cut off goes on from it
        columns = [one["columnDefinitions"] for one in tables]
        assert [one is None for one in columns] == [False, True]
        mark = json.loads(written.bookmark("20", end=True))
        assert mark["type"] == "BOOKMARK"
        (row,) = mark["object"]["rows"]
        assert len(row["cells"]) == len(columns[0])
        nothing = json.loads(
            await listed(other, TABLE, f"{PODS}?labelSelector=app%3Dnone")
        )
        assert nothing["rows"] == []

    run(scenario)


async def keep(cache: Cache, target: str, body: bytes) -> None:
    """Take a Table as its asker would have it."""
    recording = await cache.recorder.begin(asking(target, TABLE))
    assert recording is not None
    await recording.finish(200, {b"content-type": JSON.encode()}, body)


def test_a_table_with_whole_objects_is_kept_as_those() -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        sorting = f"{PODS}?includeObject=Object"
        table = await listed(cache, TABLE, sorting)
        other = Cache()
        await keep(other, sorting, table)
        (scope,) = other.scopes.all()
        assert scope.question.media_type == JSON
        assert await listed(other, JSON) == body
        for target in (sorting, PODS):
            assert await listed(other, TABLE, target) == await listed(
                cache, TABLE, target
            )
        written, found = await made(cache, f"{POD}?includeObject=Object", TABLE)
        single = written.single(found.items[0], "5")
        third = Cache()
        await keep(third, f"{POD}?includeObject=Object", single)
        written, found = await made(third, f"{POD}?includeObject=Object", TABLE)
        assert written.single(found.items[0], "5") == single

    run(scenario)


def test_an_empty_table_of_whole_objects_is_an_empty_list() -> None:
    async def scenario() -> None:
        _, body = filled()
        sorting = f"{PODS}?includeObject=Object"
        empty = Cache()
        await empty.take(PODS, pod_list(20))
        nothing = await listed(empty, TABLE, sorting)
        assert json.loads(nothing)["rows"] == []
        for before in ((), (body,)):
            other = Cache()
            for earlier in before:
                await other.take(PODS, earlier)
            await keep(other, sorting, nothing)
            assert await listed(other, TABLE, sorting) == nothing
            assert await listed(other, JSON) == await listed(empty, JSON)

    run(scenario)


def flow_schema(name: str, precedence: int) -> dict:
    meta = {"name": name, "uid": name, "resourceVersion": "5"}
    return {"metadata": meta, "spec": {"matchingPrecedence": precedence}}


def test_flow_schemas_are_shown_in_the_order_they_match() -> None:
    """An API server sorts this one Table; its lists are in the order of keys."""
    target = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"

    async def scenario() -> None:
        cache = Cache()
        ranks = {"a": 9000, "b": 100, "c": 100, "d": 20}
        head = {
            "kind": "FlowSchemaList",
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "metadata": {"resourceVersion": "9"},
        }
        items = [flow_schema(*one) for one in ranks.items()]
        await cache.take(target, encode(head | {"items": items}))
        table = await listed(cache, TABLE, target)
        names = [row["cells"][0] for row in json.loads(table)["rows"]]
        assert names == ["d", "b", "c", "a"]
        other = Cache()
        await keep(other, target, table)
        assert await listed(other, TABLE, target) == table
        whole = json.loads(await listed(cache, JSON, target))
        assert [one["metadata"]["name"] for one in whole["items"]] == [*"abcd"]

    run(scenario)


def test_rows_that_were_seen_empty_need_no_objects() -> None:
    async def scenario() -> None:
        empty, other = Cache(), Cache()
        await empty.take(PODS, pod_list(20))
        nothing = await listed(empty, TABLE)
        await keep(other, PODS, nothing)
        assert await listed(other, TABLE, f"{PODS}?includeObject=Object") == nothing

    run(scenario)


@pytest.mark.parametrize("accept", [IN_PART, PROTOBUF_IN_PART])
def test_metadata_is_cut_out_of_whole_objects(accept: str) -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        part = await listed(cache, accept)
        other = Cache()
        recording = await other.recorder.begin(asking(PODS, accept))
        assert recording is not None
        content_type = accept.partition(";")[0].encode()
        await recording.finish(200, {b"content-type": content_type}, part)
        (scope,) = other.scopes.all()
        assert scope.question.media_type.endswith(";as=PartialObjectMetadata")
        assert await listed(other, IN_PART) == await listed(cache, IN_PART)
        assert await listed(other, PROTOBUF_IN_PART) == await listed(
            cache, PROTOBUF_IN_PART
        )

    run(scenario)


def widget_list() -> bytes:
    item = {
        "apiVersion": "x.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "default", "resourceVersion": "5"},
        "spec": {"size": 3},
    }
    content = {
        "apiVersion": "x.example.com/v1",
        "items": [item],
        "kind": "WidgetList",
        "metadata": {"continue": "", "resourceVersion": "20"},
    }
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def test_custom_resources_have_no_protobuf_and_the_columns_they_define() -> None:
    definition = {
        "spec": {
            "versions": [
                {
                    "name": "v1",
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
                    ],
                }
            ]
        }
    }

    async def scenario() -> None:
        cache = Cache()
        await cache.take(WIDGETS, widget_list())
        asked = asking(WIDGETS, PROTOBUF)
        (scope,) = cache.scopes.all()
        assert form_for(asked, scope) is None
        text = msgspec.json.encode(definition)
        written, found = await made(cache, WIDGETS, TABLE, text)
        table = json.loads(b"".join(written.listed(found.items, Page("20"))))
        names = [column["name"] for column in table["columnDefinitions"]]
        assert names == ["Name", "Size"]
        assert table["rows"][0]["cells"] == ["w", 3]
        part = json.loads(await listed(cache, IN_PART, WIDGETS))
        assert part["items"][0]["metadata"]["name"] == "w"

    run(scenario)


def test_what_would_lose_something_is_not_made() -> None:
    async def scenario() -> None:
        cache = Cache()
        strange = pod("a", 5) | {"spec": {"fieldOfTheFuture": 1}}
        await cache.take(PODS, pod_list(20, strange))
        with pytest.raises(CannotTranscodeError):
            await listed(cache, PROTOBUF)
        assert b"fieldOfTheFuture" in await listed(cache, JSON)

    run(scenario)


@pytest.mark.parametrize("accept", [JSON, PROTOBUF, TABLE, IN_PART.replace("List", "")])
def test_a_watch_begins_with_what_is_there_and_ends_its_burst(accept: str) -> None:
    async def scenario() -> None:
        cache, body = filled()
        await cache.take(PODS, body)
        written, found = await made(cache, PODS + "?watch=true", accept)
        assert len(written.added(found.items, ["5", "6"])) == 2
        mark = written.bookmark("20", end=True)
        assert b"k8s.io/initial-events-end" in mark
        assert b"BOOKMARK" in mark
        assert written.watch_content_type.startswith(accept.partition(";")[0])

    run(scenario)


def test_a_table_that_was_seen_gives_the_metadata_in_its_rows() -> None:
    async def scenario() -> None:
        cache, other = Cache(), Cache()
        await cache.take(PODS, table(20, "a", "b"))
        await other.take(PODS, partial_list(20, "a", "b"))
        for accept in (IN_PART, PROTOBUF_IN_PART):
            assert await listed(cache, accept) == await listed(other, accept)
        asked = asking(PODS, JSON)
        (scope,) = cache.scopes.all()
        assert form_for(asked, scope) is None

    run(scenario)
