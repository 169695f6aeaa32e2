# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest

from toono.errors import RejectedRequestError, RequestError
from toono.kube.request import Call, Caller, parse
from toono.pipeline.bounded import MAX_BODY_BYTES, bounded
from toono.pipeline.reading import read_all
from toono.wire.messages import BytesBody

CALLER = Caller(connection=1, local=("127.0.0.1", 1), remote=("127.0.0.1", 2))
PODS = "/api/v1/namespaces/shop/pods"
PROXIED = [PODS + "/a/proxy", PODS + "/a/proxy/upload", "/api/v1/nodes/n/proxy/logs"]


class Chunks:
    """A body of unknown length."""

    length = None

    def __init__(self, *pieces: int) -> None:
        self.pieces = list(pieces)
        self.closed = False

    async def read(self) -> bytes:
        return bytes(self.pieces.pop(0)) if self.pieces else b""

    def close(self) -> None:
        self.closed = True


def call(target: str) -> Call:
    return parse("POST", target.encode(), {}, CALLER)


def test_what_is_as_large_as_may_be_passes() -> None:
    body = BytesBody(bytes(MAX_BODY_BYTES))
    assert bounded(call(PODS), body) is body
    chunks = Chunks(MAX_BODY_BYTES - 1, 1)
    passed = bounded(call(PODS), chunks)
    assert passed.length is None
    assert len(asyncio.run(read_all(passed))) == MAX_BODY_BYTES
    passed.close()
    assert chunks.closed


def test_a_larger_one_is_refused_before_it_is_read() -> None:
    with pytest.raises(RequestError, match="limit is 3145728") as caught:
        bounded(call(PODS), BytesBody(bytes(MAX_BODY_BYTES + 1)))
    assert (caught.value.code, caught.value.reason) == (413, "RequestEntityTooLarge")


def test_one_that_grows_larger_is_broken_off() -> None:
    body = bounded(call(PODS), Chunks(MAX_BODY_BYTES, 1, 5))

    async def scenario() -> None:
        await body.read()
        with pytest.raises(RejectedRequestError, match="limit is 3145728") as caught:
            await body.read()
        assert caught.value.status == 413

    asyncio.run(scenario())


@pytest.mark.parametrize("target", PROXIED)
def test_what_the_api_server_only_passes_on_has_no_limit(target: str) -> None:
    body = BytesBody(bytes(MAX_BODY_BYTES + 1))
    assert bounded(call(target), body) is body
    chunks = Chunks(MAX_BODY_BYTES + 1)
    assert bounded(call(target), chunks) is chunks
