# SPDX-License-Identifier: Apache-2.0
"""Questions of the hub's own go with the node's credential, and end."""

import asyncio
import json

import pytest

from toono.autonomy.cloud import Cloud, Told, is_missing
from toono.errors import BodyCutError, UpstreamError
from toono.upstream.pool import Credential
from toono.wire.messages import Answer, BytesBody


class Upstream:
    online = True

    def __init__(self, body) -> None:
        self.body = body
        self.sent: list = []

    async def send(self, method, target, headers, body, *, credential) -> Answer:
        assert credential is Credential.NODE
        content = await body.read() if body else b""
        self.sent.append((method, target, dict(headers), content))
        fields = {b"content-type": b"application/json; charset=utf-8"}
        return Answer(status=200, reason=b"", headers=[], fields=fields, body=self.body)


def test_an_answer_is_read_whole() -> None:
    async def scenario() -> None:
        upstream = Upstream(BytesBody(b"{}"))
        cloud = Cloud(upstream)
        assert cloud.online
        told = await cloud.ask("PATCH", "/a", b"x", content_type="b/c", accept="d/e")
        assert told == Told(200, "application/json", b"{}")
        assert upstream.sent == [
            (
                "PATCH",
                b"/a",
                {b"User-Agent": b"toono", b"Accept": b"d/e", b"Content-Type": b"b/c"},
                b"x",
            )
        ]

    asyncio.run(scenario())


class Endless:
    length = None
    closed = False

    def __init__(self, piece: bytes | Exception | None) -> None:
        self.piece = piece

    async def read(self) -> bytes:
        if self.piece is None:
            await asyncio.Event().wait()
        if isinstance(self.piece, Exception):
            raise self.piece
        assert self.piece is not None
        return self.piece

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("piece", [bytes(1 << 22), BodyCutError("cut"), None])
def test_an_answer_without_end_is_none(piece, monkeypatch) -> None:
    monkeypatch.setattr("toono.autonomy.cloud.ANSWER_SECONDS", 0.2)

    async def scenario() -> None:
        body = Endless(piece)
        with pytest.raises(UpstreamError):
            await Cloud(Upstream(body)).ask("GET", "/a")
        assert body.closed

    asyncio.run(scenario())


def missing(**more: object) -> bytes:
    status = {"kind": "Status", "reason": "NotFound", "details": {"name": "a"}}
    return json.dumps(status | more).encode()


@pytest.mark.parametrize(
    ("status", "content", "says"),
    [
        (404, missing(), True),
        (404, missing(details={"name": "b"}), False),
        (404, missing(details=None), False),
        (404, missing(reason="Forbidden"), False),
        (404, missing(kind="Page"), False),
        (404, b"<html>", False),
        (404, b"\xff", False),
        (403, missing(), False),
        (200, missing(), False),
    ],
)
def test_only_the_api_servers_own_word_means_missing(status, content, says) -> None:
    assert is_missing(Told(status, "application/json", content), "a") is says
