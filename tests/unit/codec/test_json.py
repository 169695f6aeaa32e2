# SPDX-License-Identifier: Apache-2.0
"""JSON is cut and joined byte for byte, and what could be kept wrongly is refused."""

import json

import pytest
from tests.contract.recordings import recording

from toono.codec.json import JSONCodec
from toono.codec.page import Page
from toono.errors import CodecError

CODEC = JSONCodec()
META = '"metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"7"}'
ITEM = f"{{{META}}}"
POD = f'{{"kind":"Pod","apiVersion":"v1",{META}}}'
TAB = f'{{"apiVersion":"x.io/v1","kind":"Tab",{META}}}'


def pods(*items: str, meta: str = '{"resourceVersion":"9"}') -> bytes:
    inner = ",".join(items)
    return (
        f'{{"kind":"PodList","apiVersion":"v1","metadata":{meta},"items":[{inner}]}}\n'
    ).encode()


def tabs(*items: str) -> bytes:
    meta = '{"continue":"","resourceVersion":"9"}'
    return (
        f'{{"apiVersion":"x.io/v1","items":[{",".join(items)}],'
        f'"kind":"TabList","metadata":{meta}}}\n'
    ).encode()


def event(content: str, kind: str = "ADDED") -> bytes:
    return f'{{"type":"{kind}","object":{content}}}\n'.encode()


def test_a_list_tells_what_the_hub_reads_of_its_items() -> None:
    deleting = META.replace(
        '"uid"', '"deletionTimestamp":"2026-11-21T00:00:00Z","uid"'
    ).replace("web", "old")
    parts = CODEC.split_list(pods(ITEM, f'{{{deleting},"spec":{{}}}}'))
    assert (parts.kind, parts.api_version, parts.style) == ("PodList", "v1", "typed")
    assert (parts.resource_version, parts.continue_token) == ("9", "")
    first, second = parts.items
    assert first == ("shop", "web", "u1", "7", False, ITEM.encode(), False)
    assert (second.name, second.deleting) == ("old", True)


def test_an_empty_list_is_empty_and_null_is_too() -> None:
    assert CODEC.split_list(pods()).items == []
    null = pods().replace(b"[]", b"null")
    assert CODEC.split_list(null).items == []


def test_a_list_without_items_is_none() -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(pods().replace(b',"items":[]', b""))


def test_items_that_carry_their_own_kind_are_stored_as_the_others() -> None:
    parts = CODEC.split_list(pods(POD))
    assert parts.items == CODEC.split_list(pods(ITEM)).items


@pytest.mark.parametrize(
    "item",
    [
        POD.replace('"Pod"', '"Node"'),
        POD.replace('"v1"', '"v2"'),
        f'{{"apiVersion":"v1","kind":"Pod",{META}}}',
        f'{{"apiVersion":"v1",{META}}}',
        f'{{{META},"kind":"Pod"}}',
        f'{{{META},"apiVersion":"v1","kind":"Pod"}}',
        f"{{ {META}}}",
        f"{{\n  {META}\n}}",
        "{}",
        "null",
        "[]",
        '"x"',
        '{"metadata":null}',
        '{"metadata":{}}',
        ITEM.replace('"name":"web"', '"name":""'),
        ITEM.replace('"name":"web"', '"name":null'),
        ITEM.replace('"name":"web"', '"name":7'),
        ITEM.replace('"7"', '""'),
        ITEM.replace('"7"', '"-1"'),
        ITEM.replace('"7"', '"abc"'),
        ITEM.replace('"7"', f'"{2**64}"'),
        ITEM.replace('"7"', '"07"'),
        ITEM.replace('"7"', "7"),
    ],
)
def test_items_that_could_be_kept_wrongly_are_refused(item: str) -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(pods(ITEM, item))


