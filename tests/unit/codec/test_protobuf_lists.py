# SPDX-License-Identifier: Apache-2.0
"""A list that is read as it comes has the parts that it has when it is read at once."""

from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.codec.test_protobuf import CODEC, ITEM, LIST_META, enclosed, meta, pods

from toono.codec.base import ListParts, Object
from toono.codec.expected import Expected
from toono.codec.protobuf import MAGIC, read_object
from toono.codec.protobuf_lists import HEAD_BYTES, ProtobufListReader
from toono.codec.wireformat import encode_bytes, encode_number, encode_text
from toono.errors import CodecError

ITEMS = [
    ITEM,
    meta(name="old", extra=encode_bytes(9, b"\x08\x01")),
    meta(name="long", extra=encode_bytes(12, b"x" * 300)),
    meta(name="a"),
    meta(name="b") + encode_bytes(2, ITEM),
    meta(version="x"),
    b"",
    b"\xff\xff",
]
HEADS = [
    LIST_META,
    encode_text(2, "9"),
    encode_text(2, "9") + encode_text(3, "more") + encode_number(4, 300),
    encode_text(2, "9") + encode_text(9, "new"),
    encode_text(2, "x"),
    b"",
]
ENDS = [b"", encode_bytes(1, LIST_META), encode_bytes(3, b"x")]
bodies = st.builds(
    lambda items, head, end: pods(*items, list_meta=head, more=end),
    st.lists(st.sampled_from([*ITEMS[:5], *ITEMS[:5], *ITEMS]), max_size=6),
    st.sampled_from([LIST_META, LIST_META, *HEADS]),
    st.sampled_from([b"", b"", *ENDS]),
)
damages = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 3), st.binary(max_size=3)),
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
    step=st.integers(1, 400),
    order=st.randoms(use_true_random=False),
    fewer=st.integers(0, 6),
)
@example(pods(ITEM) + b"x", [], 7, None, 0)
@example(pods(ITEM, ITEM)[:-20], [], 7, None, 0)
@example(
    enclosed("PodList", encode_bytes(2, ITEM) + encode_bytes(1, LIST_META)),
    [],
    9,
    None,
    0,
)
@example(
    pods(ITEM).replace(b"v1", b"v2").replace(b'\x1a\0"\0', b'\x1a\x01x"\0'),
    [],
    9,
    None,
    0,
)
@example(enclosed("PodList", b"\x0a\xff\x01"), [], 9, None, 0)
@example(b'{"kind":"PodList"}', [], 9, None, 0)
def test_whatever_comes_is_read_as_at_once(body, damage, step, order, fewer) -> None:
    known = list((outcome(lambda: CODEC.split_list(body)) or NOTHING).items)
    if order is not None:
        order.shuffle(known)
    for at, gone, new in damage:
        body = body[:at] + new + body[at + gone :]
    whole = outcome(lambda: CODEC.split_list(body))
    assert in_pieces(body, step)[0] == whole
    assert in_pieces(body, step, known[fewer:])[0] == whole


NOTHING = ListParts("", "", "typed", "", "", [])


def test_at_the_end_little_is_left() -> None:
    body = pods(
        *[meta(name=f"pod-{n}", extra=encode_bytes(12, b"x" * 99)) for n in range(99)]
    )
    parts, left = in_pieces(body, 500)
    assert parts == CODEC.split_list(body)
    assert left < 500


def test_what_is_known_is_not_read_again() -> None:
    names = [f"pod-{n}" for n in range(20)]
    known = CODEC.split_list(pods(*map(named, names))).items
    read = []

    def take(content: bytes) -> Object:
        read.append(read_object(content).name)
        return read_object(content)

    body = pods(*map(named, [*names[:5], *names[6:9], "new", *names[9:]]))
    reader = ProtobufListReader(MAGIC, CODEC.split_list, take, Expected(known))
    for at in range(0, len(body), 100):
        reader.feed(body[at : at + 100])
    assert reader.finish() == CODEC.split_list(body)
    assert read == ["pod-6", "new"]
    assert reader.recognised == 19


def named(name: str) -> bytes:
    return meta(name=name)


def test_an_item_of_many_pieces_is_put_together_once() -> None:
    long = meta(name="long", extra=encode_bytes(12, b"x" * 5000))
    body = pods(ITEM, long, ITEM)
    assert in_pieces(body, 10)[0] == CODEC.split_list(body)


def test_a_head_that_does_not_come_is_not_waited_for() -> None:
    body = enclosed("x" * HEAD_BYTES, encode_bytes(1, LIST_META))
    assert in_pieces(body, 100) == (None, len(body))
