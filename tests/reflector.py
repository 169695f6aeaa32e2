# SPDX-License-Identifier: Apache-2.0
"""A reflector as client-go has had it since 0.35: it speaks watch-list.

Written from the facts of the wire alone (which request follows which answer, and how
long it waits); it knows nothing of the hub. Time is a clock's, so that ten minutes of
silence cost nothing.
"""

import json
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from toono.runtime.clock import Clock

END = "k8s.io/initial-events-end"
FIRST_BACKOFF, MOST_BACKOFF = 0.8, 30.0
VERY_SHORT = 1.0
"""A watch that ends sooner, and has said nothing, counts as a failure."""


class Stream(Protocol):
    async def read(self) -> bytes: ...


class Heard(NamedTuple):
    """An answer: a stream for a 200 to a watch, else the whole body."""

    status: int
    content: bytes
    stream: Stream | None


Send = Callable[[str], Awaitable[Heard]]
"""Sends one GET; ConnectionError where nobody answers."""


class Refused(Exception):
    """An answer, or an ERROR event, with this Status."""

    def __init__(self, status: dict) -> None:
        super().__init__(status.get("message"))
        self.code = status.get("code", 0)
        causes = (status.get("details") or {}).get("causes") or []
        too_large = any(c.get("reason") == "ResourceVersionTooLarge" for c in causes)
        self.version_is_of_no_use = self.code == 410 or too_large


class Reflector:
    """Mirrors one collection; `store` is what its informer would show."""

    def __init__(self, send: Send, path: str, *, clock: Clock) -> None:
        self._send, self._path, self._clock = send, path, clock
        self._backoff = FIRST_BACKOFF
        self.store: dict[str, str] = {}
        self.version = ""
        self.synced_at: float | None = None
        self.requests: list[tuple[float, str]] = []
        self.events: list[tuple[str, str]] = []

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                await self._list_and_watch()
            except (Refused, ConnectionError):
                await self._rest()

    async def _rest(self) -> None:
        await self._clock.sleep(self._backoff)
        self._backoff = min(2 * self._backoff, MOST_BACKOFF)

    async def _list_and_watch(self) -> None:
        stream, buffer = await self._watch_list()
        if stream is None:
            await self._list()
        while True:
            if stream is None:
                stream, buffer = await self._open(""), b""
            try:
                await self._follow(stream, buffer)
            except Refused as exc:
                if exc.version_is_of_no_use:
                    self.version = ""
                raise
            stream = None

    # -- the burst ------------------------------------------------------------

    async def _watch_list(self) -> tuple[Stream | None, bytes]:
        """Return the stream behind a burst, None where a LIST is to be tried."""
        while True:
            began = self._clock.monotonic()
            burst: dict[str, str] = {}
            try:
                options = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                stream = await self._open(options)
                buffer = await self._burst(stream, burst)
            except ConnectionError:
                await self._rest()
                continue
            except Refused as exc:
                if exc.code == 429:
                    await self._rest()
                elif exc.version_is_of_no_use:
                    self.version = ""
                else:
                    return None, b""
                continue
            if buffer is not None:
                return stream, buffer
            if not burst and self._clock.monotonic() - began < VERY_SHORT:
                return None, b""

    async def _burst(self, stream: Stream, burst: dict[str, str]) -> bytes | None:
        """Return what came behind the end of the burst; None where it has no end."""
        buffer = b""
        while piece := await stream.read():
            buffer += piece
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                event = json.loads(line)
                meta = self._checked(event)
                if event["type"] == "ADDED":
                    burst[_key(meta)] = meta["resourceVersion"]
                elif END in meta.get("annotations", {}):
                    self._replace(burst, meta["resourceVersion"])
                    return buffer
        return None

    def _replace(self, found: dict[str, str], version: str) -> None:
        self.store, self.version = found, version
        self.synced_at = self._clock.monotonic()
        self._backoff = FIRST_BACKOFF

    # -- the list, and what follows ---------------------------------------------

    async def _list(self) -> None:
        heard = await self._ask(f"?limit=500&resourceVersion={self.version or '0'}")
        document = json.loads(heard.content)
        if heard.status != 200:
            raise Refused(document)
        items = [item["metadata"] for item in document["items"]]
        found = {_key(meta): meta["resourceVersion"] for meta in items}
        self._replace(found, document["metadata"]["resourceVersion"])

    async def _follow(self, stream: Stream, buffer: bytes) -> None:
        while piece := await stream.read():
            buffer += piece
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                self._apply(json.loads(line))

    def _apply(self, event: dict) -> None:
        meta = self._checked(event)
        kind, self.version = event["type"], meta["resourceVersion"]
        if kind == "BOOKMARK":
            return
        self.events.append((kind, _key(meta)))
        if kind == "DELETED":
            self.store.pop(_key(meta), None)
        else:
            self.store[_key(meta)] = self.version

    @staticmethod
    def _checked(event: dict) -> dict:
        if event["type"] == "ERROR":
            raise Refused(event["object"])
        return event["object"]["metadata"]

    # -- requests ---------------------------------------------------------------

    async def _open(self, options: str) -> Stream:
        version = f"&resourceVersion={self.version}" if self.version else ""
        heard = await self._ask(
            f"?allowWatchBookmarks=true&timeoutSeconds=400&watch=true{version}{options}"
        )
        if heard.status != 200:
            raise Refused(json.loads(heard.content))
        assert heard.stream is not None
        return heard.stream

    async def _ask(self, query: str) -> Heard:
        self.requests.append((self._clock.monotonic(), query))
        return await self._send(self._path + query)

    def asked(self, word: str) -> int:
        """Return how many requests had `word` in their query."""
        return sum(word in query for _, query in self.requests)


def _key(meta: dict) -> str:
    return f"{meta.get('namespace', '')}/{meta['name']}"