@pytest.mark.parametrize(
    "meta",
    [
        "{}",
        '{"resourceVersion":""}',
        '{"resourceVersion":"abc"}',
        '{"resourceVersion":"9","shardInfo":{"selector":"x"}}',
        '{"resourceVersion":"9","somethingNew":1}',
        "null",
    ],
)
def test_lists_whose_metadata_is_odd_are_refused(meta: str) -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(pods(ITEM, meta=meta))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PodList", "Pod"),
        ("PodList", "List"),
        ("PodList", "P\\u006fdList"),
        ("PodList", "Pod List"),
        ("]}", '],"kind":"NodeList"}'),
        ('"v1"', '"v1\\n"'),
        ('"v1"', '""'),
        ('"items"', '"rows"'),
        ('"metadata":{"resourceVersion":"9"},', ""),
        ('{"kind"', '{ "kind"'),
        ('{"kind"', '{"more":1,"kind"'),
        ("]}", '],"more":1}'),
    ],
)
def test_lists_of_another_make_are_refused(old: str, new: str) -> None:
    body = pods(ITEM).replace(old.encode(), new.encode(), 1)
    assert body != pods(ITEM)
    with pytest.raises(CodecError):
        CODEC.split_list(body)


def test_a_built_in_list_in_alphabetical_order_is_refused() -> None:
    body = tabs(TAB).replace(b"x.io/v1", b"v1").replace(b"Tab", b"Pod")
    with pytest.raises(CodecError, match="neither form"):
        CODEC.split_list(body)


def test_a_page_and_its_rest_are_told() -> None:
    meta = '{"resourceVersion":"9","continue":"abc","remainingItemCount":3}'
    parts = CODEC.split_list(pods(ITEM, meta=meta))
    assert parts.continue_token == "abc"


def test_custom_resources_are_kept_whole() -> None:
    parts = CODEC.split_list(tabs(TAB))
    assert parts.style == "unstructured"
    assert parts.items[0].data == TAB.encode()
    assert CODEC.read_single(TAB.encode() + b"\n").object == parts.items[0]
    assert CODEC.read_event(event(TAB)).object == parts.items[0]


@pytest.mark.parametrize(
    "item", [ITEM, POD, TAB.replace("x.io/v1", "x.io/v2"), TAB.replace('"Tab"', '""')]
)
def test_custom_lists_hold_whole_items_of_their_version(item: str) -> None:
    with pytest.raises(CodecError):
        CODEC.split_list(tabs(TAB, item))


def test_the_stored_form_lacks_the_leading_kind() -> None:
    single = CODEC.read_single(POD.encode() + b"\n")
    assert (single.kind, single.api_version, single.style) == ("Pod", "v1", "typed")
    assert single.object.data == ITEM.encode()


@pytest.mark.parametrize(
    "body",
    [
        POD.replace('{"kind"', '{ "kind"'),
        POD.replace('"kind":"Pod","apiVersion":"v1"', '"kind":"Pod"'),
        f'{{"kind":"Pod","apiVersion":"v1",{META},"kind":"Node"}}',
        f'{{"kind":"Pod","apiVersion":"v1",{META},"apiVersion":"v2"}}',
        f'{{"kind":"Pod","apiVersion":"v1",{META},"apiVersion":""}}',
        f'{{"kind":"Pod","apiVersion":"v1",{META},"kind":"Pod"}}',
        f'{{"kind":"Pod","apiVersion":"v1",{META},"kind":null}}',
        f'{{"kind":"Pod","spec":1,"apiVersion":"v1",{META}}}',
        POD.replace("Pod", "P\\u006fd"),
        POD.replace("Pod", "Status"),
        f'{{"apiVersion":"v1","kind":"Pod",{META}}}',
        POD + POD,
        POD[:-1],
        json.dumps(json.loads(POD), indent=2),
        '{"kind":"Pod","apiVersion":"v1"}',
    ],
)
def test_objects_of_another_make_are_refused(body: str) -> None:
    with pytest.raises(CodecError):
        CODEC.read_single(body.encode())


