# SPDX-License-Identifier: Apache-2.0
import pytest

from toono.errors import RejectedRequestError
from toono.wire.chunked import MAX_TRAILER_BYTES, ChunkReader


class Reading:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reader = ChunkReader(self.pieces.append)

    def feed(self, raw: bytes, size: int = 0) -> bytes | None:
        """Take `raw` in pieces of `size`; return what follows the body."""
        step = size or len(raw)
        for start in range(0, len(raw), step):
            rest = self.reader.feed(raw[start : start + step])
            if rest is not None:
                return rest + raw[start + step :]
        return None

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


BODY = b"5\r\nhello\r\n00A\r\n, chunked!\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 11])
def test_chunks_are_read_and_what_follows_is_given_back(size: int) -> None:
    found = Reading()
    assert found.feed(BODY + b"GET /", size) == b"GET /"
    assert found.content == b"hello, chunked!"


@pytest.mark.parametrize("size", [0, 1])
def test_trailers_are_dropped(size: int) -> None:
    found = Reading()
    trailers = b"A: b\r\nContent-Length: 5\r\n\r\n"
    assert found.feed(b"1\r\nx\r\n0\r\n" + trailers, size) == b""
    assert found.content == b"x"


def test_a_body_is_not_over_before_its_last_line_end() -> None:
    found = Reading()
    assert found.feed(BODY[:-1], 1) is None
    assert found.feed(BODY[-1:]) == b""


BAD = [
    b"0x1\r\n",
    b"+1\r\n",
    b"-1\r\n",
    b"1_0\r\n",
    b" 1\r\n",
    b"1 \r\n",
    b"\r\n",
    b"g\r\n",
    b"1z\r\n",
    b"123456789\r\n",
    b"1\n",
    b"1\r\r\n",
    b"1;a=b\r\n",
    b"x" * 18,
    b"1\r\na\n",
    b"1\r\naX",
    b"1\r\na\rX",
    b"0\r\nA: b\n",
    b"0\r\n" + b"x" * (MAX_TRAILER_BYTES + 2),
    b"0\r\n" + b"A: b\r\n" * (MAX_TRAILER_BYTES // 4 + 2),
]


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("raw", BAD)
def test_what_two_readers_could_frame_in_two_ways_is_refused(raw, size) -> None:
    found = Reading()
    assert found.feed(b"3\r\nabc\r\n") is None
    with pytest.raises(RejectedRequestError) as caught:
        found.feed(raw, size)
    assert caught.value.status == 400
    assert found.content in (b"abc", b"abca")


def test_a_trailer_as_long_as_may_be_passes_in_any_pieces() -> None:
    raw = b"0\r\n" + b"x" * MAX_TRAILER_BYTES + b"\r\n\r\n"
    for size in (0, 1, 4000):
        assert Reading().feed(raw, size) == b""


def test_a_flood_of_tiny_chunks_is_one_piece_a_feed() -> None:
    found = Reading()
    assert found.feed(b"1\r\nx\r\n" * 40_000) is None
    assert found.pieces == [b"x" * 40_000]
