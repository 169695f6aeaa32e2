# SPDX-License-Identifier: Apache-2.0
"""How much a client may send: a body as large as the API server itself takes.

A sized body that is larger is refused before anything of it is sent on; one in chunks
as soon as it is. What becomes of the body is not known here.
"""

from toono.errors import RejectedRequestError, RequestError
from toono.kube import status
from toono.kube.request import Call
from toono.wire.messages import Body

MAX_BODY_BYTES = 3 * 1024 * 1024
"""kube-apiserver's own (MaxRequestBodyBytes)."""


def bounded(call: Call, body: Body) -> Body:
    """Return a body that ends at the limit; RequestError 413 where it is known to pass.

    What is for a pod, a service or a node behind `proxy` has no limit at the API server.
    """
    if body.length == 0 or call.subresource.partition("/")[0] == "proxy":
        return body
    if body.length is None:
        return Bounded(body)
    if body.length > MAX_BODY_BYTES:
        raise _too_large()
    return body


class Bounded:
    """A body of unknown length that breaks off where it becomes too long."""

    __slots__ = ("_inner", "_left", "length")

    def __init__(self, inner: Body) -> None:
        self._inner = inner
        self._left = MAX_BODY_BYTES
        self.length = inner.length

    async def read(self) -> bytes:
        piece = await self._inner.read()
        self._left -= len(piece)
        if self._left < 0:
            raise RejectedRequestError(413, _too_large().message)
        return piece

    def close(self) -> None:
        self._inner.close()


def _too_large() -> RequestError:
    return status.refuse(status.entity_too_large(MAX_BODY_BYTES))
