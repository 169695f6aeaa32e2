# SPDX-License-Identifier: Apache-2.0
"""All objects of one resource at one version, and what changed lately.

Pure: a list replaces everything, an event applies once, readers are told through views.
What history no longer holds is not invented: whoever resumes from before it is not
answered here.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from toono.codec.base import Codec, Event, ListParts, Object, Style
from toono.kube.names import parse_version

Key = tuple[str, str]
"""(namespace, name)"""
MAX_CHANGES = 2048
MAX_BYTES = 8 * 1024 * 1024
"""Of changes that are kept for readers who resume."""


class Kind(NamedTuple):
    """What all the objects are, and the form in which they came."""

    kind: str
    api_version: str
    style: Style
    list_kind: str
    media_type: str


class Entry:
    """One object at one version, in its stored form and others made of it."""

    __slots__ = ("_labels", "data", "forms", "key", "version")

    def __init__(self, one: Object) -> None:
        self.key: Key = (one.namespace, one.name)
        self.version = one.resource_version
        self.data = one.data
        self.forms: dict[str, bytes] = {}
        self._labels: Mapping[str, str] | None = None

    def labels(self, codec: Codec) -> Mapping[str, str]:
        """Return the object's labels, read once."""
        if self._labels is None:
            self._labels = codec.labels(self.data)
        return self._labels


class Change:
    """One event: what an object is now and was before, and frames made of it."""

    __slots__ = ("before", "entry", "frames", "type", "version")

    def __init__(
        self, version: int, event_type: str, entry: Entry, before: Entry | None
    ) -> None:
        self.version = version
        self.type = event_type
        self.entry = entry
        self.before = before
        self.frames: dict[tuple[str, str], bytes] = {}
        """By media type and event type: all readers of a form share the bytes."""


class State:
    """The shared state of one resource."""

    def __init__(self) -> None:
        self.kind: Kind | None = None
        self.version = 0
        self.entries: dict[Key, Entry] = {}
        self.oldest = 0
        """History is whole after this version."""
        self.told: list[Callable[[Change], None]] = []
        """Who hears of changes, in order."""
        self.moved: list[Callable[[], None]] = []
        """Who waits for a version."""
        self._history: deque[Change] = deque()
        self._size = 0

    def replace(self, codec: Codec, parts: ListParts) -> None:
        """Take a whole list; nothing of before it is known any more."""
        kind = parts.kind.removesuffix("List")
        self.kind = Kind(
            kind, parts.api_version, parts.style, parts.kind, codec.media_type
        )
        self.version = self.oldest = parse_version(parts.resource_version) or 0
        entries = map(Entry, parts.items)
        self.entries = {entry.key: entry for entry in entries}
        self._history.clear()
        self._size = 0
        self._move()

    def apply(self, codec: Codec, event: Event, one: Object, frame: bytes) -> None:
        """Take one event of the cloud's stream; one that is not newer is none."""
        version = parse_version(one.resource_version) or 0
        if version <= self.version:
            return
        self.version = version
        if event.type != "BOOKMARK":
            self._change(codec, event, one, frame)
        self._move()

    def _move(self) -> None:
        for look in self.moved:
            look()

    def _change(self, codec: Codec, event: Event, one: Object, frame: bytes) -> None:
        entry = Entry(one)
        before = self.entries.pop(entry.key, None)
        if event.type != "DELETED":
            self.entries[entry.key] = entry
        change = Change(self.version, event.type, entry, before)
        change.frames[codec.media_type, event.type] = frame
        self._remember(change)
        for tell in self.told:
            tell(change)

    def _remember(self, change: Change) -> None:
        self._history.append(change)
        self._size += len(change.entry.data)
        while len(self._history) > MAX_CHANGES or self._size > MAX_BYTES:
            gone = self._history.popleft()
            self.oldest = gone.version
            self._size -= len(gone.entry.data)

    def since(self, version: int) -> Iterator[Change]:
        """Yield what changed after a version that is not before `oldest`."""
        return (change for change in self._history if change.version > version)
