# SPDX-License-Identifier: Apache-2.0
"""A list that is read as it comes has the parts that it has when it is read at once."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.codec.test_json import CODEC, ITEM, META, POD, TAB, pods, tabs

from toono.codec.base import ListParts, Object
from toono.codec.expected import Expected
from toono.codec.json_lists import HEAD_BYTES, MAX_NESTED, JSONListReader
from toono.errors import CodecError


def named(name: str, **more: object) -> str:
    meta = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "7"}
    return json.dumps({"metadata": meta, **more}, separators=(",", ":"))


NESTED = [{"metadata": {}, "spec": {}}, {"metadata": {"a": {}}}]
ITEMS = [
    ITEM,
    named("a"),
    named("b", spec={"text": '},{"metadata":{"name":"c"}}],"kind":"'}),
    named("sets", spec={"volumeClaimTemplates": NESTED}),
    named("long", spec={"text": "x" * 700}),
    named("ünï"),
    named("old").replace('"uid"', '"deletionTimestamp":"2026-11-21T00:00:00Z","uid"'),
    POD,
    '{"metadata":{}}',
    "{}",
    "null",
]
PARTIALS = [
    f'{{"kind":"Meta","apiVersion":"meta.k8s.io/v1",{META}}}',
    f'{{"kind":"Meta","apiVersion":"meta.k8s.io/v1",{META.replace("web", "db")}}}',
    f'{{"kind":"Other","apiVersion":"meta.k8s.io/v1",{META}}}',
    ITEM,
]
TABS = [
    TAB,
    TAB.replace("web", "db"),
    TAB.replace("}}", '},"spec":[{"apiVersion":"x.io/v1"},{"apiVersion":"x.io/v1",'
                '"kind":"Tab"}]}'),
    TAB.replace("Tab", "Other"),
    TAB.replace("x.io/v1", "x.io/v2"),
    TAB.replace('"kind"', '"apiVersion":"x.io/v2","kind"'),
]  # fmt: skip


def partials(*items: str) -> bytes:
    kind = b'"kind":"MetaList","apiVersion":"meta.k8s.io/v1"'
    return pods(*items).replace(b'"kind":"PodList","apiVersion":"v1"', kind)


bodies = st.one_of(
    st.lists(st.sampled_from(ITEMS), max_size=6).map(lambda items: pods(*items)),
    st.lists(st.sampled_from(ITEMS[:7]), max_size=6).map(lambda items: pods(*items)),
    st.lists(st.sampled_from(PARTIALS), max_size=4).map(lambda all_: partials(*all_)),
    st.lists(st.sampled_from(TABS), max_size=4).map(lambda items: tabs(*items)),
    st.lists(st.sampled_from(TABS[:3]), max_size=4).map(lambda items: tabs(*items)),
)
damages = st.lists(
    st.tuples(
        st.integers(0, 2000),
        st.integers(0, 3),
        st.sampled_from([b"", b"}", b"]}", b"[", b'"', b"\xff", b"1e400", b" ", b"\n"]),
    ),
    max_size=2,
)


def outcome(read) -> ListParts | None:
    try:
        return read()
    except CodecError:
        return None


def in_pieces(
    body: bytes, step: int, expected: list[Object] = ()
) -> tuple[ListParts | None, int]:
    reader = CODEC.list_reader(expected)
    for at in range(0, len(body), step):
        reader.feed(body[at : at + step])
    left = reader.left
    return outcome(reader.finish), left


@given(
    body=bodies,
    damage=damages,
    step=st.integers(1, 900),
    order=st.randoms(use_true_random=False),
    fewer=st.integers(0, 6),
)
@example(pods(ITEM, ITEM) + b"x", [], 7, None, 0)
@example(
    pods(ITEM).replace(b"]}", b'],"items":[' + ITEM.encode() + b"]}"), [], 50, None, 0
)
@example(tabs(TAB).replace(b'"kind"', b'"items":[],"kind"'), [], 9, None, 0)
@example(pods(ITEM, meta='{"resourceVersion":"9","shardInfo":"x"}'), [], 90, None, 0)
def test_whatever_comes_is_read_as_at_once(body, damage, step, order, fewer) -> None:
    known = list((outcome(lambda: CODEC.split_list(body)) or NOTHING).items)
    if order is not None:
        order.shuffle(known)
    for at, gone, new in damage:
        body = body[:at] + new + body[at + gone :]
    whole = outcome(lambda: CODEC.split_list(body))
    assert in_pieces(body, step)[0] == whole
    assert in_pieces(body, step, known[fewer:])[0] == whole
    assert in_pieces(body, step, known[::2])[0] == whole


NOTHING = ListParts("", "", "typed", "", "", [])


@pytest.mark.parametrize(
    "body",
    [
        pods(*[named(f"pod-{n}", text="x" * 300) for n in range(99)]),
        partials(*[PARTIALS[0].replace("web", f"w{n}") for n in range(99)]),
        tabs(*[TAB.replace("web", f"w{n}") for n in range(99)]),
    ],
)
def test_at_the_end_little_is_left(body: bytes) -> None:
    parts, left = in_pieces(body, 1000)
    assert left < 1000
    assert len(parts.items) == 99


class Counting:
    """Counts what is read."""

    def __init__(self, expected: list[Object]) -> None:
        self.read = 0
        take = CODEC.list_reader()._take

        def counted(content: bytes, api_version: str) -> Object:
            self.read += 1
            return take(content, api_version)

        self.reader = JSONListReader(CODEC.split_list, counted, Expected(expected))


def test_what_is_known_is_not_read_again() -> None:
    before = [named(f"pod-{n:03}", text="x" * 300) for n in range(100)]
    known = CODEC.split_list(pods(*before)).items
    now = [*before[:20], *before[21:60], named("new"), *before[60:]]
    now[70] = now[70].replace('"7"', '"8"')
    counting = Counting(known)
    for at in range(0, len(body := pods(*now)), 999):
        counting.reader.feed(body[at : at + 999])
    parts = counting.reader.finish()
    assert parts == CODEC.split_list(body)
    assert counting.read == 4, (
        "one follows what is gone, one is new, one other, the last"
    )
    assert parts.items[5] is known[5]
    assert counting.reader.recognised == 98, "the last is read at the end"


def test_an_object_of_many_that_look_like_items_is_read_as_one() -> None:
    many = [{"metadata": {}} for _ in range(5 * MAX_NESTED)]
    body = pods(ITEM, named("a", spec=many), named("b"))
    parts, left = in_pieces(body, 100)
    assert parts == CODEC.split_list(body)
    assert left == len(body)


def test_a_head_that_does_not_come_is_not_waited_for() -> None:
    body = pods(ITEM, ITEM.replace("web", "b"))
    odd = body.replace(b'"items"', b'"x":"' + b"x" * HEAD_BYTES + b'","items"')
    assert in_pieces(odd, 100) == (None, len(odd))
    spaced = b" " * HEAD_BYTES + body
    assert in_pieces(spaced, 100) == (
        outcome(lambda: CODEC.split_list(spaced)),
        len(spaced),
    )
