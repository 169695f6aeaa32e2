# SPDX-License-Identifier: Apache-2.0
"""Length-prefixed frames are cut at their ends, and bounded."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toono.codec.protobuf_frames import MAX_FRAME_BYTES, ProtobufFrames
from toono.errors import CodecError


def frame(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=5),
    st.binary(max_size=3),
    st.lists(st.integers(0, 1600), max_size=8),
)
def test_frames_come_out_whatever_the_pieces(
    contents: list[bytes], rest: bytes, cuts: list[int]
) -> None:
    frames = [frame(content) for content in contents]
    stream = b"".join(frames) + rest
    splitter = ProtobufFrames()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    found = []
    for start, end in itertools.pairwise(edges):
        found += splitter.feed(stream[start:end])
    assert found == frames
    assert splitter.pending == rest


@pytest.mark.parametrize("size", [0, MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_an_odd_length_is_refused_as_soon_as_it_is_read(size: int) -> None:
    splitter = ProtobufFrames()
    prefix = size.to_bytes(4, "big")
    assert splitter.feed(prefix[:3]) == []
    with pytest.raises(CodecError, match="frame"):
        splitter.feed(prefix[3:])
    with pytest.raises(CodecError, match="frame"):
        ProtobufFrames().feed(frame(b"a") + prefix)


def test_the_largest_frame_passes() -> None:
    whole = frame(b"x" * MAX_FRAME_BYTES)
    splitter = ProtobufFrames()
    assert splitter.feed(whole[:-1]) == []
    assert splitter.feed(whole[-1:]) == [whole]
