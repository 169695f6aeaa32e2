# SPDX-License-Identifier: Apache-2.0
"""A watch's lines, however they are cut, and each way a watch ends."""

import asyncio

import pytest

from toono.errors import BodyCutError
from toono.store import etcd_watch
from toono.store.etcd_errors import (
    EtcdCompactedError,
    EtcdError,
    EtcdUnavailableError,
    EtcdUnsureError,
    WrongClusterError,
)
from toono.store.etcd_watch import Watch


class Pieces:
    """A body that comes in given pieces, and then breaks or ends."""

    length = None

    def __init__(self, *pieces, cut=False):
        self._pieces = list(pieces)
        self._cut = cut

    async def read(self):
        if self._pieces:
            return self._pieces.pop(0)
        if self._cut:
            raise BodyCutError("cut")
        return b""

    def close(self):
        self._pieces = []


def told(body, count, check=lambda _: None):
    async def run():
        watch = Watch(body, check)
        answers = [await watch.next() for _ in range(count)]
        return watch.revision, answers

    return asyncio.run(run())


CREATED = b'{"result":{"header":{"revision":"9"},"created":true}}\n'
CHANGE = (
    b'{"result":{"header":{"revision":"7"},'
    b'"events":[{"kv":{"key":"YQ==","mod_revision":"7"}}]}}\n'
)


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
def test_lines_are_whole_whatever_pieces_they_come_in(size):
    text = CREATED + CHANGE + CHANGE
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    revision, answers = told(Pieces(*pieces), 3)
    assert [one.created for one in answers] == [True, False, False]
    assert answers[2].events[0].kv.key == b"a"
    assert revision == 7


def test_an_answer_without_events_still_moves_the_revision():
    revision, answers = told(Pieces(b'{"result":{"header":{"revision":"8"}}}\n'), 1)
    assert (revision, answers[0].events) == (8, [])


@pytest.mark.parametrize(
    ("line", "failure", "words"),
    [
        (b'{"result":{"canceled":true,"compact_revision":"5"}}\n', EtcdCompactedError, "gone|compacted"),
        (b'{"result":{"canceled":true,"cancel_reason":"so"}}\n', EtcdError, "so"),
        (b'{"result":{"canceled":true}}\n', EtcdError, "cancelled"),
        (b'{"error":{"code":14,"message":"etcdserver: no leader"}}\n', EtcdUnsureError, "no l"),
        (b'{"error":{"code":11,"error":"it has been compacted"}}\n', EtcdCompactedError, "gone|compacted"),
        (b"{}\n", EtcdUnavailableError, "nothing"),
        (b"what\n", EtcdUnavailableError, "read"),
        (b"", EtcdUnavailableError, "ended"),
        (b'{"result":', EtcdUnavailableError, "ended"),
    ],
)  # fmt: skip
def test_each_end_of_a_watch_has_its_error(line, failure, words):
    with pytest.raises(failure, match=words):
        told(Pieces(line) if line else Pieces(), 1)


def test_a_broken_stream_a_flood_and_another_cluster_end_it(monkeypatch):
    with pytest.raises(EtcdUnavailableError, match="cut"):
        told(Pieces(b"{", cut=True), 1)
    monkeypatch.setattr(etcd_watch, "MAX_LINE_BYTES", 100)
    with pytest.raises(EtcdError, match="100 bytes"):
        told(Pieces(b"x" * 99, b"x" * 99, b"x"), 1)

    def other(_):
        raise WrongClusterError("other")

    with pytest.raises(WrongClusterError):
        told(Pieces(CREATED), 1, other)
