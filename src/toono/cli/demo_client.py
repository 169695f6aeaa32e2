# SPDX-License-Identifier: Apache-2.0
"""The demo's client: as small as a client of the Kubernetes API can be."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from toono.wire.client import Origin
from toono.wire.messages import Body, BytesBody, Headers

HEADERS: Headers = [
    (b"Host", b"127.0.0.1"),
    (b"User-Agent", b"kubelet/v1.34.0 (toono demo)"),
    (b"Accept", b"application/json"),
]
WAIT_SECONDS = 10.0


class Reply(NamedTuple):
    """One answer."""

    status: int
    fields: Mapping[bytes, bytes]
    body: bytes

    def _content(self) -> Any:
        return json.loads(self.body)

    def names(self) -> list[str]:
        """Return the names of a list's objects."""
        return [item["metadata"]["name"] for item in self._content()["items"]]

    def name(self) -> str:
        """Return an object's name."""
        return str(self._content()["metadata"]["name"])

    def version(self) -> str:
        """Return the resourceVersion of a list or an object."""
        return str(self._content()["metadata"]["resourceVersion"])

    def field(self, name: str) -> str:
        """Return a header field."""
        return self.fields.get(name.encode(), b"").decode()


class Client:
    """Asks the hub."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def get(self, target: str) -> Reply:
        """Ask for one answer."""
        return await self.send("GET", target, b"")

    async def send(self, method: str, target: str, content: bytes) -> Reply:
        """Send a request, return its whole answer."""
        origin = Origin("127.0.0.1", self.port, tls=lambda _: None)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                answer = await origin.send(
                    method,
                    target.encode(),
                    HEADERS,
                    BytesBody(content) if content else None,
                    credential="demo",
                )
                pieces = []
                while piece := await answer.body.read():
                    pieces.append(piece)
        finally:
            origin.close()
        return Reply(answer.status, answer.fields, b"".join(pieces))

    async def watch(self, target: str, version: str) -> "Stream":
        """Begin to watch after `version`."""
        origin = Origin("127.0.0.1", self.port, tls=lambda _: None)
        target += f"&watch=true&resourceVersion={version}"
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await origin.send(
                "GET", target.encode(), HEADERS, None, credential="demo"
            )
        return Stream(origin, answer.body)


class Stream:
    """Events as they come."""

    def __init__(self, origin: Origin, body: Body) -> None:
        self._origin = origin
        self._body = body
        self._rest = b""
        self.version = ""

    async def next(self) -> tuple[str, str] | None:
        """Return (type, name) of the next event, None at a clean end."""
        async with asyncio.timeout(WAIT_SECONDS):
            while b"\n" not in self._rest:
                piece = await self._body.read()
                if not piece:
                    self.close()
                    return None
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        event = json.loads(line)
        self.version = event["object"]["metadata"]["resourceVersion"]
        return event["type"], event["object"]["metadata"]["name"]

    def close(self) -> None:
        """End the watch."""
        self._origin.close()