def test_doubled_keys_pass_as_the_bytes_they_are() -> None:
    double = POD[:-1] + ',"spec":{"a":1},"spec":{"a":2}}'
    single = CODEC.read_single(double.encode())
    assert single.object.data.endswith(b'"spec":{"a":1},"spec":{"a":2}}')


NASTY = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "1e400": "1e400",
    "-1E+999": "-1E+999",
    "5000 digits": "1" * 5000,
    "lone surrogate": '"\\ud800"',
    "lone low surrogate": '"a\\udc00"',
    "bad pair": '"\\ud83d\\u0041"',
    "depth": "[" * 100_000 + "]" * 100_000,
    "object depth": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "control": '"a\x01b"',
    "newline": '"a\nb"',
    "escape": '"\\x41"',
    "leading zero": "01",
    "comma": "[1,]",
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_values_are_not_kept(name: str) -> None:
    spec = f',"spec":{{"x":{NASTY[name]}}}}}'
    for body, read in (
        (pods(ITEM[:-1] + spec), CODEC.split_list),
        ((POD[:-1] + spec).encode(), CODEC.read_single),
        (event(POD[:-1] + spec), CODEC.read_event),
    ):
        with pytest.raises(CodecError):
            read(body)


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_bytes_that_are_no_utf8_are_not_kept(text: bytes) -> None:
    body = pods(ITEM[:-1] + ',"spec":"@"}').replace(b"@", text)
    with pytest.raises(CodecError):
        CODEC.split_list(body)


def test_text_that_only_looks_nasty_is_kept() -> None:
    spec = (
        ITEM[:-1] + ',"spec":{"x":": 1e400, [1e999","y":1e21,"z":"\\ud83d\\ude00 é"}}'
    )
    assert CODEC.split_list(pods(spec)).items[0].data == spec.encode()


def test_an_event_says_what_happened_to_what() -> None:
    found = CODEC.read_event(event(POD, "DELETED"))
    assert (found.type, found.kind, found.api_version) == ("DELETED", "Pod", "v1")
    assert found.object == CODEC.split_list(pods(ITEM)).items[0]
    assert not found.initial_events_end
    assert found.status_code == 0


def test_the_type_may_stand_behind_the_object() -> None:
    frame = f'{{"object":{POD},"type":"ADDED"}}\n'.encode()
    assert CODEC.read_event(frame) == CODEC.read_event(event(POD))


def test_an_unknown_type_is_told() -> None:
    assert CODEC.read_event(event(POD, "RENAMED")).type == "RENAMED"


@pytest.mark.parametrize(
    "frame",
    [
        event('{"kind":"Status","apiVersion":"v1","metadata":{},"code":410}'),
        event(ITEM),
        event("null"),
        b'{"type":"ADDED"}\n',
        b'{"type":"ADDED","object":{},"more":1}\n',
        event(POD.replace('"7"', '""'), "BOOKMARK"),
        event(POD.replace('"name":"web"', '"name":""')),
    ],
)
def test_events_that_could_be_kept_wrongly_are_refused(frame: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.read_event(frame)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"kind":"Status","apiVersion":"v1","code":410}', 410),
        ('{"kind":"Status","apiVersion":"v1"}', 0),
        ('{"kind":"Status","apiVersion":"v1","code":"410"}', 0),
        ("{}", 0),
        ("null", 0),
    ],
)
def test_an_error_has_its_code_if_it_has_one(content: str, code: int) -> None:
    found = CODEC.read_event(event(content, "ERROR"))
    assert (found.type, found.object, found.status_code) == ("ERROR", None, code)


def test_only_the_end_bookmark_ends_the_burst() -> None:
    recorded = CODEC.frames().feed(recording("watchlist-pods-json").body)
    marks = [
        found.initial_events_end
        for found in map(CODEC.read_event, recorded)
        if found.type == "BOOKMARK"
    ]
    assert marks == [True, False, False]
    noted = POD.replace(
        '"uid"', '"annotations":{"k8s.io/initial-events-end":"true"},"uid"'
    )
    assert not CODEC.read_event(event(noted)).initial_events_end


