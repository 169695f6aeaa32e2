# SPDX-License-Identifier: Apache-2.0
"""A stream of JSON is cut at the ends of its documents, however it is written."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec import json_frames
from toono.codec.json_frames import JSONFrames
from toono.errors import CodecError

LINE = b'{"type":"ADDED","object":{"a":"b"}}\n'


@pytest.mark.parametrize(
    ("stream", "frames", "pending"),
    [
        (b"", [], b""),
        (LINE, [LINE], b""),
        (LINE + LINE, [LINE, LINE], b""),
        (LINE + LINE[:9], [LINE], LINE[:9]),
        (LINE[:-1], [], LINE[:-1]),
        (b'{"a":1}\r\n{"b":2}\n', [b'{"a":1}\r\n', b'{"b":2}\n'], b""),
        (b'{"a":1} {"b":2}\n', [b'{"a":1} ', b'{"b":2}\n'], b""),
        (b'{"a":1}{"b":2}{"c', [b'{"a":1}', b'{"b":2}'], b'{"c'),
        (b'{\n "a": {\n }\n}\n{"b":2}\n', [b'{\n "a": {\n }\n}\n', b'{"b":2}\n'], b""),
        (b'{"a":{}}\n\n\n{"b":2}\n', [b'{"a":{}}\n', b'\n\n{"b":2}\n'], b""),
        (b'{"a":{}\n}\n', [b'{"a":{}\n}\n'], b""),
        (b'{"a":"}{\\"\\\\"}\n', [b'{"a":"}{\\"\\\\"}\n'], b""),
        (b'{\n"a":"}{\\"\\\\"\n}\n', [b'{\n"a":"}{\\"\\\\"\n}\n'], b""),
        (b'{"a":[{},{}]\n}\n', [b'{"a":[{},{}]\n}\n'], b""),
        (b"\n", [], b"\n"),
        (b' {"a":1}\n', [b' {"a":1}\n'], b""),
        (b'{"a":1}  ', [], b'{"a":1}  '),
        (b"{\n}  \n{", [b"{\n}  \n"], b"{"),
    ],
)
def test_frames_end_where_documents_do(
    stream: bytes, frames: list[bytes], pending: bytes
) -> None:
    splitter = JSONFrames()
    assert splitter.feed(stream) == frames
    assert splitter.pending == pending
    single = JSONFrames()
    found = [frame for byte in stream for frame in single.feed(bytes([byte]))]
    assert (found, single.pending) == (frames, pending)


@pytest.mark.parametrize("stream", [b"<html>\n", b"\nnull\n", b'"x"\n', b"}{\n"])
def test_what_is_no_object_cannot_start_a_frame(stream: bytes) -> None:
    with pytest.raises(CodecError, match="does not begin"):
        JSONFrames().feed(stream)


def test_a_line_that_is_no_document_is_still_a_frame_by_its_brackets() -> None:
    assert JSONFrames().feed(b'{"a":nonsense}\n{"b":2}\n') == [
        b'{"a":nonsense}\n',
        b'{"b":2}\n',
    ]


def test_the_limit_counts_in_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_frames, "MAX_FRAME_BYTES", 16)
    for stream in (
        b'{"a":"0123456789"}\n',
        b'{"a":"0123456789ab',
        b'{\n"a":"0123456789"}\n',
        b'{"a":1}\n{"a":"0123456789"}\n',
    ):
        with pytest.raises(CodecError, match="longer than 16"):
            JSONFrames().feed(stream)
    assert JSONFrames().feed(b'{"a":"01234567"}') == []
    assert len(JSONFrames().feed(b'{"a":1}\n' * 9)) == 9


VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text('{}[]"\\ \n\r\u00e9x')),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text('{}"\\x', max_size=3), inner, max_size=3),
    ),
    max_leaves=5,
)
DOCUMENTS = st.lists(
    st.tuples(
        st.dictionaries(st.text("ab}", max_size=2), VALUES, max_size=3),
        st.sampled_from((None, 1)),
        st.sampled_from(("\n", " \n", "\r\n", "", "  ", "\n\n")),
    ),
    min_size=1,
    max_size=5,
)


@given(DOCUMENTS, st.lists(st.integers(0, 600), max_size=6))
def test_any_documents_in_any_pieces_come_out_as_they_are(
    documents: list[tuple[dict, int | None, str]], cuts: list[int]
) -> None:
    texts = [json.dumps(value, indent=indent) for value, indent, _ in documents]
    stream = (
        "".join(
            text + space for text, (_, _, space) in zip(texts, documents, strict=True)
        ).encode()
        + b"{"
    )
    splitter = JSONFrames()
    edges = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    frames = []
    for start, end in itertools.pairwise(edges):
        frames += splitter.feed(stream[start:end])
    assert [frame.decode().strip() for frame in frames] == texts
    assert b"".join(frames) + splitter.pending == stream
    assert splitter.pending.strip() == b"{"
    assert JSONFrames().feed(stream) == frames
