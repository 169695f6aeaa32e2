# SPDX-License-Identifier: Apache-2.0
"""A cloud that answers the hub's own questions as a test says."""

import asyncio
import json
from collections import deque

from toono.codec.registry import for_media_type
from toono.errors import UnreachableError
from toono.wire.messages import BytesBody, Response

from .kit import JSON


def compact(content: object) -> bytes:
    """Return JSON as an API server writes it."""
    return json.dumps(content, separators=(",", ":")).encode()


def found(kind: str, version: str, *objects: dict[str, object]) -> Response:
    """Return a list answer."""
    content = {
        "kind": f"{kind}List",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version},
        "items": list(objects),
    }
    return answer(200, compact(content))


def answer(status: int, content: bytes, media_type: str = JSON) -> Response:
    """Return an answer, its body in pieces."""
    headers = [(b"Content-Type", media_type.encode())]
    return Response(status=status, headers=headers, body=BytesBody(content))


class Stream:
    """A watch's body that a test feeds."""

    length: int | None = None

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    def say(self, event_type: str, kind: str, one: dict[str, object]) -> None:
        codec = for_media_type(JSON)
        assert codec is not None
        data = compact(one)
        of = {"kind": kind, "api_version": "v1"}
        self.put(
            codec.write_event(event_type=event_type, style="typed", data=data, **of)
        )

    def put(self, piece: bytes) -> None:
        self._pieces.put_nowait(piece)

    async def read(self) -> bytes:
        return b"" if self.closed else await self._pieces.get()

    def close(self) -> None:
        self.closed = True
        self._pieces.put_nowait(b"")

    def response(self) -> Response:
        headers = [(b"Content-Type", JSON.encode())]
        return Response(status=200, headers=headers, body=self)


class Cloud:
    """Answers in the order in which a test gave them; then there is no link."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []
        self.lists: dict[str, deque[Response]] = {}
        self.cached: dict[str, Response] = {}
        self.streams: dict[str, Stream] = {}

    def add(self, path: str, *answers: Response) -> None:
        self.lists.setdefault(path, deque()).extend(answers)

    async def __call__(self, target: str, accept: str, *, cached: bool) -> Response:
        self.asked.append((target, accept, cached))
        path = target.partition("?")[0]
        if cached:
            if path in self.cached:
                return self.cached[path]
        elif "watch=true" in target:
            self.streams[path] = Stream()
            return self.streams[path].response()
        elif self.lists.get(path):
            return self.lists[path].popleft()
        raise UnreachableError("no link")