@pytest.mark.parametrize("name", ["watch-crontabs-json", "watchlist-crontabs"])
def test_bookmarks_of_custom_resources_are_the_recorded_ones(name: str) -> None:
    for frame in CODEC.frames().feed(recording(name).body):
        found = CODEC.read_event(frame)
        if found.type != "BOOKMARK":
            continue
        assert found.object is not None
        written = CODEC.write_bookmark(
            kind=found.kind,
            api_version=found.api_version,
            style=found.style,
            resource_version=found.object.resource_version,
            initial_events_end=found.initial_events_end,
        )
        assert written == frame


@pytest.mark.parametrize(
    "body",
    [
        POD.encode(),
        b'{"kind":"Status","apiVersion":"v2"}',
        b'{"kind":"Status"',
        b'{"kind":"Status","apiVersion":"v1","code":1e400}',
        b"[]",
        b"\xff",
    ],
)
def test_only_a_v1_status_is_a_status(body: bytes) -> None:
    assert CODEC.read_status(body) is None


def test_labels_are_read_and_may_be_absent() -> None:
    labelled = ITEM.replace('"uid"', '"labels":{"app":"web","é":"\\u00e9"},"uid"')
    assert CODEC.labels(labelled.encode()) == {"app": "web", "é": "é"}
    assert CODEC.labels(ITEM.encode()) == {}
    assert CODEC.labels(ITEM.replace('"uid"', '"labels":null,"uid"').encode()) == {}
    with pytest.raises(CodecError):
        CODEC.labels(ITEM.replace('"uid"', '"labels":{"a":1},"uid"').encode())


@pytest.mark.parametrize(
    ("kind", "path", "content", "value"),
    [
        ("Pod", "spec.nodeName", '"spec":{"nodeName":"n"}', "n"),
        ("Pod", "spec.host", '"spec":{"nodeName":"n"}', "n"),
        ("Pod", "spec.nodeName", '"spec":{}', ""),
        ("Pod", "spec.nodeName", '"spec":null', ""),
        ("Pod", "spec.nodeName", '"x":1', ""),
        ("Pod", "spec.nodeName", '"spec":{"nodeName":null}', ""),
        ("Pod", "spec.hostNetwork", '"spec":{"hostNetwork":true}', "true"),
        ("Pod", "spec.hostNetwork", '"spec":{}', "false"),
        ("Node", "spec.unschedulable", '"spec":{"unschedulable":false}', "false"),
        ("Node", "spec.unschedulable", '"x":1', "false"),
        ("ReplicationController", "status.replicas", '"status":{"replicas":3}', "3"),
        ("ReplicationController", "status.replicas", '"status":{}', "0"),
        ("Event", "source", '"source":{"component":"c"}', "c"),
        ("Event", "source", '"source":{},"reportingComponent":"r"', "r"),
        ("Secret", "type", '"type":"Opaque"', "Opaque"),
        ("Secret", "metadata.name", '"x":1', "web"),
        ("Secret", "metadata.namespace", '"x":1', "shop"),
        ("Pod", "spec.nodeName", f'"spec":{json.dumps({"nodeName": "é"})}', "é"),
    ],
)
def test_fields_are_read_as_selectors_compare_them(
    kind: str, path: str, content: str, value: str
) -> None:
    data = f"{{{META},{content}}}".encode()
    assert CODEC.field(data, path, kind=kind, api_version="v1") == value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ('"spec":{"color":"red"}', "red"),
        ('"spec":{"color":true}', "true"),
        ('"spec":{"color":7}', "7"),
        ('"spec":{}', ""),
    ],
)
def test_custom_resources_are_read_at_any_path(content: str, value: str) -> None:
    data = f'{{"apiVersion":"x.io/v1","kind":"Tab",{META},{content}}}'.encode()
    found = CODEC.field(data, "spec.color", kind="Tab", api_version="x.io/v1")
    assert found == value


