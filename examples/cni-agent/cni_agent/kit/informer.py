# SPDX-License-Identifier: Apache-2.0
"""One collection mirrored: list, then watch, and what changed told by key.

A watch that ends goes on where it ended; bookmarks move that place while nothing
happens; 410 lists anew, and what is no longer there is told as gone. The first list asks
for version 0, which an API server, and a hub, answers from memory (watch cache).
"""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from cni_agent.kit.api import API, RefusedError, UnreachableError
from cni_agent.kit.clock import Clock
from cni_agent.kit.meta import Kind

T = TypeVar("T", bound=Kind)
PAGE = "500"
WATCH_SECONDS = 300
"""At least; up to twice as many, so that not all watches of a cluster end at once."""
FIRST_BACKOFF, MOST_BACKOFF = 0.5, 30.0
Changed = Callable[[T | None, T | None], None]
"""Is told what was there and what is there now; not both are None."""


class _Listed(msgspec.Struct, rename={"version": "resourceVersion"}):
    version: str = ""
    continues: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _Listed
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


class Informer(Generic[T]):
    """Mirrors what is at `path`. One thread runs it, any may read it."""

    def __init__(
        self,
        api: API,
        path: str,
        kind: type[T],
        changed: Changed[T],
        *,
        clock: Clock,
        selector: Mapping[str, str] | None = None,
    ) -> None:
        self._api, self._path, self._kind = api, path, kind
        self._changed, self._clock = changed, clock
        self._selector = dict(selector or {})
        self._decoder = msgspec.json.Decoder(kind)
        self._objects: dict[str, T] = {}
        self._version = ""
        self._from = "0"
        """What a list asks for: 0 from memory, empty for the newest."""
        self._backoff = FIRST_BACKOFF
        self.synced = threading.Event()
        """The first list is in."""
        self.problem = ""
        """Why it does not get on; empty while it does."""

    def get(self, key: str) -> T | None:
        """Return one object as it was heard of last."""
        return self._objects.get(key)

    def all(self) -> list[T]:
        """Return all objects, by key."""
        return [one for _, one in sorted(self._objects.copy().items())]

    def run(self, stopped: threading.Event) -> None:
        """Mirror until `stopped`."""
        while not stopped.is_set():
            pause = self.step()
            if pause and not stopped.is_set():
                self._clock.sleep(pause)

    def step(self) -> float:
        """List where needed, and watch to the end of one watch.

        Returns how many seconds to wait before the next step.
        """
        try:
            if not self._version:
                self._list()
            self._watch()
        except RefusedError as exc:
            if exc.code == 410:
                self._version, self._from = "", ""
            return self._failed(exc, exc.retry_after)
        except (UnreachableError, msgspec.MsgspecError) as exc:
            return self._failed(exc, 0.0)
        self.problem = ""
        return 0.0

    def _failed(self, exc: Exception, asked: float) -> float:
        self.problem = str(exc)
        seconds = self._backoff * random.uniform(1.0, 1.5)  # noqa: S311 - no secret
        self._backoff = min(MOST_BACKOFF, self._backoff * 2)
        return max(seconds, asked)

    def _list(self) -> None:
        found: dict[str, T] = {}
        query = {**self._selector, "resourceVersion": self._from, "limit": PAGE}
        while True:
            raw = self._api.get(self._path, query)
            page = msgspec.json.decode(raw, type=_List)
            for item in page.items or ():
                one = self._decoder.decode(item)
                found[one.key] = one
            if not page.metadata.continues:
                break
            # The place is of one version: a page names no other (KEP-365).
            query = {**self._selector, "limit": PAGE}
            query["continue"] = page.metadata.continues
        gone = [key for key in self._objects if key not in found]
        for key in gone:
            self._set(key, None)
        for key, one in found.items():
            self._set(key, one)
        self._version, self._from = page.metadata.version, "0"
        self._went_well()
        self.synced.set()

    def _watch(self) -> None:
        seconds = random.uniform(WATCH_SECONDS, 2 * WATCH_SECONDS)  # noqa: S311
        query = {
            **self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(seconds)),
        }
        began, heard = self._clock.monotonic(), False
        for line in self._api.watch(self._path, query):
            self._take(msgspec.json.decode(line, type=_Event))
            self._went_well()
            heard = True
        if not heard and self._clock.monotonic() - began < 1.0:
            raise UnreachableError("the watch ended at once and said nothing")

    def _take(self, event: _Event) -> None:
        if event.type == "ERROR":
            status = msgspec.json.decode(event.object, type=_Status)
            raise RefusedError(status.code, status.message)
        one = self._decoder.decode(event.object)
        if event.type != "BOOKMARK":
            self._set(one.key, None if event.type == "DELETED" else one)
        self._version = one.metadata.resource_version

    def _set(self, key: str, new: T | None) -> None:
        old = self._objects.get(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        if old != new:
            self._changed(old, new)

    def _went_well(self) -> None:
        self._backoff, self.problem = FIRST_BACKOFF, ""
