# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from toono.errors import UpstreamError
from toono.pipeline import asking
from toono.pipeline.asking import asker
from toono.upstream.pool import Credential
from toono.wire.messages import Answer, BytesBody


class Cloud:
    """An upstream that answers with one body, or never."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.asked: list[tuple] = []

    async def send(self, method, target, headers, body, *, credential) -> Answer:
        content = b"" if body is None else await body.read()
        self.asked.append((method, target, dict(headers), content, credential))
        if self.content is None:
            await asyncio.Event().wait()
        assert self.content is not None
        body = BytesBody(self.content)
        body.length = None
        return Answer(status=200, reason=b"OK", headers=[], fields={}, body=body)


def ask(cloud: Cloud, *what) -> tuple[int, bytes]:
    return asyncio.run(asker(cloud)(*what))


def test_a_question_goes_with_the_caller_s_token_and_no_other() -> None:
    cloud = Cloud(b"answer")
    assert ask(cloud, "GET", "/openid/v1/jwks", b"tok", b"") == (200, b"answer")
    assert ask(cloud, "POST", "/x", b"tok", b"{}") == (200, b"answer")
    (_, target, fields, _, credential), (*_, posted, _) = cloud.asked
    assert target == b"/openid/v1/jwks"
    assert fields[b"Authorization"] == b"Bearer tok"
    assert b"Content-Type" not in fields
    assert credential == Credential.of_token(b"tok")
    assert posted == b"{}"
    assert cloud.asked[1][2][b"Content-Type"] == b"application/json"


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(UpstreamError, match="more than 262144 bytes"):
        ask(Cloud(b"a" * (256 * 1024 + 1)), "GET", "/x", b"tok", b"")


def test_silence_ends(monkeypatch) -> None:
    monkeypatch.setattr(asking, "ASK_SECONDS", 0.01)
    with pytest.raises(UpstreamError, match="no answer to /x"):
        ask(Cloud(None), "GET", "/x", b"tok", b"")