@pytest.mark.parametrize(
    "content", ['"spec":[]', '"spec":"x"', '"spec":{"nodeName":{}}', '"spec":']
)
def test_a_field_of_another_shape_is_not_guessed(content: str) -> None:
    data = f"{{{META},{content}}}".encode()
    with pytest.raises(CodecError):
        CODEC.field(data, "spec.nodeName", kind="Pod", api_version="v1")


def test_a_typed_list_is_written_as_the_api_server_does() -> None:
    parts = CODEC.split_list(pods(ITEM, ITEM))
    joined = CODEC.join_list(
        kind="PodList",
        api_version="v1",
        style="typed",
        page=Page("9"),
        items=(item.data for item in parts.items),
    )
    assert b"".join(joined) == pods(ITEM, ITEM)


def test_a_custom_list_is_written_as_the_api_server_does() -> None:
    form = {"kind": "TabList", "api_version": "x.io/v1", "page": Page("9")}
    joined = CODEC.join_list(style="unstructured", items=[TAB.encode()], **form)
    assert b"".join(joined) == tabs(TAB)
    empty = CODEC.join_list(style="unstructured", items=[], **form)
    assert b"".join(empty) == tabs()


@pytest.mark.parametrize(
    ("form", "data", "whole"),
    [
        (("Pod", "v1", "typed"), ITEM, POD),
        (("Tab", "x.io/v1", "unstructured"), TAB, TAB),
    ],
)
def test_objects_and_events_carry_their_kind(
    form: tuple[str, str, str], data: str, whole: str
) -> None:
    named = dict(zip(("kind", "api_version", "style"), form, strict=True))
    written = CODEC.write_single(data=data.encode(), **named)
    assert written == whole.encode() + b"\n"
    frame = CODEC.write_event(event_type="MODIFIED", data=data.encode(), **named)
    assert frame == event(whole, "MODIFIED")


def test_bookmarks_are_written_in_the_order_of_their_form() -> None:
    def bookmark(kind: str, api_version: str, style: str, *, ends: bool) -> bytes:
        return CODEC.write_bookmark(
            kind=kind,
            api_version=api_version,
            style=style,
            resource_version="9",
            initial_events_end=ends,
        )

    notes = '"annotations":{"k8s.io/initial-events-end":"true"}'
    head = '"kind":"Pod","apiVersion":"v1"'
    assert bookmark("Pod", "v1", "typed", ends=True) == event(
        f'{{{head},"metadata":{{"resourceVersion":"9",{notes}}}}}', "BOOKMARK"
    )
    assert bookmark("Pod", "v1", "typed", ends=False) == event(
        f'{{{head},"metadata":{{"resourceVersion":"9"}}}}', "BOOKMARK"
    )
    head = '"apiVersion":"x.io/v1","kind":"Tab"'
    assert bookmark("Tab", "x.io/v1", "unstructured", ends=True) == event(
        f'{{{head},"metadata":{{{notes},"resourceVersion":"9"}}}}', "BOOKMARK"
    )
    assert bookmark("Tab", "x.io/v1", "unstructured", ends=False) == event(
        f'{{{head},"metadata":{{"resourceVersion":"9"}}}}', "BOOKMARK"
    )


def test_an_error_holds_its_status_in_one_line() -> None:
    gone = CODEC.write_status({"kind": "Status", "apiVersion": "v1", "code": 410})
    assert gone == b'{"kind":"Status","apiVersion":"v1","code":410}\n'
    assert CODEC.write_error(gone) == event(gone.decode().strip(), "ERROR")
    assert CODEC.read_status(gone) == {
        "kind": "Status",
        "apiVersion": "v1",
        "code": 410,
    }
