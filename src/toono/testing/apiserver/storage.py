# SPDX-License-Identifier: Apache-2.0
"""A versioned store of objects, as etcd and the watch cache are to an API server.

One counter gives every change its resourceVersion. History is kept until `compact`,
so that a list at any version and a watch from any version are exact; what lies before
is 410 Expired. Objects are plain dicts; each version's bytes are made once.
"""

import bisect
import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

JSON = dict[str, Any]
_ESCAPED = re.compile("[<>&\u2028\u2029]")
Key = tuple[str, str]
"""(namespace, name)"""


class Stored(NamedTuple):
    """One version of one object."""

    key: Key
    version: int
    object: JSON
    """With kind and apiVersion; never changed once stored."""


class Change(NamedTuple):
    """One step of history: what an object was and became."""

    version: int
    before: Stored | None
    after: Stored | None
    """None: the object was deleted at this version."""


class ExpiredError(Exception):
    """A version that compaction has taken."""

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {version} ({oldest})")
        self.version, self.oldest = version, oldest


class Collection:
    """All objects of one resource, now and at every version since compaction."""

    def __init__(self) -> None:
        self.now: dict[Key, Stored] = {}
        self.history: list[Change] = []

    def at(self, version: int) -> dict[Key, Stored]:
        """Return the objects as they were at `version`."""
        state = dict(self.now)
        for change in reversed(self.history):
            if change.version <= version:
                break
            if change.before is not None:
                state[change.before.key] = change.before
            elif change.after is not None:
                state.pop(change.after.key, None)
        return state

    def since(self, version: int) -> Iterator[Change]:
        """Yield the changes after `version`, in order."""
        start = bisect.bisect_right(
            self.history, version, key=lambda change: change.version
        )
        yield from self.history[start:]


class Storage:
    """Every collection of one cluster, under one counter."""

    def __init__(self, version: int = 100) -> None:
        self.version = version
        self.compacted = 0
        """Before this version nothing is known any more."""
        self.watchable = 0
        """Before this version no watch can begin; never before `compacted`."""
        self._collections: dict[str, Collection] = {}
        self._listeners: list[Callable[[str, Change], None]] = []
        self.generation = 0
        """Grows when a backup is restored: streams of the old life end."""

    def collection(self, resource: str) -> Collection:
        """Return the collection of a resource (its plural and group)."""
        return self._collections.setdefault(resource, Collection())

    def listen(self, callback: Callable[[str, Change], None]) -> Callable[[], None]:
        """Call back at each change; returns how to stop."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def put(self, resource: str, key: Key, content: JSON) -> Stored:
        """Create or replace an object; returns it with its new version."""
        self.version += 1
        content = copy.deepcopy(content)
        content["metadata"]["resourceVersion"] = str(self.version)
        after = Stored(key, self.version, content)
        self._record(resource, self.collection(resource).now.get(key), after)
        return after

    def load(self, resource: str, key: Key, content: JSON) -> Stored:
        """Take in an object at the version it says, which must be the newest."""
        version = int(content["metadata"]["resourceVersion"])
        if version <= self.version:
            message = f"version {version} is not after {self.version}"
            raise ValueError(message)
        self.version = version - 1
        return self.put(resource, key, content)

    def delete(self, resource: str, key: Key) -> Stored:
        """Delete an object; returns its last form at the version of its end."""
        self.version += 1
        before = self.collection(resource).now[key]
        self._record(resource, before, None)
        content = copy.deepcopy(before.object)
        content["metadata"]["resourceVersion"] = str(self.version)
        return Stored(key, self.version, content)

    def _record(
        self, resource: str, before: Stored | None, after: Stored | None
    ) -> None:
        collection = self.collection(resource)
        change = Change(self.version, before, after)
        collection.history.append(change)
        if after is None:
            assert before is not None
            del collection.now[before.key]
        else:
            collection.now[after.key] = after
        for callback in list(self._listeners):
            callback(resource, change)

    def check(self, version: int) -> None:
        """Raise ExpiredError where `version` lies before the last compaction."""
        if version < self.compacted:
            raise ExpiredError(version, self.compacted)

    def check_watch(self, version: int) -> None:
        """Raise ExpiredError where no watch can begin at `version` any more."""
        if version < self.watchable:
            raise ExpiredError(version, self.watchable)

    def narrow(self) -> None:
        """Let no watch begin before now; exact lists still reach back.

        As after a restart: the watch cache is empty, etcd's history is not.
        """
        self.watchable = self.version

    def compact(self) -> None:
        """Forget all history up to now."""
        self.compacted = self.watchable = self.version
        for collection in self._collections.values():
            collection.history.clear()

    def restore(self, version: int) -> None:
        """Become what the cluster was at `version`, as after an etcd restore."""
        self.check(version)
        for collection in self._collections.values():
            collection.now = collection.at(version)
            collection.history = [c for c in collection.history if c.version <= version]
        self.version = version
        self.generation += 1


def path_of(key: Key) -> str:
    """Return where an object lies below its resource, as etcd orders objects."""
    return "/" + "/".join(filter(None, key))


def encode(content: JSON) -> bytes:
    """Return an object's bytes as an API server writes them.

    Go's encoder escapes what HTML would take for markup, and two line separators.
    """
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()
